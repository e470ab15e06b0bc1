"""Randomness that repeats: the stand-in for the system's random bytes in tests.

Rules this file keeps: the same seed gives the same answers to the same questions in the same order; nothing here is secret.

Example::

    randomness = SeededRandomness(7)
    assert randomness(16) == SeededRandomness(7)(16)
"""

import hashlib
from itertools import count


class SeededRandomness:
    """Random bytes from a seed: call number i for n bytes is the first n bytes of SHAKE-256 over seed and i.

    Args:
        seed: any integer or text; print it when a test fails.
    """

    def __init__(self, seed: int | str) -> None:
        self.seed = seed
        self._calls = count()

    def __call__(self, length: int) -> bytes:
        """The next `length` bytes."""
        return hashlib.shake_256(f"{self.seed!r}/{next(self._calls)}".encode()).digest(length)

    def __repr__(self) -> str:
        return f"SeededRandomness({self.seed!r})"
