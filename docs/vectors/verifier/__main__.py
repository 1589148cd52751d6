"""Checks the vectors beside this folder. Written from docs/protocols/ledger.md alone.

Usage: python docs/vectors/verifier [--generators] [file ...]

Without names all files are checked. --generators also computes the digest of the range proofs'
generators, which takes some seconds.
"""

import hashlib
import json
import sys
import uuid
from pathlib import Path

from cryptography.exceptions import InvalidTag

import ledger
import rangeproof
import ristretto
from canonical import (
    H, Malformed, Reader, SUITES, check_trie_proof, fingerprint, list_root, option, read, require,
    root_by_path, string, u8, u32, u64,
)
from libraries import open_note, open_seal, public_key_of, verify_signature, x25519_public
from texts import NUMBERS, TEXTS

unhex = bytes.fromhex
PURPOSES = ["transaction", "vote", "round", "receipt", "key-binding"]


def same(found, expected, what):
    found, expected = (it.hex() if isinstance(it, bytes) else it for it in (found, expected))
    require(found == expected, f"{what}: {found} is not {expected}")


def refused(run, what):
    try:
        run()
    except Malformed:
        return
    raise Malformed(f"{what}: is accepted")


def encoding(file):
    for case in file["accepted"]:
        decode, encode = TEXTS[case["type"]]
        same(read(unhex(case["bytes"]), decode), case["value"], case["type"])
        same(encode(case["value"]), case["bytes"], case["type"])
    for case in file["refused"]:
        refused(lambda: read(unhex(case["bytes"]), TEXTS[case["type"]][0]), case)


def digests(file):
    for case in file["digests"]:
        same(H(case["label"], *map(unhex, case["parts"])), case["digest"], case["label"])
    for case in file["lists"]:
        items = [unhex(item) for item in case["items"]]
        same(list_root(items), case["root"], "root of a list")
        for index, (item, path) in enumerate(zip(items, case["paths"], strict=True)):
            found = root_by_path(item, index, len(items), map(unhex, path))
            same(found, case["root"], "root by a path")
    ids = file["ids"]
    account, credits, opened = ids["account"], ids["credits"], ids["round"]
    found = b"".join(TEXTS[name + " id"][1](account[name]) for name in ("institution", "asset"))
    same(found, account["bytes"], "account id")
    for case in credits["ids"]:
        found = ledger.credit_id(unhex(credits["transaction"]), case["entry"], case["credit"])
        same(found, case["id"], "credit id")
    found = H("quittance/v1/round-id", unhex(opened["chain"]), unhex(opened["body digest"]))
    same(found, opened["id"], "round id")


def hash_to_scalar(label, *parts):
    framed = (len(part).to_bytes(8, "big") + part for part in (label.encode(), *parts))
    wide = hashlib.sha512(b"".join(framed)).digest()
    return (int.from_bytes(wide, "little") % ristretto.L).to_bytes(32, "little")


def commitments(file):
    same(ristretto.encode(ristretto.B), file["B"], "B")
    same(ristretto.encode(ristretto.B_BLINDING), file["B~"], "B~")
    points = []
    for case in file["openings"]:
        blinding = int.from_bytes(unhex(case["blinding"]), "little")
        points.append(ristretto.commit(int(case["value"]), blinding))
        same(ristretto.encode(points[-1]), case["commitment"], "commitment")
    same(ristretto.encode(ristretto.total(points)), file["sum of all"], "sum")
    derived = file["credit blindings"]
    for case in derived["scalars"]:
        parts = unhex(derived["seed"]), u32(case["index"])
        same(hash_to_scalar("quittance/v1/credit-blinding", *parts), case["scalar"], "scalar")


def signatures(file):
    for case in file:
        suite = NUMBERS[case["suite"]]
        found, key = read(unhex(case["verifying key"]), Reader.verifying_key)
        same(found, suite, "suite of the key")
        same(key, public_key_of(suite, unhex(case["seed"])), "key of the seed")
        same(fingerprint(suite, key), case["fingerprint"], "fingerprint")
        same([it["purpose"] for it in case["signed"]],
             ["quittance/v1/" + purpose for purpose in PURPOSES], "purposes")
        for signed in case["signed"]:
            message = H(signed["purpose"], unhex(signed["digest"]))
            same(message, signed["message"], "message")
            _, signature = read(unhex(signed["signature"]), Reader.signature)
            require(verify_signature(suite, key, message, signature), signed["purpose"])
            other = signature[:40] + bytes([signature[40] ^ 1]) + signature[41:]
            require(not verify_signature(suite, key, message, other), "a changed signature holds")


def range_proofs(file):
    for case in file["valid"]:
        listed = [unhex(it) for it in case["commitments"]]
        for (value, blinding), commitment in zip(case["openings"], listed, strict=True):
            point = ristretto.commit(int(value), int.from_bytes(unhex(blinding), "little"))
            same(ristretto.encode(point), commitment, "commitment")
        require(holds(case), "a range proof does not hold")
    for case in file["invalid"]:
        require(not holds(case), case["why"])


def holds(case):
    proof = read(unhex(case["proof"]), lambda it: it.string(1120))
    listed = [unhex(it) for it in case["commitments"]]
    return rangeproof.verify(unhex(case["context"]), listed, proof)


def seals(file):
    for case in file["seals"]:
        suite = NUMBERS[case["suite"]]
        secret, associated = unhex(case["secret key"]), unhex(case["associated data"])
        found, kem, share = read(unhex(case["sealing key"]), Reader.sealing_key)
        same(found, suite, "suite of the key")
        # dk = dk_PKE || ek || H(ek) || z (FIPS 203, algorithm 16).
        length = SUITES[suite][2]
        same(secret[length - 32 :][:length], kem, "encapsulation key")
        same(share, x25519_public(secret[-32:]), "X25519 key")
        key = kem + share
        label = "quittance/v1/sealing-key"
        same(fingerprint(suite, key, label), case["fingerprint"], "fingerprint")
        same(open_seal(secret, unhex(case["sealed"]), associated), case["text"], "seal")
        try:
            open_seal(secret, unhex(case["sealed"]), associated + b"!")
            raise Malformed("a seal opens elsewhere")
        except InvalidTag:
            pass
    note = file["note"]
    parts = unhex(note["key"]), unhex(note["note"]), unhex(note["associated data"])
    same(open_note(*parts), note["text"], "note")


def payload(reader):
    reader.version()
    found = {"opening": reader.opening(), "salt": reader.take(16),
             "UETR": str(uuid.UUID(bytes=reader.take(16))),
             "EndToEndId": reader.string(35).decode(), "remittance": reader.string(140).decode()}
    require(not any(reader.take(256 - reader.at)), "padding")
    return found


def self_note(reader):
    reader.version()
    opening = reader.opening()
    require(reader.tag(2) == 0, "an entry's note")
    instruction = reader.option(lambda it: it.take(16))
    return opening, instruction, reader.take(32), reader.list(32, Reader.u64)


def check_opened(state, transaction, shown, secrets):
    """What payer and payees find in the transaction with their secrets."""
    entry = transaction["body"]["entries"][0]
    posting, asset = entry["postings"][0], entry["asset"]
    place = state.chain + asset
    same(TEXTS["institution id"][1](shown["payer"]), posting["institution"], "payer")
    associated = (string(b"quittance/v1/self-note") + place + posting["institution"]
                  + u64(posting["sequence"]) + posting["new balance"])
    note = open_note(unhex(secrets[shown["payer"]]["note key"]), posting["self note"], associated)
    same(note, shown["self note"], "self note")
    (value, blinding), _, seed, amounts = read(note, self_note)
    same(str(value), shown["new balance"], "new balance")
    proven = posting["new balance"]
    if posting["institution"] == state.issuers[asset]:
        proven = ledger.minus(proven)
    same(ristretto.encode(ristretto.commit(value, blinding)), proven, "opening of the balance")
    for index, (credit, opened) in enumerate(zip(entry["credits"], shown["credits"], strict=True)):
        associated = (string(b"quittance/v1/credit-payload") + place + credit["sender"]
                      + credit["institution"] + credit["commitment"])
        secret = unhex(secrets[opened["receiver"]]["sealing key"])
        text = open_seal(secret, credit["sealed"], associated)
        same(text, opened["payload"], "payload")
        same(H("quittance/v1/credit-details", text), credit["details"], "details")
        found = read(text, payload)
        value, blinding = found["opening"]
        same(ristretto.encode(ristretto.commit(value, blinding)), credit["commitment"], "opening")
        same([str(value), value], [opened["amount"], amounts[index]], "amount")
        same(blinding.to_bytes(32, "little"),
             hash_to_scalar("quittance/v1/credit-blinding", seed, u32(index)), "blinding")
        same(found["salt"], H("quittance/v1/credit-salt", seed, u32(index))[:16], "salt")
        for name in ("UETR", "EndToEndId", "remittance"):
            same(found[name], opened[name], name)


def check_transaction(state, shown, height):
    raw = unhex(shown["bytes"])
    transaction = read(raw, ledger.transaction)
    same(ledger.body_digest(transaction["body"]), shown["body digest"], "body digest")
    same(ledger.proof_context(transaction["body"], 0), shown["proof context"], "proof context")
    signing = ledger.signing_digest(transaction)
    same(signing, shown["signing digest"], "signing digest")
    same(H("quittance/v1/transaction", signing), shown["message"], "message")
    identity = H("quittance/v1/transaction-id", raw)
    same(identity, shown["id"], "transaction id")
    for index, credit in enumerate(shown["credits"]):
        same(ledger.credit_id(identity, 0, index), credit["id"], "credit id")
    state.verify(transaction, verify_signature)
    state.execute(transaction, identity, height)
    return transaction, identity


def check_header(state, header, before, transaction_ids):
    """`before` is the block before: its id, height and time."""
    parent, height, time = before
    same(header["chain"], state.chain, "chain")
    same(header["suite"], state.genesis["suite"], "suite")
    same((header["parent"], header["height"]), (parent, height + 1), "parent and height")
    require(header["time"] > time, "time")
    same(header["transactions root"], list_root(transaction_ids), "transactions root")
    same(header["state root"], state.root(), "state root")
    validators = H("quittance/v1/validators", state.genesis["validator bytes"])
    same(header["validators"], validators, "validators")
    same(header["next validators"], validators, "next validators")


def check_certificate(state, block, header):
    certificate = read(unhex(block["certificate"]), ledger.certificate)
    same(certificate["block"], block["id"], "certified block")
    same(certificate["height"], header["height"], "certified height")
    vote = (state.chain + u64(certificate["height"]) + u32(certificate["round"]) + u8(1)
            + option(certificate["block"]))
    same(vote, block["vote"], "vote")
    digest = H("quittance/v1/vote-content", vote)
    same(digest, block["vote digest"], "vote digest")
    validators = {it[0]: it[1:] for it in state.genesis["validators"]}
    power = 0
    for institution, suite, signature in certificate["signatures"]:
        key_suite, key, weight = validators[institution]
        require(key_suite == suite == header["suite"], "suite")
        message = H("quittance/v1/vote", digest)
        require(verify_signature(suite, key, message, signature), "vote")
        power += weight
    require(3 * power > 2 * sum(it[2] for it in validators.values()), "no quorum")


def check_changes(state, block, before):
    """What the block writes, pending credits included."""
    after = dict(state.records())
    for name, account in state.accounts.items():
        after |= {u8(8) + name + u64(it["number"]): it["bytes"] for it in account.pending}
    written = {key: value for key, value in after.items() if before.get(key) != value}
    written |= {key: None for key in before if key not in after}
    shown = {unhex(it["key"]): it["value"] and unhex(it["value"]) for it in block["changes"]}
    same(sorted(shown), sorted(written), "keys of the changes")
    same(shown == written, True, "values of the changes")
    return after


def chain(file):
    state = ledger.State(unhex(file["genesis"]))
    same(state.chain, file["chain id"], "chain id")
    same(state.genesis["suite"], NUMBERS[file["suite"]], "suite")
    for name, secrets in file["secrets"].items():
        for purpose, seed in secrets["seeds"].items():
            kind = PURPOSES.index(purpose.removeprefix("quittance/v1/"))
            key = public_key_of(state.genesis["suite"], unhex(seed))
            institution = TEXTS["institution id"][1](name)
            found = fingerprint(state.genesis["suite"], key)
            require((institution, kind, found) in state.keys, f"a key of {name}")
    before, records = (bytes(32), 0, state.genesis["time"]), dict(state.records())
    for block in file["blocks"]:
        header = read(unhex(block["header"]), ledger.header)
        found = check_transaction(state, block["transaction"], header["height"])
        check_opened(state, found[0], block["transaction"], file["secrets"])
        check_header(state, header, before, [found[1]])
        identity = H("quittance/v1/block", unhex(block["header"]))
        same(identity, block["id"], "block id")
        check_certificate(state, block, header)
        records = check_changes(state, block, records)
        require(all(account.holds() for account in state.accounts.values()), "sums of an account")
        for asset in state.issuers:
            same(state.sum_of(asset), bytes(32), "double entry")
        before = identity, header["height"], header["time"]
    check_proofs(state, file["proofs"])
    for case in file["refused"]:
        raw = bytearray(unhex(file["blocks"][1]["transaction"]["bytes"]))
        put = unhex(case["put"])
        raw[case["at"] : case["at"] + len(put)] = put
        refused(lambda: read(bytes(raw), ledger.transaction), case["why"])


def check_proofs(state, proofs):
    for case in proofs:
        key, value, proof = unhex(case["key"]), case["value"], unhex(case["proof"])
        if key[0] == 8:
            account = state.accounts[key[1:24]]
            root = list_root([it["bytes"] for it in account.pending])
            same(root, case["pending root"], "pending root")
            index, length, path = read(
                proof, lambda it: (it.u64(), it.u64(), it.list(64, Reader.digest))
            )
            same(root_by_path(unhex(value), index, length, path), root, "pending credit")
        else:
            leaf = H("quittance/v1/state-key", key)
            same(leaf, case["leaf key"], "leaf key")
            check_trie_proof(state.root(), leaf, value and unhex(value), proof)


def proof(reader):
    return reader.u64(), reader.u64(), reader.list(64, Reader.digest)


def receipt(reader):
    """Version, subject, signatures, notice with its proof, and what makes it readable."""
    reader.version()
    subject = reader.take(32 + 32 + 1 + 32)
    words = reader.list(9, lambda it: (it.u8(), *it.signature()))
    notice = reader.take(11 + 32 + 4 + 4 + 32)
    return (
        subject, words, notice, proof(reader), reader.take(160), proof(reader), reader.opening(),
        (reader.scalar(), reader.scalar()),
    )


def receipts(file):
    details, leaf = file["details"], unhex(file["leaf"])
    found = H("quittance/v1/queue-details", unhex(details["salt"]) + uuid.UUID(details["UETR"]).bytes
              + string(details["EndToEndId"].encode()) + string(details["remittance"].encode()))
    same(found, details["digest"], "details")
    same(leaf[128:], found, "details of the leaf")
    same(hashlib.sha256(b"\0" + leaf).digest(), file["leaf hash"], "leaf")
    keys = [read(unhex(key), Reader.verifying_key) for key in file["receipt keys"]]
    for outcome in file["outcomes"]:
        subject, words, notice, signed, shown_leaf, in_queue, payee, pad = read(
            unhex(outcome["receipt"]), receipt
        )
        attempt = subject[64]
        same(subject[65:], outcome["notices"], "root of the notices")
        for (party, suite, signature), shown in zip(words, outcome["attestations"], strict=True):
            fields = subject + u8(party)
            digest = H("quittance/v1/notices", fields)
            same(digest, shown["digest"], "digest")
            message = H("quittance/v1/receipt", digest)
            same(message, shown["message"], "message")
            same(u8(1) + fields + u8(suite) + string(signature), shown["bytes"], "attestation")
            key_suite, key = keys[party - 1]
            require(key_suite == suite, "suite of a receipt key")
            require(verify_signature(suite, key, message, signature), "signature of a party")
        parties = [party for party, _, _ in words]
        require(parties == sorted(set(parties)), "a party twice")
        require(len(parties) >= file["threshold"] + 1, "too few parties")
        same(notice, outcome["notice"], "notice")
        same(root_by_path(notice, *signed), subject[65:], "notice under the signed root")
        same(notice[11:43], file["queue root"], "root of the queue")
        places, place = (int.from_bytes(notice[at : at + 4], "big") for at in (43, 47))
        require(in_queue[:2] == (place, places), "place of the leaf")
        same(root_by_path(shown_leaf, *in_queue), notice[11:43], "leaf in the queue")
        same(shown_leaf, leaf, "leaf of the receipt")
        same(ristretto.encode(ristretto.commit(*payee)), leaf[32:64], "payee of the leaf")
        same(payee[0], file["payee"], "payee")
        of_attempt = leaf[64 + 32 * attempt :][:32]
        same(ristretto.encode(ristretto.commit(*pad)), of_attempt, "pad of the leaf")
        says = (int.from_bytes(notice[51:], "little") - pad[0]) % ristretto.L
        same(says, int(outcome["settled"]), "what the notice says")


FILES = {
    "encoding.json": encoding,
    "digests.json": digests,
    "commitments.json": commitments,
    "signatures.json": signatures,
    "range-proofs.json": range_proofs,
    "seals.json": seals,
    "chain.json": chain,
    "chain-suite-2.json": chain,
    "receipts.json": receipts,
}


def main():
    folder = Path(__file__).resolve().parent.parent
    arguments = sys.argv[1:]
    if "--generators" in arguments:
        arguments.remove("--generators")
        same(rangeproof.generators_digest(H), rangeproof.GENERATORS, "digest of the generators")
        print("ok generators")
    for name in arguments or FILES:
        file = json.loads((folder / name).read_text())
        try:
            FILES[name](file)
        except Malformed as problem:
            sys.exit(f"{name}: {problem}")
        print(f"ok {name}", flush=True)


if __name__ == "__main__":
    main()
