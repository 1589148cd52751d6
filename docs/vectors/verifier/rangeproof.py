"""Aggregated range proofs of 64 bits: "Bulletproofs" (Bünz et al. 2018), sections 4.2, 4.3 and 3.1,
in the format and with the transcript of docs/protocols/ledger.md, "Range proofs"."""

import functools
import hashlib

from merlin import Transcript
from ristretto import B, B_BLINDING, L, decode, encode, equal, from_uniform, IDENTITY, multiply

N = 64
GENERATORS = bytes.fromhex("d507b68ae2ea366cfee9cd2bc28d3f736d9e7b2a5256effd17780e8150ed305a")


@functools.cache
def generators(letter, party):
    """The points G or H of one position: 64 bytes of SHAKE256 for each."""
    label = b"GeneratorsChain" + letter + party.to_bytes(4, "little")
    stream = hashlib.shake_256(label).digest(64 * N)
    return [from_uniform(stream[64 * i : 64 * i + 64]) for i in range(N)]


def parse(proof, m):
    """A, S, T_1, T_2 (points), t_x, t_x~, e~ (scalars), pairs (L, R), a, b; None if malformed."""
    rounds = (N * m).bit_length() - 1
    if len(proof) != 32 * (9 + 2 * rounds):
        return None
    parts = [proof[i : i + 32] for i in range(0, len(proof), 32)]
    scalars = [int.from_bytes(part, "little") for part in parts[4:7] + parts[-2:]]
    points = [decode(part) for part in parts[:4] + parts[7:-2]]
    if None in points or any(scalar >= L for scalar in scalars):
        return None
    return parts, points, scalars


def verify(context, commitments, proof):
    """Whether the commitments (encoded) open to values below 2^64, by the word of this proof."""
    m = 1
    while m < len(commitments):
        m *= 2
    commitments = commitments + [bytes(32)] * (m - len(commitments))
    values = [decode(commitment) for commitment in commitments]
    parsed = parse(proof, m)
    if parsed is None or None in values:
        return False
    parts, points, (t_x, t_x_blinding, e_blinding, a, b) = parsed
    # These must not be the identity.
    if any(part == bytes(32) for part in parts[:4] + parts[7:-2]):
        return False

    t = Transcript(b"quittance/v1/range-proof")
    t.append(b"generators", GENERATORS)
    t.append(b"context", context)
    t.append(b"dom-sep", b"rangeproof v1")
    t.append_u64(b"n", N)
    t.append_u64(b"m", m)
    for commitment in commitments:
        t.append(b"V", commitment)
    t.append(b"A", parts[0])
    t.append(b"S", parts[1])
    y, z = t.challenge(b"y", L), t.challenge(b"z", L)
    t.append(b"T_1", parts[2])
    t.append(b"T_2", parts[3])
    x = t.challenge(b"x", L)
    t.append(b"t_x", parts[4])
    t.append(b"t_x_blinding", parts[5])
    t.append(b"e_blinding", parts[6])
    w = t.challenge(b"w", L)
    t.append(b"dom-sep", b"ipp v1")
    t.append_u64(b"n", N * m)
    u = []
    for i in range(7, len(parts) - 2, 2):
        t.append(b"L", parts[i])
        t.append(b"R", parts[i + 1])
        u.append(t.challenge(b"u", L))

    # Equation (65): t_x B + t_x~ B~ = sum_j z^(2+j) V_j + delta B + x T_1 + x^2 T_2.
    A, S, T_1, T_2 = points[:4]
    y_powers = [pow(y, i, L) for i in range(N * m)]
    delta = (z - z * z) * sum(y_powers) - sum(pow(z, 3 + j, L) for j in range(m)) * (2**N - 1)
    left = multiply([t_x - delta, t_x_blinding], [B, B_BLINDING])
    weights = [pow(z, 2 + j, L) for j in range(m)] + [x, x * x]
    if not equal(left, multiply(weights, values + [T_1, T_2])):
        return False

    # Equations (66) to (68), with the inner product argument of section 3.1 written out: position i
    # of the folded vectors is the product of u_k or 1/u_k by the bits of i.
    y_inverse = pow(y, -1, L)
    inverses = [pow(u_k, -1, L) for u_k in u]
    scalars, bases = [1, x, -e_blinding, w * (t_x - a * b)], [A, S, B_BLINDING, B]
    for k, u_k in enumerate(u):
        scalars += [u_k * u_k, inverses[k] * inverses[k]]
        bases += points[4 + 2 * k : 6 + 2 * k]
    for i in range(N * m):
        s = s_inverse = 1
        for k, u_k in enumerate(u):
            bit = i >> len(u) - 1 - k & 1
            s = s * (u_k if bit else inverses[k]) % L
            s_inverse = s_inverse * (inverses[k] if bit else u_k) % L
        party, place = divmod(i, N)
        shifted = pow(z, 2 + party, L) * 2**place
        scalars += [-z - a * s, z + pow(y_inverse, i, L) * (shifted - b * s_inverse)]
        bases += [generators(b"G", party)[place], generators(b"H", party)[place]]
    return equal(multiply(scalars, bases), IDENTITY)


def generators_digest(hash_of):
    """GENERATORS from its definition: 16,386 points, some seconds."""
    points = [B, B_BLINDING]
    for party in range(128):
        points += generators(b"G", party) + generators(b"H", party)
    return hash_of("quittance/v1/range-proof-generators", b"".join(encode(p) for p in points))
