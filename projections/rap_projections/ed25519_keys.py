"""Ed25519 public keys that are fit to be trusted, and the verification of one signature (RFC 8032).

Rules this file keeps:

- A key is accepted only in its one canonical encoding: the y coordinate is below p, and a point of the curve has it.
- A key of small order is refused: under one, a single signature verifies for many messages.
- A key's name, its kid, is the SHA-256 of its 32 bytes, so that one key cannot count as two.

Example::

    check_public_key(key)                         # raises BadSchema for a weak key
    verify_ed25519(key, signature, message)       # raises BadSignature
"""

import hashlib

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from rap_projections.refusals import BadSchema, BadSignature

PUBLIC_KEY_BYTES = 32
SIGNATURE_BYTES = 64

_P = 2**255 - 19
_D = -121665 * pow(121666, -1, _P) % _P
_SIGN_BIT = 1 << 255

SMALL_ORDER_Y = frozenset(
    {
        1,  # order 1
        _P - 1,  # order 2
        0,  # order 4, two points
        0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7,  # order 8, two points
        0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826,  # order 8, two points
    }
)
"""The y coordinates of the eight points whose order divides the cofactor 8."""


def key_id(public_key: bytes) -> bytes:
    """The kid of a public key: SHA-256 of its 32 bytes."""
    return hashlib.sha256(public_key).digest()


def check_public_key(public_key: bytes) -> None:
    """Raise `BadSchema` unless `public_key` is the canonical encoding of a point of large order."""
    if len(public_key) != PUBLIC_KEY_BYTES:
        raise BadSchema(f"a public key of {len(public_key)} bytes, not {PUBLIC_KEY_BYTES}")
    y = int.from_bytes(public_key, "little") & ~_SIGN_BIT
    if y >= _P:
        raise BadSchema("a public key that is not in its canonical encoding")
    if y in SMALL_ORDER_Y:
        raise BadSchema("a public key of small order")
    # x² = (y² - 1) / (d·y² + 1) has a root if and only if numerator times denominator is a square (Euler's criterion).
    numerator, denominator = (y * y - 1) % _P, (_D * y * y + 1) % _P
    if pow(numerator * denominator, (_P - 1) // 2, _P) != 1:
        raise BadSchema("a public key that is no point of the curve")


def verify_ed25519(public_key: bytes, signature: bytes, message: bytes) -> None:
    """Raise `BadSignature` unless `signature` is the Ed25519 signature of `message` under `public_key`."""
    if len(public_key) != PUBLIC_KEY_BYTES or len(signature) != SIGNATURE_BYTES:
        raise BadSignature("the signature or the key has not the size of Ed25519")
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError) as error:
        raise BadSignature("the signature does not verify") from error
