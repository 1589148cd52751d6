"""Canonical bytes and digests: docs/protocols/ledger.md, from "Encoding" to "Cryptographic objects"."""

import hashlib
import re

import ristretto

SUITES = {1: (1952, 3309, 1184, 1088), 2: (2592, 4627, 1568, 1568)}
SUITE_NAMES = {1: "ml-dsa-65+x25519-ml-kem-768", 2: "ml-dsa-87+x25519-ml-kem-1024"}


class Malformed(Exception):
    pass


def require(condition, what):
    if not condition:
        raise Malformed(what)


def H(label, *parts):
    label = label.encode()
    framed = (len(part).to_bytes(8, "big") + part for part in (label, *parts))
    return hashlib.sha256(b"".join(framed)).digest()


def u8(number):
    return number.to_bytes(1, "big")


def u32(number):
    return number.to_bytes(4, "big")


def u64(number):
    return number.to_bytes(8, "big")


def string(data):
    return u32(len(data)) + data


def sequence(items):
    return u32(len(items)) + b"".join(items)


def option(item):
    return b"\0" if item is None else b"\1" + item


class Reader:
    def __init__(self, data):
        self.data = data
        self.at = 0

    def take(self, length):
        require(self.at + length <= len(self.data), "input ends early")
        self.at += length
        return self.data[self.at - length : self.at]

    def number(self, width):
        return int.from_bytes(self.take(width), "big")

    def u8(self):
        return self.number(1)

    def u16(self):
        return self.number(2)

    def u32(self):
        return self.number(4)

    def u64(self):
        return self.number(8)

    def length(self, limit):
        length = self.u32()
        require(length <= limit, "length above its bound")
        return length

    def string(self, limit):
        return self.take(self.length(limit))

    def list(self, limit, item):
        return [item(self) for _ in range(self.length(limit))]

    def option(self, item):
        return item(self) if self.tag(2) else None

    def tag(self, count):
        tag = self.u8()
        require(tag < count, "unknown tag")
        return tag

    def version(self):
        require(self.u8() == 1, "unknown version")

    def digest(self):
        return self.take(32)

    def suite(self):
        suite = self.u8()
        require(suite in SUITES, "unknown suite")
        return suite

    def institution(self):
        return self._name(11, rb"[A-Z0-9]{4}[A-Z]{2}[A-Z0-9]{2}([A-Z0-9]{3})?")

    def asset(self):
        return self._name(12, rb"[A-Z0-9]{3,12}")

    def _name(self, width, form):
        name = self.take(width)
        require(re.fullmatch(form, name.rstrip(b"\0")), "malformed name")
        return name

    def scalar(self):
        scalar = int.from_bytes(self.take(32), "little")
        require(scalar < ristretto.L, "scalar not reduced")
        return scalar

    def commitment(self):
        commitment = self.take(32)
        require(ristretto.decode(commitment) is not None, "not an element of the group")
        return commitment

    def opening(self):
        return self.u64(), self.scalar()

    def _exactly(self, length):
        data = self.string(length)
        require(len(data) == length, "wrong length for its suite")
        return data

    def verifying_key(self):
        suite = self.suite()
        key = self._exactly(SUITES[suite][0])
        require(any(key[32:]), "t1 is zero")
        return suite, key

    def signature(self):
        suite = self.suite()
        return suite, self._exactly(SUITES[suite][1])

    def sealing_key(self):
        """ML-KEM encapsulation key and X25519 key."""
        suite = self.suite()
        length = SUITES[suite][2]
        key = self._exactly(length + 32)
        packed = int.from_bytes(key[: length - 32], "little")
        for i in range((length - 32) * 8 // 12):
            require(packed >> 12 * i & 0xFFF < 3329, "coefficient not below q")
        share = int.from_bytes(key[length:], "little")
        require(share < ristretto.P, "X25519 key not reduced")
        require(not _small_order(share), "X25519 key of small order")
        return suite, key[:length], key[length:]

    def sealed(self):
        suite = self.suite()
        encapsulation = self._exactly(SUITES[suite][3] + 32)
        ciphertext = self.string(64 * 1024 + 16)
        require(len(ciphertext) >= 16, "no tag")
        return suite, encapsulation[:-32], encapsulation[-32:], ciphertext

    def end(self):
        require(self.at == len(self.data), "bytes left over")


def _small_order(u):
    """Whether 8 times the point with this u-coordinate is the point at infinity: doubled thrice on
    v^2 = u^3 + 486662 u^2 + u (or its twist), as X : Z."""
    p, x, z = ristretto.P, u, 1
    for _ in range(3):
        s, d = (x + z) ** 2 % p, (x - z) ** 2 % p
        x, z = s * d % p, (s - d) * (d + 121666 * (s - d)) % p
    return z == 0


def read(data, item):
    """The one value in these bytes."""
    reader = Reader(data)
    value = item(reader)
    reader.end()
    return value


def ascending(items, what):
    require(all(one < next for one, next in zip(items, items[1:])), what + " not in strict order")


def fingerprint(suite, key, label="quittance/v1/key"):
    return H(label, u8(suite) + string(key))


# Merkle trees of lists: RFC 6962, section 2.1.


def _leaf(item):
    return hashlib.sha256(b"\0" + item).digest()


def _node(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


def _split(length):
    return 1 << (length - 1).bit_length() - 1


def _tree(leaves):
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    middle = _split(len(leaves))
    return _node(_tree(leaves[:middle]), _tree(leaves[middle:]))


def list_root(items):
    return H("quittance/v1/list", u64(len(items)), _tree([_leaf(item) for item in items]))


def root_by_path(item, index, length, path):
    """The root of the list that has the item at the index, by the hashes beside the way up."""
    require(index < length, "index out of range")
    path = list(path)

    def up(index, length):
        if length == 1:
            return _leaf(item)
        middle = _split(length)
        require(path, "path too short")
        beside = path.pop()
        if index < middle:
            return _node(up(index, middle), beside)
        return _node(beside, up(index - middle, length - middle))

    root = H("quittance/v1/list", u64(length), up(index, length))
    require(not path, "path too long")
    return root


# The trie under the state root.

EMPTY = b"SPARSE_MERKLE_PLACEHOLDER_HASH__"


def _bit(key, depth):
    return key[depth // 8] >> 7 - depth % 8 & 1


def _trie_leaf(key, value_hash):
    return hashlib.sha256(b"JMT::LeafNode" + key + value_hash).digest()


def _trie_node(left, right):
    return hashlib.sha256(b"JMT::IntrnalNode" + left + right).digest()


def trie_root(leaves, depth=0):
    """The root over pairs of key (32 bytes) and value."""
    if not leaves:
        return EMPTY
    if len(leaves) == 1:
        key, value = leaves[0]
        return _trie_leaf(key, hashlib.sha256(value).digest())
    halves = [[leaf for leaf in leaves if _bit(leaf[0], depth) == bit] for bit in (0, 1)]
    return _trie_node(trie_root(halves[0], depth + 1), trie_root(halves[1], depth + 1))


def check_trie_proof(root, key, value, proof):
    """Whether the trie with this root has this value, or nothing if None, under this key."""

    def read_proof(reader):
        leaf = reader.option(lambda it: (it.digest(), it.digest()))
        return leaf, reader.list(256, Reader.digest)

    leaf, siblings = read(proof, read_proof)
    if value is not None:
        require(leaf == (key, hashlib.sha256(value).digest()), "another leaf")
    elif leaf is not None:
        require(leaf[0] != key, "the key is there")
        same = all(_bit(leaf[0], depth) == _bit(key, depth) for depth in range(len(siblings)))
        require(same, "the leaf is elsewhere")
    above = EMPTY if leaf is None else _trie_leaf(*leaf)
    for depth, beside in zip(reversed(range(len(siblings))), siblings):
        above = _trie_node(beside, above) if _bit(key, depth) else _trie_node(above, beside)
    require(above == root, "the proof leads to another root")
