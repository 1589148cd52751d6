"""What is taken from PyPI: ML-DSA, ML-KEM, X25519 and the ciphers."""

import hashlib

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.mldsa import (
    MLDSA65PrivateKey, MLDSA65PublicKey, MLDSA87PrivateKey, MLDSA87PublicKey,
)
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from kyber_py.ml_kem import ML_KEM_768, ML_KEM_1024
from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_decrypt

from canonical import Reader, read


def verify_signature(suite, key, message, signature):
    """ML-DSA with an empty context."""
    kind = MLDSA65PublicKey if suite == 1 else MLDSA87PublicKey
    try:
        kind.from_public_bytes(key).verify(signature, message)
        return True
    except InvalidSignature:
        return False


def public_key_of(suite, seed):
    kind = MLDSA65PrivateKey if suite == 1 else MLDSA87PrivateKey
    return kind.from_seed_bytes(seed).public_key().public_bytes_raw()


XWING = {1: bytes.fromhex("5c2e2f2f5e5c"), 2: b"quittance/v1/x25519-ml-kem-1024"}


def open_seal(secret, sealed, associated):
    suite, ct_m, ct_x, ciphertext = read(sealed, Reader.sealed)
    share = X25519PrivateKey.from_private_bytes(secret[-32:])
    ss_m = (ML_KEM_768 if suite == 1 else ML_KEM_1024).decaps(secret[:-32], ct_m)
    ss_x = share.exchange(X25519PublicKey.from_public_bytes(ct_x))
    parts = ss_m, ss_x, ct_x, share.public_key().public_bytes_raw(), XWING[suite]
    key = hashlib.sha3_256(b"".join(parts)).digest()
    return ChaCha20Poly1305(key).decrypt(bytes(12), ciphertext, associated)


def open_note(key, note, associated):
    return crypto_aead_xchacha20poly1305_ietf_decrypt(note[24:], associated, note[:24], key)


def x25519_public(secret):
    return X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()
