"""From a passphrase to a key: scrypt, with the bounds that its parameters must keep (RFC 7914).

Rules this file keeps:

- Parameters below the minimum are never used, whoever wrote them down: they would make guessing cheap.
- Parameters above the maximum are never used either: they would take the memory of the node that tries them.
- No more than the 32 bytes of the key leave this file. The passphrase is the caller's to wipe.

The minimum is what OWASP's "Password Storage Cheat Sheet" asks of scrypt: N = 2**17, r = 8, p = 1, which takes 128 MiB and a
good part of a second for each guess.

Example::

    key = derive_key(passphrase, salt, Kdf())
"""

import hashlib
from typing import NamedTuple

from rap_journal.errors import KeyUnavailable

KEY_BYTES = 32

COST_MIN, COST_MAX = 17, 20
"""Bounds of log2 of scrypt's N."""

BLOCK_MIN, BLOCK_MAX = 8, 8
"""Bounds of scrypt's r: the memory taken is 128 · N · r bytes, so at most 1 GiB."""

PARALLEL_MIN, PARALLEL_MAX = 1, 4
"""Bounds of scrypt's p: how often all of it is done."""

PASSPHRASE_BYTES_MIN = 16
"""A shorter passphrase is not taken for a new slot: no work factor makes up for one that can be guessed."""

PASSPHRASE_BYTES_MAX = 1024


class Kdf(NamedTuple):
    """Parameters of scrypt.

    Attributes:
        cost: log2 of N.
        block: r.
        parallel: p.
    """

    cost: int = COST_MIN
    block: int = BLOCK_MIN
    parallel: int = PARALLEL_MIN

    @property
    def is_within_bounds(self) -> bool:
        """Whether these may be used."""
        return (
            COST_MIN <= self.cost <= COST_MAX
            and BLOCK_MIN <= self.block <= BLOCK_MAX
            and PARALLEL_MIN <= self.parallel <= PARALLEL_MAX
        )


def derive_key(passphrase: bytes | bytearray, salt: bytes, kdf: Kdf) -> bytes:
    """32 bytes from a passphrase; `kdf` is within its bounds. Raises `KeyUnavailable` where its memory, 128 · N · r bytes, is not there."""
    assert kdf.is_within_bounds, "bounds are checked where parameters come from"
    memory = 128 * kdf.block * ((1 << kdf.cost) + kdf.parallel + 2)
    try:
        return hashlib.scrypt(passphrase, salt=salt, n=1 << kdf.cost, r=kdf.block, p=kdf.parallel, maxmem=memory, dklen=KEY_BYTES)
    except (ValueError, MemoryError) as error:
        del passphrase  # No frame of the error has it.
        raise KeyUnavailable(
            f"a passphrase cannot be turned into its key without {memory >> 20} MiB of memory; nothing was opened. Free memory, and try again.",
            reason="no_memory",
        ) from error
