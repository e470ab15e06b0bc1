"""The door: a key has its length, a buffer is wiped, and every provider stands behind it."""

from collections.abc import Callable
from contextlib import suppress

import pytest

from rap_journal.errors import KeyUnavailable, MisuseError
from rap_journal.markers import ProviderKind
from rap_journal.testing import SeededRandomness
from rap_projections.key_providers.door import KEY_BYTES, ProvisioningKeyProvider, checked_key, wiped
from rap_projections.keys import (
    FileKeyProvider,
    KernelKeyringProvider,
    OsKeyStoreProvider,
    RecoveryPassphraseProvider,
    SystemdCredentialProvider,
    Tpm2Anchor,
    Tpm2Provider,
)
from rap_projections.testing import MemoryKeyProvider
from tests.canary import Canary, shown_with_locals

PROVIDERS: list[ProvisioningKeyProvider] = [
    FileKeyProvider("key"), SystemdCredentialProvider("key"), KernelKeyringProvider("key"), Tpm2Provider("key"),
    OsKeyStoreProvider("service", "key"), RecoveryPassphraseProvider(bytearray), MemoryKeyProvider(),
]  # fmt: skip


def test_every_kind_has_one_provider() -> None:
    assert sorted(provider.kind for provider in PROVIDERS) == sorted(ProviderKind)


@pytest.mark.parametrize("provider", PROVIDERS, ids=repr)
def test_no_provider_of_this_release_holds_private_keys(provider: ProvisioningKeyProvider) -> None:
    assert provider.holds_private_keys is False


SLIPS: dict[str, Callable[[], object]] = {
    "path": lambda: FileKeyProvider(7),  # type: ignore[arg-type]  # each of these is the slip that is tested
    "name": lambda: SystemdCredentialProvider(7),  # type: ignore[arg-type]  # as above
    "description": lambda: KernelKeyringProvider(7),  # type: ignore[arg-type]  # as above
    "keyring": lambda: KernelKeyringProvider("key", 7),  # type: ignore[arg-type]  # as above
    "service": lambda: OsKeyStoreProvider(7, "key"),  # type: ignore[arg-type]  # as above
    "user": lambda: OsKeyStoreProvider("service", 7),  # type: ignore[arg-type]  # as above
    "tcti": lambda: Tpm2Provider("key", tcti=7),  # type: ignore[arg-type]  # as above
    "index": lambda: Tpm2Anchor("7"),  # type: ignore[arg-type]  # as above
}


@pytest.mark.parametrize("argument", SLIPS)
def test_a_provider_of_something_of_another_type_is_the_caller_s_mistake_at_once(argument: str) -> None:
    """Some took it, and others failed with whatever error came of it."""
    with pytest.raises(MisuseError, match=f"{argument} cannot be of type (int|str); nothing was done") as caught:
        SLIPS[argument]()
    assert caught.value.reason == f"bad_{argument}"


def test_a_key_of_the_right_length_comes_as_bytes() -> None:
    key = checked_key(bytearray(KEY_BYTES), "the place")
    assert (type(key), key) == (bytes, bytes(KEY_BYTES))


@pytest.mark.parametrize("key", [b"", b"s" * 31, b"s" * 33])
def test_a_key_of_another_length_is_tampered_and_not_shown(key: bytes) -> None:
    """Mutation: any number of bytes is a key."""
    with pytest.raises(KeyUnavailable, match="the place does not hold 32 bytes") as caught:
        checked_key(key, "the place")
    assert "sss" not in str(caught.value)


@pytest.mark.parametrize("size", [KEY_BYTES - 1, KEY_BYTES + 1])
def test_what_is_no_key_is_in_no_frame_of_the_error(size: int) -> None:
    """Collectors of errors send local variables along, and there stood all bytes of what was taken for a key."""
    canary = Canary({"key": SeededRandomness("canary")(KEY_BYTES - 1)})
    with pytest.raises(KeyUnavailable) as caught:
        checked_key(SeededRandomness("canary")(KEY_BYTES - 1) + b"xx"[: size - KEY_BYTES + 1], "the place")
    assert (caught.value.reason, canary.found_in(shown_with_locals(caught.value))) == ("key_length", [])


def test_a_buffer_is_wiped_also_where_its_use_fails() -> None:
    buffer = bytearray(b"secret")
    with suppress(ZeroDivisionError), wiped(buffer) as lent:
        assert lent is buffer
        raise ZeroDivisionError
    assert buffer == bytearray(6)
