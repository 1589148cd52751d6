"""Transactions, blocks and states: docs/protocols/ledger.md, from "Transaction" on.

Only what the vectors hold is executed: entries. Other actions are not read.
"""

import rangeproof
import ristretto
from canonical import (
    Reader, ascending, fingerprint, list_root, option, read, require, sequence, string, trie_root,
    H, u8, u32, u64,
)

IDENTITY = bytes(32)


# Formats.


def posting(reader):
    found = {
        "institution": reader.institution(),
        "key": reader.digest(),
        "sequence": reader.u64(),
        "absorbed": reader.list(256, Reader.digest),
        "new balance": reader.commitment(),
        "self note": reader.string(512),
    }
    ascending(found["absorbed"], "absorbed credits")
    return found


def credit(reader):
    found = {
        "sender": reader.institution(),
        "institution": reader.institution(),
        "commitment": reader.commitment(),
        "sealed": reader.string(4096),
        "details": reader.digest(),
    }
    require(reader.u8() == 0, "condition")
    return found


def entry(reader):
    found = {
        "asset": reader.asset(),
        "postings": reader.list(128, posting),
        "credits": reader.list(32, credit),
    }
    posters = [posting["institution"] for posting in found["postings"]]
    require(posters, "no posting")
    ascending(posters, "postings")
    require(len(posters) + len(found["credits"]) <= 128, "postings and credits")
    for given in found["credits"]:
        require(given["sender"] in posters, "sender of a credit does not post")
        require(given["sender"] != given["institution"], "credit to oneself")
    return found


def body(reader):
    start = reader.at
    reader.version()
    found = {"suite": reader.suite(), "chain": reader.digest(), "expiry": reader.u64()}
    require(reader.u8() == 0, "an action that is not read here, or none")
    found["entries"] = reader.list(8, entry)
    require(found["entries"], "no entry")
    ascending([entry["asset"] for entry in found["entries"]], "entries")
    found["bytes"] = reader.data[start : reader.at]
    return found


def transaction(reader):
    found = {"body": body(reader)}
    found["proofs"] = reader.list(8, lambda it: it.string(1120))
    found["signatures"] = reader.list(
        1024, lambda it: (it.institution(), it.digest(), *it.signature())
    )
    return found


def public_key(reader):
    """Kind, suite, key bytes and fingerprint; and the whole encoding."""
    start = reader.at
    kind = reader.u8()
    require(kind <= 4 or kind == 255, "kind of key")
    if kind == 255:
        suite, kem, share = reader.sealing_key()
        key, label = kem + share, "quittance/v1/sealing-key"
    else:
        (suite, key), label = reader.verifying_key(), "quittance/v1/key"
    encoded = reader.data[start : reader.at]
    return {"kind": kind, "suite": suite, "key": key, "bytes": encoded,
            "fingerprint": fingerprint(suite, key, label)}


def validator_set(reader):
    start = reader.at
    one = lambda it: (it.institution(), *it.verifying_key(), it.u64())
    validators = reader.list(128, one)
    ascending([validator[0] for validator in validators], "validators")
    return validators, reader.data[start : reader.at]


def genesis(reader):
    reader.version()
    found = {"name": reader.string(64), "time": reader.u64(), "suite": reader.suite()}
    institution = lambda it: (it.institution(), it.list(4, lambda r: r.tag(4)), it.list(6, public_key))
    found["institutions"] = reader.list(4096, institution)
    found["assets"] = reader.list(4096, lambda it: (it.asset(), it.institution(), it.u8()))
    found["validators"], found["validator bytes"] = validator_set(reader)
    require(reader.list(256, Reader.u8) == [], "committees are not read here")
    limits = reader.at
    names = ["pending", "refund after", "max expiry", "max round", "transactions", "bytes"]
    widths = [4, 8, 8, 8, 4, 4]
    found["limits"] = dict(zip(names, map(reader.number, widths)))
    found["limit bytes"] = reader.data[limits : reader.at]
    return found


def header(reader):
    reader.version()
    names = ["suite", "chain", "height", "parent", "transactions root", "state root", "time",
             "validators", "next validators"]
    one = {"suite": reader.suite, "height": reader.u64, "time": reader.u64}
    return {name: one.get(name, reader.digest)() for name in names}


def certificate(reader):
    reader.version()
    found = {"height": reader.u64(), "round": reader.u32(), "block": reader.digest()}
    found["signatures"] = reader.list(128, lambda it: (it.institution(), *it.signature()))
    ascending([signature[0] for signature in found["signatures"]], "signatures")
    return found


# Digests.


def body_digest(body):
    return H("quittance/v1/body", body["bytes"])


def proof_context(body, position):
    parts = body["chain"], u8(body["suite"]), body_digest(body), u32(position)
    return H("quittance/v1/entry-proof", *parts)


def signing_digest(transaction):
    proofs = sequence([string(proof) for proof in transaction["proofs"]])
    return H("quittance/v1/signing", transaction["body"]["bytes"], proofs)


def credit_id(transaction_id, entry, credit):
    return H("quittance/v1/credit-id", transaction_id, u32(entry) + u32(credit))


# Points, by their encodings.


def plus(*encodings):
    return ristretto.encode(ristretto.total(ristretto.decode(it) for it in encodings))


def minus(encoding):
    return ristretto.encode(ristretto.negate(ristretto.decode(encoding)))


class Account:
    def __init__(self):
        self.balance = self.inflow = self.outflow = self.settled = IDENTITY
        self.sequence = self.arrivals = 0
        self.pending = []  # numbers, fields and canonical bytes
        self.log = bytes(32)

    def record(self):
        pending_root = list_root([credit["bytes"] for credit in self.pending])
        return b"".join([
            self.balance, u64(self.sequence), option(None), u64(self.arrivals), pending_root,
            self.inflow, self.outflow, self.settled, self.log,
        ])

    def happened(self, height, transaction_id, tag, fields):
        event = u64(height) + transaction_id + u8(tag) + fields
        self.log = H("quittance/v1/account-log", self.log, event)

    def holds(self):
        """balance + sum(pending) = inflow - outflow + net settled."""
        pending = [credit["commitment"] for credit in self.pending]
        right = plus(self.inflow, minus(self.outflow), self.settled)
        return plus(self.balance, *pending) == right


class State:
    def __init__(self, genesis_bytes):
        self.genesis = read(genesis_bytes, genesis)
        self.chain = H("quittance/v1/genesis", genesis_bytes)
        self.issuers = {asset: issuer for asset, issuer, _ in self.genesis["assets"]}
        self.keys = {
            (institution, key["kind"], key["fingerprint"]): key
            for institution, _, keys in self.genesis["institutions"] for key in keys
        }
        self.participants = {it[0] for it in self.genesis["institutions"] if 0 in it[1]}
        self.accounts = {}

    def records(self):
        """All but pending credits: key and value."""
        yield u8(0), self.chain + u8(self.genesis["suite"])
        yield u8(1), self.genesis["limit bytes"]
        yield u8(2), self.genesis["validator bytes"]
        for number, (institution, roles, keys) in enumerate(self.genesis["institutions"], start=1):
            registered = sequence([key["bytes"] + u64(0) for key in keys])
            yield u8(3) + institution, u32(number) + sequence([u8(role) for role in roles]) + registered
        for asset, issuer, decimals in self.genesis["assets"]:
            yield u8(4) + asset, issuer + u8(decimals)
        for account_id, account in self.accounts.items():
            yield u8(6) + account_id, account.record()

    def root(self):
        return trie_root([(H("quittance/v1/state-key", key), value) for key, value in self.records()])

    def account(self, institution, asset):
        return self.accounts.setdefault(institution + asset, Account())

    def verify(self, transaction, verify_signature):
        """A transaction by itself: "Verification"."""
        body = transaction["body"]
        require(len(transaction["proofs"]) == len(body["entries"]), "one proof for each entry")
        due = {p["institution"]: p["key"] for it in body["entries"] for p in it["postings"]}
        signers = [signature[0] for signature in transaction["signatures"]]
        ascending(signers, "signatures")
        require(set(signers) == set(due), "signed by others than those who post")
        message = H("quittance/v1/transaction", signing_digest(transaction))
        for institution, key, suite, signature in transaction["signatures"]:
            require(key == due[institution], "signed with another key")
            registered = self.keys[institution, 0, key]
            require(registered["suite"] == suite == body["suite"], "suite")
            require(verify_signature(suite, registered["key"], message, signature), "signature")
        for position, (entry, proof) in enumerate(zip(body["entries"], transaction["proofs"])):
            issuer = self.issuers[entry["asset"]]
            statement = [
                minus(it["new balance"]) if it["institution"] == issuer else it["new balance"]
                for it in entry["postings"]
            ] + [it["commitment"] for it in entry["credits"]]
            context = proof_context(body, position)
            require(rangeproof.verify(context, statement, proof), "range proof")

    def execute(self, transaction, transaction_id, height):
        """What it does to the state: "Execution rules"."""
        body = transaction["body"]
        require(body["chain"] == self.chain, "chain")
        require(body["suite"] == self.genesis["suite"], "suite")
        require(height <= body["expiry"] <= height + self.genesis["limits"]["max expiry"], "expiry")
        for position, entry in enumerate(body["entries"]):
            self._entry(entry, position, transaction_id, height)

    def _entry(self, entry, position, transaction_id, height):
        deltas = []
        for posting in entry["postings"]:
            require(posting["institution"] in self.participants, "not a participant")
            account = self.account(posting["institution"], entry["asset"])
            require(posting["sequence"] == account.sequence + 1, "sequence")
            taken = [it for it in account.pending if it["id"] in posting["absorbed"]]
            require(len(taken) == len(posting["absorbed"]), "absorbed credits are not pending")
            less = [minus(it["commitment"]) for it in taken]
            deltas.append(plus(posting["new balance"], minus(account.balance), *less))
        given = [it["commitment"] for it in entry["credits"]]
        require(plus(*deltas, *given) == IDENTITY, "the entry does not sum to zero")

        for posting, delta in zip(entry["postings"], deltas):
            institution = posting["institution"]
            account = self.account(institution, entry["asset"])
            own = plus(*(it["commitment"] for it in entry["credits"] if it["sender"] == institution))
            account.balance, account.sequence = posting["new balance"], posting["sequence"]
            account.pending = [it for it in account.pending if it["id"] not in posting["absorbed"]]
            account.outflow = plus(account.outflow, own)
            account.settled = plus(account.settled, delta, own)
            account.happened(height, transaction_id, 0, u32(position))
        for number, credit in enumerate(entry["credits"]):
            require(credit["institution"] in self.participants, "not a participant")
            account = self.account(credit["institution"], entry["asset"])
            identity = credit_id(transaction_id, position, number)
            record = b"".join([
                u64(account.arrivals), identity, credit["sender"], credit["commitment"],
                credit["details"], u8(0), u64(height), u8(0),
            ])
            account.pending.append({"number": account.arrivals, "id": identity, "bytes": record,
                                    "commitment": credit["commitment"]})
            account.arrivals += 1
            account.inflow = plus(account.inflow, credit["commitment"])
            account.happened(height, transaction_id, 1, identity)

    def sum_of(self, asset):
        """Of all balances and pending credits: the identity, at every height."""
        accounts = [it for name, it in self.accounts.items() if name.endswith(asset)]
        pending = [credit["commitment"] for it in accounts for credit in it.pending]
        return plus(*(it.balance for it in accounts), *pending)
