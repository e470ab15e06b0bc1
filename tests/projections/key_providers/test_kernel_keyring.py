"""A key in the kernel's keyring: forgotten at reboot, so that its absence is no loss unless it was the only copy."""

import errno
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from rap_journal.errors import KeyLost, KeyUnavailable, MisuseError, StateStoreError
from rap_journal.kernel_keyring import KEYRINGS, add_key, read_key, remove_key
from rap_journal.testing import SeededRandomness
from rap_projections import NodeStore
from rap_projections.key_providers import kernel_keyring
from rap_projections.key_providers.kernel_keyring import KernelKeyringProvider
from tests.projections.key_providers.keepers import need_kernel_keyring

KEY = bytes(range(32))
REASONS = {errno.ENOKEY: "absent", errno.EKEYEXPIRED: "expired", errno.EKEYREVOKED: "revoked"}


@pytest.fixture
def name(request: pytest.FixtureRequest) -> Iterator[str]:
    """A description that no other test has; what is put under it is taken out again."""
    need_kernel_keyring()
    name = f"rap-test:{request.node.name}"
    yield name
    forget(name)


def forget(name: str) -> None:
    """What a reboot does to a key."""
    for keyring in KEYRINGS:
        with suppress(OSError):
            remove_key(keyring, name)


def error_of(provider: KernelKeyringProvider, kind: type[StateStoreError]) -> StateStoreError:
    with pytest.raises(kind) as caught:
        provider.key_encryption_key()
    assert type(caught.value) is kind
    return caught.value


@pytest.mark.parametrize("keyring", sorted(KEYRINGS))
def test_a_key_that_somebody_loaded_is_read(name: str, keyring: str) -> None:
    add_key(keyring, name, bytearray(KEY))
    assert KernelKeyringProvider(name, keyring).key_encryption_key() == KEY


def test_a_key_that_is_not_loaded_is_unavailable_and_the_message_says_how_to_load_it(name: str) -> None:
    """Mutation: where the kernel gives no key, give none."""
    error = error_of(KernelKeyringProvider(name), KeyUnavailable)
    assert (error.reason, error.action) == ("absent", "retry")
    assert f"keyctl padd user {name} @u < KEY" in str(error)


def test_provisioning_makes_no_key_that_a_reboot_would_lose(name: str) -> None:
    with pytest.raises(KeyUnavailable):
        KernelKeyringProvider(name).provision(SeededRandomness(0))
    with pytest.raises(OSError, match="ENOKEY"):
        read_key("user", name, 32)


def test_provisioning_takes_a_key_that_is_loaded_as_it_is(name: str) -> None:
    add_key("user", name, bytearray(KEY))
    KernelKeyringProvider(name).provision(SeededRandomness(0))
    assert KernelKeyringProvider(name).key_encryption_key() == KEY


def test_an_ephemeral_key_is_made_on_request_once_and_is_lost_with_the_keyring(name: str) -> None:
    provider = KernelKeyringProvider(name, ephemeral=True)
    provider.provision(lambda count: KEY[:count])
    provider.provision(SeededRandomness(0))
    assert provider.key_encryption_key() == KEY
    forget(name)
    error = error_of(provider, KeyLost)
    assert (error.reason, error.action) == ("absent", "reenroll")


@pytest.mark.parametrize("size", [1, 31, 33, 64])
def test_a_key_of_another_length_is_tampered(name: str, size: int) -> None:
    add_key("user", name, bytearray(size))
    assert error_of(KernelKeyringProvider(name), KeyUnavailable).reason == "key_length"


def test_a_store_lives_by_a_loaded_key_and_waits_for_it_after_a_reboot(name: str, tmp_path: Path) -> None:
    add_key("user", name, bytearray(KEY))
    keys = KernelKeyringProvider(name)
    with NodeStore.open(tmp_path / "store", keys=keys, create=True, background=False) as store:
        assert store.report()["protection"] == "kernel_keyring"
    forget(name)
    with pytest.raises(KeyUnavailable):
        NodeStore.open(tmp_path / "store", keys=keys, background=False)
    add_key("user", name, bytearray(KEY))
    NodeStore.open(tmp_path / "store", keys=keys, background=False).close()


@pytest.mark.parametrize("number", sorted(REASONS))
@pytest.mark.parametrize("ephemeral", [False, True])
def test_absent_expired_and_revoked_are_lost_only_where_there_is_no_other_copy(
    monkeypatch: pytest.MonkeyPatch, number: int, ephemeral: bool
) -> None:
    answer(monkeypatch, number)
    provider = KernelKeyringProvider("rap:node", ephemeral=ephemeral)
    assert error_of(provider, KeyLost if ephemeral else KeyUnavailable).reason == REASONS[number]


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.EACCES, "not_permitted"),
        (errno.ENOSYS, "no_kernel_keyring"),
        (errno.EPERM, "no_kernel_keyring"),
        (errno.ENOMEM, "kernel_keyring"),
    ],
)
@pytest.mark.parametrize("ephemeral", [False, True])
def test_what_else_the_kernel_answers_is_unavailable(
    monkeypatch: pytest.MonkeyPatch, number: int, reason: str, ephemeral: bool
) -> None:
    answer(monkeypatch, number)
    assert error_of(KernelKeyringProvider("rap:node", ephemeral=ephemeral), KeyUnavailable).reason == reason


def test_a_full_keyring_makes_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mutation: a key that the kernel did not take counts as made."""

    def full(*_arguments: object) -> int:
        raise OSError(errno.EDQUOT, "EDQUOT")

    answer(monkeypatch, errno.ENOKEY)
    monkeypatch.setattr(kernel_keyring, "add_key", full)
    with pytest.raises(KeyUnavailable, match="nothing was changed"):
        KernelKeyringProvider("rap:node", ephemeral=True).provision(SeededRandomness(0))


def answer(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Let the kernel answer every search with an error."""

    def read(_keyring: str, _description: str, _size_max: int) -> bytearray:
        raise OSError(number, errno.errorcode[number])

    monkeypatch.setattr(kernel_keyring, "read_key", read)


@pytest.mark.parametrize("keyring", ["", "thread", "@u", "group"])
def test_a_keyring_that_is_none_of_the_known_ones_is_refused(keyring: str) -> None:
    with pytest.raises(MisuseError) as caught:
        KernelKeyringProvider("rap:node", keyring)
    assert caught.value.reason == "keyring"


@pytest.mark.parametrize("description", ["", ".kernel", "new\nline", "x" * 256])
def test_a_description_that_the_kernel_would_not_take_is_refused(description: str) -> None:
    with pytest.raises(MisuseError) as caught:
        KernelKeyringProvider(description)
    assert caught.value.reason == "description"


def test_a_representation_names_the_place_of_the_key() -> None:
    assert repr(KernelKeyringProvider("rap:node", "session", ephemeral=True)) == (
        "KernelKeyringProvider('rap:node', 'session', ephemeral=True)"
    )
    assert repr(KernelKeyringProvider("rap:node")) == "KernelKeyringProvider('rap:node', 'user')"
    assert not KernelKeyringProvider("rap:node").holds_private_keys
