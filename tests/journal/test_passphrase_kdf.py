"""scrypt with bounds: cheap guessing and a node's whole memory are both out of reach of whoever writes the parameters."""

import hashlib

import pytest

from rap_journal import passphrase_kdf
from rap_journal.errors import KeyUnavailable
from rap_journal.passphrase_kdf import Kdf, derive_key

SALT = bytes(range(32))


def test_the_key_is_scrypt_of_passphrase_and_salt() -> None:
    expected = hashlib.scrypt(b"correct horse battery", salt=SALT, n=2**17, r=8, p=1, maxmem=2**28, dklen=32)
    assert derive_key(bytearray(b"correct horse battery"), SALT, Kdf()) == expected


def test_a_guess_takes_128_mebibytes_at_least() -> None:
    assert (Kdf().cost, Kdf().block, Kdf().parallel) == (17, 8, 1)
    assert 128 * 2**passphrase_kdf.COST_MIN * passphrase_kdf.BLOCK_MIN == 128 << 20
    assert 128 * 2**passphrase_kdf.COST_MAX * passphrase_kdf.BLOCK_MAX == 1 << 30


@pytest.mark.parametrize("kdf", [Kdf(17, 8, 1), Kdf(20, 8, 4), Kdf(18, 8, 2)])
def test_parameters_within_the_bounds_may_be_used(kdf: Kdf) -> None:
    assert kdf.is_within_bounds


@pytest.mark.parametrize(
    "kdf",
    [Kdf(0, 0, 0), Kdf(16, 8, 1), Kdf(21, 8, 1), Kdf(17, 7, 1), Kdf(17, 9, 1), Kdf(17, 8, 0), Kdf(17, 8, 5), Kdf(2**31, 8, 1)],
)
def test_parameters_outside_the_bounds_may_not(kdf: Kdf) -> None:
    assert not kdf.is_within_bounds
    with pytest.raises(AssertionError):
        derive_key(b"passphrase", SALT, kdf)


@pytest.mark.parametrize("failure", [MemoryError(), ValueError("memory limit exceeded")], ids=["none left", "openssl says so"])
def test_without_memory_the_key_is_unavailable_and_no_bug(monkeypatch: pytest.MonkeyPatch, failure: Exception) -> None:
    """Mutation: let through what the library raises."""

    def starved(*_arguments: object, **_options: object) -> bytes:
        raise failure

    monkeypatch.setattr(hashlib, "scrypt", starved)
    with pytest.raises(KeyUnavailable, match="without 128 MiB of memory; nothing was opened") as caught:
        derive_key(b"a passphrase of some length", SALT, Kdf())
    assert (caught.value.reason, caught.value.action) == ("no_memory", "retry")
