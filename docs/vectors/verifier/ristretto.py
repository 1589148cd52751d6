"""The group ristretto255 (RFC 9496), over integers. Neither fast nor constant time: for public data.

A point is (X, Y, Z, T) on the twisted Edwards curve -x^2 + y^2 = 1 + d x^2 y^2, with x = X/Z,
y = Y/Z and T = XY/Z.
"""

import hashlib

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
SQRT_M1 = pow(2, (P - 1) // 4, P)


def _negative(x):
    return x % P & 1


def _abs(x):
    x %= P
    return P - x if x & 1 else x


def _sqrt_ratio(u, v):
    """RFC 9496, section 4.2: whether u/v is a square, and the root of u/v or of i*u/v."""
    r = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
    check = v * r * r % P
    correct = check == u % P
    flipped = check == -u % P
    flipped_i = check == -u * SQRT_M1 % P
    if flipped or flipped_i:
        r = r * SQRT_M1 % P
    return correct or flipped, _abs(r)


INVSQRT_A_MINUS_D = _sqrt_ratio(1, -1 - D)[1]
SQRT_AD_MINUS_ONE = _sqrt_ratio(-D - 1, 1)[1]
# RFC 9496, section 4.1, fixes the odd root.
if SQRT_AD_MINUS_ONE != 25063068953384623474111414158702152701244531502492656460079210482610430750235:
    SQRT_AD_MINUS_ONE = P - SQRT_AD_MINUS_ONE
ONE_MINUS_D_SQ = (1 - D * D) % P
D_MINUS_ONE_SQ = (D - 1) ** 2 % P

IDENTITY = (0, 1, 1, 0)


def add(p, q):
    (x1, y1, z1, t1), (x2, y2, z2, t2) = p, q
    a = (y1 - x1) * (y2 - x2) % P
    b = (y1 + x1) * (y2 + x2) % P
    c = 2 * t1 * D * t2 % P
    d = 2 * z1 * z2 % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def negate(p):
    return -p[0] % P, p[1], p[2], -p[3] % P


def total(points):
    result = IDENTITY
    for point in points:
        result = add(result, point)
    return result


def equal(p, q):
    """RFC 9496, section 4.3.3."""
    return (p[0] * q[1] - p[1] * q[0]) % P == 0 or (p[1] * q[1] - p[0] * q[0]) % P == 0


def decode(data):
    """The point with this encoding, or None if it is nobody's encoding."""
    s = int.from_bytes(data, "little")
    if len(data) != 32 or s >= P or _negative(s):
        return None
    u1, u2 = (1 - s * s) % P, (1 + s * s) % P
    v = (-D * u1 * u1 - u2 * u2) % P
    square, root = _sqrt_ratio(1, v * u2 * u2)
    x_den = root * u2 % P
    y_den = root * x_den * v % P
    x = _abs(2 * s * x_den)
    y = u1 * y_den % P
    t = x * y % P
    if not square or _negative(t) or y == 0:
        return None
    return x, y, 1, t


def encode(p):
    x0, y0, z0, t0 = p
    u1 = (z0 + y0) * (z0 - y0) % P
    u2 = x0 * y0 % P
    _, root = _sqrt_ratio(1, u1 * u2 * u2)
    den1, den2 = root * u1 % P, root * u2 % P
    z_inv = den1 * den2 * t0 % P
    if _negative(t0 * z_inv):
        x, y, den = y0 * SQRT_M1 % P, x0 * SQRT_M1 % P, den1 * INVSQRT_A_MINUS_D % P
    else:
        x, y, den = x0, y0, den2
    if _negative(x * z_inv):
        y = -y
    return _abs(den * (z0 - y)).to_bytes(32, "little")


def _map(data):
    """RFC 9496, section 4.3.4, MAP."""
    t = int.from_bytes(data, "little") % 2**255 % P
    r = SQRT_M1 * t * t % P
    u = (r + 1) * ONE_MINUS_D_SQ % P
    v = (-1 - r * D) * (r + D) % P
    square, s = _sqrt_ratio(u, v)
    if square:
        c = -1
    else:
        s, c = -_abs(s * t) % P, r
    n = (c * (r - 1) * D_MINUS_ONE_SQ - v) % P
    w0, w1 = 2 * s * v % P, n * SQRT_AD_MINUS_ONE % P
    w2, w3 = (1 - s * s) % P, (1 + s * s) % P
    return w0 * w3 % P, w2 * w1 % P, w1 * w3 % P, w0 * w2 % P


def from_uniform(data):
    """The element derived from 64 bytes (RFC 9496, section 4.3.4)."""
    return add(_map(data[:32]), _map(data[32:]))


def multiply(scalars, points):
    """The sum of scalar * point, by Pippenger's buckets."""
    width = 4 if len(points) < 32 else 7
    pairs = [(scalar % L, point) for scalar, point in zip(scalars, points, strict=True)]
    result = IDENTITY
    for shift in reversed(range(0, 253, width)):
        for _ in range(width):
            result = add(result, result)
        buckets = {}
        for scalar, point in pairs:
            digit = scalar >> shift & 2**width - 1
            if digit:
                buckets[digit] = add(buckets[digit], point) if digit in buckets else point
        running, window = IDENTITY, IDENTITY
        for digit in range(2**width - 1, 0, -1):
            if digit in buckets:
                running = add(running, buckets[digit])
            window = add(window, running)
        result = add(result, window)
    return result


B = decode(bytes.fromhex("e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76"))
B_BLINDING = from_uniform(hashlib.sha3_512(encode(B)).digest())


def commit(value, blinding):
    """Com(v; r) = v*B + r*B~."""
    return multiply([value, blinding], [B, B_BLINDING])
