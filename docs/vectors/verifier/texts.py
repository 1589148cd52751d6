"""How the files show values of the elementary types: how each is read, and how it is written."""

import uuid

from canonical import Reader, SUITE_NAMES, option, sequence, string, u8, u32, u64

unhex = bytes.fromhex
NUMBERS = {name: number for number, name in SUITE_NAMES.items()}

TEXTS = {
    "u8": (Reader.u8, u8),
    "u16": (Reader.u16, lambda it: it.to_bytes(2, "big")),
    "u32": (Reader.u32, u32),
    "committee id": (Reader.u32, u32),
    "u64": (lambda r: str(r.u64()), lambda it: u64(int(it))),
    "height": (lambda r: str(r.u64()), lambda it: u64(int(it))),
    "[4]": (lambda r: r.take(4).hex(), unhex),
    "bytes<=4": (lambda r: r.string(4).hex(), lambda it: string(unhex(it))),
    "list<=3 of u64": (
        lambda r: [str(it) for it in r.list(3, Reader.u64)],
        lambda it: sequence([u64(int(each)) for each in it]),
    ),
    "option of u64": (
        lambda r: r.option(lambda it: str(it.u64())),
        lambda it: option(None if it is None else u64(int(it))),
    ),
    "tag<3": (lambda r: r.tag(3), u8),
    "institution id": (lambda r: r.institution().rstrip(b"\0").decode(),
                       lambda it: it.encode().ljust(11, b"\0")),
    "asset id": (lambda r: r.asset().rstrip(b"\0").decode(),
                 lambda it: it.encode().ljust(12, b"\0")),
    "UETR": (lambda r: str(uuid.UUID(bytes=r.take(16))), lambda it: uuid.UUID(it).bytes),
    "suite": (lambda r: SUITE_NAMES[r.suite()], lambda it: u8(NUMBERS[it])),
    "scalar": (lambda r: r.scalar().to_bytes(32, "little").hex(), unhex),
    "commitment": (lambda r: r.commitment().hex(), unhex),
    "opening": (
        lambda r: [str(r.u64()), r.scalar().to_bytes(32, "little").hex()],
        lambda it: u64(int(it[0])) + unhex(it[1]),
    ),
}
