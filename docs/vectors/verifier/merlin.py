"""Merlin transcripts (merlin.cool) over STROBE-128 (strobe.sourceforge.io) over Keccak-f[1600]."""

MASK = 2**64 - 1


def _constants():
    """Round constants and rotations of Keccak (FIPS 202, sections 3.2.2 and 3.2.5)."""
    rounds, register = [], 1
    for _ in range(24):
        constant = 0
        for j in range(7):
            if register & 1:
                constant |= 1 << (1 << j) - 1
            register = register << 1 ^ (0x171 if register & 0x80 else 0)
        rounds.append(constant)
    rotations = [[0] * 5 for _ in range(5)]
    x, y = 1, 0
    for t in range(24):
        rotations[x][y] = (t + 1) * (t + 2) // 2 % 64
        x, y = y, (2 * x + 3 * y) % 5
    return rounds, rotations


ROUNDS, ROTATIONS = _constants()


def _rotate(lane, by):
    return (lane << by | lane >> 64 - by) & MASK if by else lane


def keccak(state):
    a = [[int.from_bytes(state[8 * (x + 5 * y) :][:8], "little") for y in range(5)] for x in range(5)]
    for constant in ROUNDS:
        c = [a[x][0] ^ a[x][1] ^ a[x][2] ^ a[x][3] ^ a[x][4] for x in range(5)]
        d = [c[x - 1] ^ _rotate(c[(x + 1) % 5], 1) for x in range(5)]
        b = [[0] * 5 for _ in range(5)]
        for x in range(5):
            for y in range(5):
                b[y][(2 * x + 3 * y) % 5] = _rotate(a[x][y] ^ d[x], ROTATIONS[x][y])
        a = [
            [b[x][y] ^ (~b[(x + 1) % 5][y] & b[(x + 2) % 5][y]) for y in range(5)] for x in range(5)
        ]
        a[0][0] ^= constant
    lanes = (a[x][y] for y in range(5) for x in range(5))
    return bytearray(b"".join(lane.to_bytes(8, "little") for lane in lanes))


RATE = 166
I, A, C, M = 1, 2, 4, 16


class Strobe:
    def __init__(self, label):
        head = bytes([1, RATE + 2, 1, 0, 1, 96]) + b"STROBEv1.0.2"
        self.state = keccak(bytearray(head + bytes(200 - len(head))))
        self.position = self.begin = 0
        self.meta_ad(label)

    def _permute(self):
        self.state[self.position] ^= self.begin
        self.state[self.position + 1] ^= 0x04
        self.state[RATE + 1] ^= 0x80
        self.state = keccak(self.state)
        self.position = self.begin = 0

    def _absorb(self, data):
        for byte in data:
            self.state[self.position] ^= byte
            self.position += 1
            if self.position == RATE:
                self._permute()

    def _operation(self, flags):
        before, self.begin = self.begin, self.position + 1
        self._absorb([before, flags])
        if flags & C and self.position:
            self._permute()

    def meta_ad(self, data, more=b""):
        self._operation(M | A)
        self._absorb(data + more)

    def ad(self, data):
        self._operation(A)
        self._absorb(data)

    def prf(self, length):
        self._operation(I | A | C)
        output = bytearray()
        for _ in range(length):
            output.append(self.state[self.position])
            self.state[self.position] = 0
            self.position += 1
            if self.position == RATE:
                self._permute()
        return bytes(output)


class Transcript:
    def __init__(self, label):
        self.strobe = Strobe(b"Merlin v1.0")
        self.append(b"dom-sep", label)

    def append(self, label, message):
        self.strobe.meta_ad(label, len(message).to_bytes(4, "little"))
        self.strobe.ad(message)

    def append_u64(self, label, number):
        self.append(label, number.to_bytes(8, "little"))

    def challenge(self, label, modulus):
        self.strobe.meta_ad(label, (64).to_bytes(4, "little"))
        return int.from_bytes(self.strobe.prf(64), "little") % modulus
