//! Receipts that must be refused, with the rule of the auditor that refuses them.

use quittance_crypto::digest::Digest;
use quittance_crypto::signature::{Purpose, Suite};
use quittance_ledger::block::Header;
use quittance_ledger::certificate::Certificate;
use quittance_ledger::ids::{BlockId, ChainId, Height, Timestamp, TransactionId};
use quittance_ledger::merkle;
use quittance_ledger::receipt::{Checkpoint, Claim, NamedTransaction, Receipt, SetChange};
use quittance_ledger::tree;

use super::world::{
    TIP, World, account_id, asset, certify, deciders, key, resigned, set, weighted,
};

/// What was changed, the rule that refuses it, the receipt, and the root it is held against.
pub type Attack = (&'static str, &'static str, Receipt, Checkpoint);

/// All attacks.
pub fn all(world: &World) -> Vec<Attack> {
    let mut attacks = Vec::new();
    attacks.extend(headers(world));
    attacks.extend(certificates(world));
    attacks.extend(changes(world));
    attacks.extend(paths(world));
    attacks.extend(accounts(world));
    attacks.extend(roots(world));
    attacks
}

type Change<T> = (&'static str, &'static str, fn(&mut T));

const ZERO: Digest = Digest::ZERO;

/// Each field of a header, once as it is and once signed by those who may.
pub fn headers(world: &World) -> Vec<Attack> {
    // The rule is that of the header which the validators have signed anew.
    let fields: [Change<Header>; 7] = [
        ("suite", "suite", |header| header.suite = Suite::MlDsa87MlKem1024),
        ("chain", "chain", |header| header.chain = ChainId(ZERO)),
        ("height", "order of blocks", |header| header.height = Height(2)),
        ("parent", "parent", |header| header.parent = BlockId(ZERO)),
        ("time", "time", |header| header.time = Timestamp(1_000)),
        ("validators", "validators", |header| header.validators = ZERO),
        ("next validators", "announced set", |header| header.next_validators = ZERO),
    ];
    let mut attacks = Vec::new();
    let good = world.receipt(5, vec![world.paid_id(5, 0)]);
    for (field, rule, change) in fields {
        // The second change follows the first, so that its parent is known.
        let mut receipt = good.clone();
        let of_change = &mut receipt.changes[1];
        (of_change.header, of_change.certificate) = resigned(&of_change.header, change);
        attacks.push((field, rule, receipt, world.root.clone()));
        let mut receipt = good.clone();
        change(&mut receipt.changes[1].header);
        let unsigned = if rule == "announced set" { "certificate" } else { rule };
        attacks.push((field, unsigned, receipt, world.root.clone()));
        // So does the block of the receipt follow the second. What it announces is for others.
        let mut receipt = good.clone();
        change(&mut receipt.header);
        attacks.push((field, unsigned, receipt.clone(), world.root.clone()));
        if field != "next validators" {
            (receipt.header, receipt.certificate) = resigned(&good.header, change);
            attacks.push((field, rule, receipt, world.root.clone()));
        }
    }
    let roots: [Change<Header>; 2] = [
        ("transactions root", "path in the list", |header| header.transactions_root = ZERO),
        ("state root", "proof in the state", |header| header.state_root = ZERO),
    ];
    for (field, rule, change) in roots {
        let mut receipt = world.complete();
        change(&mut receipt.header);
        attacks.push((field, "certificate", receipt.clone(), world.root.clone()));
        (receipt.header, receipt.certificate) = resigned(world.header(8), change);
        attacks.push((field, rule, receipt, world.root.clone()));
        let mut receipt = world.complete();
        change(&mut receipt.changes[0].header);
        attacks.push((field, "certificate", receipt, world.root.clone()));
    }
    attacks
}

/// Certificates by too few, by one twice, by strangers, by another height's set, of another vote.
pub fn certificates(world: &World) -> Vec<Attack> {
    let mut attacks = Vec::new();
    let good = world.complete();
    let mut attack = |name, change: &dyn Fn(&mut Certificate)| {
        let mut receipt = good.clone();
        change(&mut receipt.certificate);
        attacks.push((name, "certificate", receipt, world.root.clone()));
        let mut receipt = good.clone();
        change(&mut receipt.changes[1].certificate);
        attacks.push((name, "certificate", receipt, world.root.clone()));
    };
    let again = |by: &Certificate, signers: &[u8]| {
        let header = [world.header(4), world.header(8)].into_iter().find(|it| it.id() == by.block);
        certify(header.unwrap(), signers)
    };
    attack("height", &|by| by.height = Height(by.height.0 + 1));
    attack("round", &|by| by.round += 1);
    attack("block", &|by| by.block = BlockId(ZERO));
    attack("of the block before", &|by| *by = world.block(by.height.0 - 1).1.clone());
    attack("of nobody", &|by| by.signatures.clear());
    attack("exactly two thirds, or less", &|by| drop(by.signatures.pop()));
    attack("out of order", &|by| by.signatures.reverse());
    attack("one signs twice", &|by| {
        let twice = by.signatures[1].clone();
        by.signatures[2] = twice;
    });
    attack("one signs twice beyond the quorum", &|by| {
        let twice = by.signatures[1].clone();
        by.signatures.insert(1, twice);
    });
    attack("the signature of another", &|by| {
        by.signatures[0].signature = by.signatures[1].signature.clone();
    });
    attack("a stranger beyond the quorum", &|by| {
        let stranger = again(by, &[7]).signatures[0].clone();
        by.signatures.push(stranger);
    });
    attack("strangers", &|by| *by = again(by, &[7, 8, 9]));
    attack("the first height's set", &|by| *by = again(by, deciders(1).0));
    attack("the other set", &|by| *by = again(by, deciders(12 - by.height.0).0));
    attack("a signature for another purpose", &|by| {
        let digest = by.vote(world.root.chain).digest();
        let number = if by.height.0 == 4 { 2 } else { 3 };
        by.signatures[0].signature = key(number).sign(Purpose::Round, &digest);
    });
    attack("a vote on another chain", &|by| {
        let vote = by.vote(ChainId(ZERO));
        let number = if by.height.0 == 4 { 2 } else { 3 };
        by.signatures[0].signature = vote.sign(&key(number));
    });
    attacks
}

/// Sets that nobody has announced, changes left out, exchanged, repeated or made up.
pub fn changes(world: &World) -> Vec<Attack> {
    let good = world.complete();
    let mut attacks = Vec::new();
    let mut attack = |name, rule, change: &dyn Fn(&mut Receipt)| {
        let mut receipt = good.clone();
        change(&mut receipt);
        attacks.push((name, rule, receipt, world.root.clone()));
    };
    attack("none", "validators", &|receipt| receipt.changes.clear());
    attack("the first left out", "validators", &|receipt| drop(receipt.changes.remove(0)));
    attack("the last left out", "validators", &|receipt| drop(receipt.changes.pop()));
    attack("out of order", "validators", &|receipt| receipt.changes.reverse());
    attack("one twice", "order of blocks", &|receipt| {
        receipt.changes.insert(1, receipt.changes[0].clone());
    });
    attack("one after the block", "order of blocks", &|receipt| {
        receipt.header = world.header(4).clone();
        receipt.certificate = world.block(4).1.clone();
    });
    attack("a block that changes nothing", "change of validators", &|receipt| {
        let (block, certificate) = world.block(2);
        let (header, certificate) = (block.header.clone(), certificate.clone());
        let validators = world.root.validators.clone();
        receipt.changes.insert(0, SetChange { header, certificate, validators });
    });
    attack("a set of the attacker's own", "announced set", &|receipt| {
        // It has decided the block at 5, and all that is claimed.
        let mine = set(&[7, 8, 9]);
        receipt.changes[1].validators = mine.clone();
        receipt.header.validators = mine.digest();
        receipt.certificate = certify(&receipt.header, &[7, 8, 9]);
    });
    attack("more power for some", "announced set", &|receipt| {
        receipt.changes[1].validators = weighted(&[(3, 9), (4, 1), (6, 1)]);
        receipt.header.validators = receipt.changes[1].validators.digest();
        receipt.certificate = certify(&receipt.header, &[3]);
    });
    attack("one of another chain", "chain", &|receipt| {
        let elsewhere = |header: &mut Header| header.chain = ChainId(Digest([8; 32]));
        let change = &mut receipt.changes[0];
        (change.header, change.certificate) = resigned(&change.header, elsewhere);
    });
    // The set of the last change is in power, and a set before it signs in its name.
    attack("a set that was followed", "certificate", &|receipt| {
        receipt.certificate = certify(&receipt.header, deciders(1).0);
    });
    // A set before signs that the set after it decides: it is not for it to sign.
    attack("a header that names others than those who sign it", "validators", &|receipt| {
        receipt.changes.clear();
        receipt.certificate = certify(&receipt.header, deciders(1).0);
    });
    attacks
}

/// Paths of other transactions, moved, shortened and prolonged.
pub fn paths(world: &World) -> Vec<Attack> {
    let mut attacks = Vec::new();
    let mut attack = |name, change: &dyn Fn(&mut NamedTransaction, &mut merkle::Proof)| {
        for mut claim in [world.paid(8, 1), world.paid_id(8, 1)] {
            let Claim::Transaction { transaction, path } = &mut claim else { unreachable!() };
            change(transaction, path);
            let receipt = world.receipt(8, vec![claim]);
            attacks.push((name, "path in the list", receipt, world.root.clone()));
        }
    };
    attack("another index", &|_, path| path.index = 0);
    attack("an index beyond the list", &|_, path| path.index = 5);
    attack("a longer list", &|_, path| path.length = 6);
    attack("a shorter list", &|_, path| path.length = 4);
    attack("another hash", &|_, path| path.path[1].0[3] ^= 1);
    attack("a hash less", &|_, path| {
        path.path.pop();
    });
    attack("a hash less at the leaf", &|_, path| {
        path.path.remove(0);
    });
    attack("a hash more", &|_, path| path.path.push(ZERO));
    attack("a hash twice", &|_, path| path.path.insert(0, path.path[0]));
    attack("no hash", &|_, path| path.path.clear());
    attack("the path of another", &|_, path| {
        let Claim::Transaction { path: other, .. } = world.paid(8, 2) else { unreachable!() };
        *path = other;
    });
    attack("another transaction of the block", &|transaction, _| {
        let Claim::Transaction { transaction: other, .. } = world.paid(8, 2) else {
            unreachable!()
        };
        *transaction = other;
    });
    attack("a transaction of another block", &|transaction, path| {
        let Claim::Transaction { transaction: other, path: its } = world.paid(7, 1) else {
            unreachable!()
        };
        (*transaction, *path) = (other, its);
    });
    attack("the id of another", &|transaction, _| {
        *transaction = NamedTransaction::Id(TransactionId(Digest([9; 32])));
    });
    // A node of the tree is no leaf.
    attack("a node in place of a transaction", &|transaction, path| {
        *transaction = NamedTransaction::Id(TransactionId(path.path[0]));
        path.path.remove(0);
        (path.index, path.length) = (0, 3);
    });
    attacks
}

/// Records of other accounts and heights, absence for presence and the other way round.
pub fn accounts(world: &World) -> Vec<Attack> {
    let mut attacks = Vec::new();
    let rule = "proof in the state";
    let mut attack = |name, number: u8, change: &dyn Fn(&mut Claim)| {
        let mut claim = world.account(8, number);
        change(&mut claim);
        let receipt = world.receipt(8, vec![claim]);
        attacks.push((name, rule, receipt, world.root.clone()));
    };
    // Numbers below 5 are on record, the others are not.
    attack("another balance", 2, &|claim| {
        let other = world.account(8, 1);
        if let (
            Claim::Account { account: Some(it), .. },
            Claim::Account { account: Some(by), .. },
        ) = (claim, other)
        {
            it.balance = by.balance;
        }
    });
    attack("another sequence", 2, &|claim| {
        if let Claim::Account { account: Some(account), .. } = claim {
            account.sequence += 1;
        }
    });
    attack("of another height", 2, &|claim| *claim = world.account(7, 2));
    attack("under another name", 2, &|claim| {
        if let Claim::Account { id, .. } = claim {
            *id = account_id(3);
        }
    });
    attack("under the name of one without a record", 2, &|claim| {
        if let Claim::Account { id, .. } = claim {
            *id = account_id(9);
        }
    });
    attack("in another asset", 2, &|claim| {
        if let Claim::Account { id, .. } = claim {
            id.asset = asset("USD");
        }
    });
    attack("what is on record is said not to be", 2, &|claim| {
        if let Claim::Account { account, .. } = claim {
            *account = None;
        }
    });
    attack("the same, without its leaf", 2, &|claim| {
        if let Claim::Account { account, proof, .. } = claim {
            (*account, proof.leaf) = (None, None);
        }
    });
    for number in [9, 10, 11, 12] {
        attack("what is not on record is said to be", number, &|claim| {
            if let (Claim::Account { account, .. }, Claim::Account { account: other, .. }) =
                (claim, world.account(8, 1))
            {
                *account = other;
            }
        });
        attack("the same, with a leaf made for it", number, &|claim| {
            let Claim::Account { account: other, proof: its, .. } = world.account(8, 1) else {
                unreachable!()
            };
            if let Claim::Account { id, account, proof } = claim {
                let key = quittance_ledger::state::Key::Account(*id).leaf().unwrap();
                *account = other;
                *proof = its;
                proof.leaf.as_mut().unwrap().key = key;
            }
        });
    }
    attacks.extend(absences(world));
    let mut attack = |name, number: u8, change: &dyn Fn(&mut tree::Proof)| {
        let mut claim = world.account(8, number);
        let Claim::Account { proof, .. } = &mut claim else { unreachable!() };
        change(proof);
        attacks.push((name, rule, world.receipt(8, vec![claim]), world.root.clone()));
    };
    for number in [2, 9] {
        attack("another hash", number, &|proof| proof.siblings[0].0[5] ^= 1);
        attack("a hash less", number, &|proof| {
            proof.siblings.pop();
        });
        attack("a hash less at the leaf", number, &|proof| {
            proof.siblings.remove(0);
        });
        attack("a hash more", number, &|proof| proof.siblings.push(tree::EMPTY));
        attack("a hash more at the leaf", number, &|proof| proof.siblings.insert(0, tree::EMPTY));
        attack("another order", number, &|proof| proof.siblings.reverse());
        attack("endless", number, &|proof| proof.siblings = vec![tree::EMPTY; 257]);
    }
    attacks
}

/// Each account on record is said to be missing, by the proof of each other account.
pub fn absences(world: &World) -> Vec<Attack> {
    let mut attacks = Vec::new();
    for denied in 0..5 {
        for shown in (0..5).filter(|shown| *shown != denied) {
            let mut claim = world.account(8, shown);
            let Claim::Account { id, account, .. } = &mut claim else { unreachable!() };
            (*id, *account) = (account_id(denied), None);
            let receipt = world.receipt(8, vec![claim]);
            attacks.push(("absence elsewhere", "proof in the state", receipt, world.root.clone()));
        }
    }
    attacks
}

/// A good receipt and another root.
pub fn roots(world: &World) -> Vec<Attack> {
    let mut attacks = Vec::new();
    let good = world.receipt(5, vec![world.paid_id(5, 0)]);
    let mut attack = |name, rule, change: &dyn Fn(&mut Checkpoint)| {
        let mut root = world.root.clone();
        change(&mut root);
        attacks.push((name, rule, good.clone(), root));
    };
    attack("chain", "chain", &|root| root.chain = ChainId(ZERO));
    attack("suite", "suite", &|root| root.suite = Suite::MlDsa87MlKem1024);
    attack("height", "order of blocks", &|root| root.height = Height(3));
    attack("later", "order of blocks", &|root| *root = world.checkpoint(TIP));
    attack("of the block itself", "order of blocks", &|root| *root = world.checkpoint(5));
    attack("amid the changes", "order of blocks", &|root| *root = world.checkpoint(3));
    attack("block", "parent", &|root| {
        *root = world.checkpoint(2);
        root.block = BlockId(ZERO);
    });
    attack("time", "time", &|root| root.time = world.header(5).time);
    attack("validators", "validators", &|root| root.validators = set(deciders(5).0));
    let mut nothing = good.clone();
    nothing.claims.clear();
    attacks.push(("nothing is claimed", "claims", nothing, world.root.clone()));
    attacks
}
