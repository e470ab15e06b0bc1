"""The contract of all key providers: what the store may rely on, whoever holds its key-encryption key.

A provider whose keeper this machine lacks is skipped, and says what is missing.
"""

import base64
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from rap_journal.errors import KeyLost, KeyUnavailable
from rap_journal.filesystem import read_whole
from rap_journal.kernel_keyring import add_key, remove_key
from rap_journal.key_files import PassphraseProvider, make_key_file, open_keys, read_key_file
from rap_journal.markers import ProviderKind
from rap_journal.testing import MemoryFileSystem, SeededRandomness
from rap_projections import NodeStore
from rap_projections.key_providers import os_key_store
from rap_projections.key_providers.door import KEY_BYTES, ProvisioningKeyProvider
from rap_projections.key_providers.systemd_credential import DIRECTORY_VARIABLE
from rap_projections.keys import (
    FileKeyProvider,
    KernelKeyringProvider,
    OsKeyStoreProvider,
    RecoveryPassphraseProvider,
    SystemdCredentialProvider,
    Tpm2Provider,
)
from rap_projections.testing import Fabric, ManualClock, MemoryKeyProvider
from tests.canary import Canary, shown_with_locals
from tests.projections.key_providers.keepers import FakeBackend, library_with, need_kernel_keyring, software_tpm

KEY = SeededRandomness("the key of this contract")(KEY_BYTES)
PASSPHRASE = b"the passphrase of this contract"
JOURNAL_ID = b"journal-of-keys."
SALT = bytes(16)


class Kept(NamedTuple):
    """A provider, and ways to take its key away and to put another in its place; None where there is no such thing."""

    provider: ProvisioningKeyProvider
    lose: Callable[[], object] | None
    replace: Callable[[bytes], object] | None
    when_gone: type[KeyLost] | type[KeyUnavailable] = KeyUnavailable


@contextmanager
def file(tmp_path: Path, patch: pytest.MonkeyPatch) -> Iterator[Kept]:
    path = tmp_path / "key"
    yield Kept(FileKeyProvider(path), path.unlink, path.write_bytes)


@contextmanager
def memory(tmp_path: Path, patch: pytest.MonkeyPatch) -> Iterator[Kept]:
    yield Kept(MemoryKeyProvider(KEY), None, None)


@contextmanager
def passphrase(tmp_path: Path, patch: pytest.MonkeyPatch) -> Iterator[Kept]:
    known = [PASSPHRASE]
    yield Kept(
        RecoveryPassphraseProvider(lambda: known[0]),
        lambda: known.__setitem__(0, b""),
        lambda other: known.__setitem__(0, b"another passphrase " + other),
    )


@contextmanager
def systemd(tmp_path: Path, patch: pytest.MonkeyPatch) -> Iterator[Kept]:
    folder = tmp_path / "rap-node.service"
    folder.mkdir(0o700)
    credential = folder / "rap.key"
    credential.write_bytes(KEY)
    credential.chmod(0o600)
    patch.setenv(DIRECTORY_VARIABLE, str(folder))
    yield Kept(SystemdCredentialProvider("rap.key"), credential.unlink, credential.write_bytes)


@contextmanager
def keyring(tmp_path: Path, patch: pytest.MonkeyPatch) -> Iterator[Kept]:
    need_kernel_keyring()
    name = f"rap-test:contract:{tmp_path.name}"

    def load(key: bytes) -> None:
        add_key("user", name, bytearray(key))

    load(KEY)
    yield Kept(KernelKeyringProvider(name), lambda: remove_key("user", name), load)
    with suppress(OSError):
        remove_key("user", name)


@contextmanager
def ephemeral(tmp_path: Path, patch: pytest.MonkeyPatch) -> Iterator[Kept]:
    need_kernel_keyring()
    name = f"rap-test:ephemeral:{tmp_path.name}"
    yield Kept(KernelKeyringProvider(name, ephemeral=True), lambda: remove_key("user", name), None, KeyLost)
    with suppress(OSError):
        remove_key("user", name)


@contextmanager
def key_store(tmp_path: Path, patch: pytest.MonkeyPatch) -> Iterator[Kept]:
    backend = FakeBackend()
    patch.setattr(os_key_store, "TRUSTED_BACKENDS", frozenset({f"{FakeBackend.__module__}.{FakeBackend.__qualname__}"}))
    library_with(backend, patch)

    def replace(key: bytes) -> None:
        backend.entries = dict.fromkeys(backend.entries, base64.b64encode(key).decode())

    yield Kept(OsKeyStoreProvider("rap", "node"), backend.entries.clear, replace)


@contextmanager
def tpm2(tmp_path: Path, patch: pytest.MonkeyPatch) -> Iterator[Kept]:
    path = tmp_path / "blob"
    with software_tpm() as tpm:
        yield Kept(Tpm2Provider(path, tcti=tpm.tcti), path.unlink, None)


KEEPERS = (
    (ProviderKind.FILE, file),
    (ProviderKind.MEMORY, memory),
    (ProviderKind.RECOVERY_PASSPHRASE, passphrase),
    (ProviderKind.SYSTEMD_CREDENTIAL, systemd),
    (ProviderKind.KERNEL_KEYRING, keyring),
    (ProviderKind.KERNEL_KEYRING, ephemeral),
    (ProviderKind.OS_KEY_STORE, key_store),
    (ProviderKind.TPM2, tpm2),
)


@pytest.fixture(params=KEEPERS, ids=[keeper.__name__ for _kind, keeper in KEEPERS])
def kept(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kept]:
    kind, keeper = request.param
    with keeper(tmp_path, monkeypatch) as kept:
        assert kept.provider.kind is kind
        kept.provider.provision(SeededRandomness("provisioned"))
        yield kept


def key_of(provider: ProvisioningKeyProvider) -> bytes:
    """The key, as the store asks for it."""
    if isinstance(provider, PassphraseProvider):
        return provider.slot_key(SALT, provider.kdf)
    return provider.key_encryption_key()


def test_every_kind_of_provider_is_held_to_the_contract() -> None:
    assert {kind for kind, _keeper in KEEPERS} == set(ProviderKind)


def test_the_key_has_32_bytes_and_is_the_same_each_time_it_is_asked_for(kept: Kept) -> None:
    assert len(key_of(kept.provider)) == KEY_BYTES
    assert key_of(kept.provider) == key_of(kept.provider)


def test_provisioning_again_keeps_the_key(kept: Kept) -> None:
    before = key_of(kept.provider)
    kept.provider.provision(SeededRandomness("another key"))
    assert key_of(kept.provider) == before


def test_a_representation_shows_neither_key_nor_passphrase(kept: Kept) -> None:
    key = key_of(kept.provider)
    for secret in (key, PASSPHRASE):
        for text in (secret.hex(), base64.b64encode(secret).decode(), repr(secret)[2:-1]):
            assert text not in repr(kept.provider) + str(kept.provider)


def test_no_private_key_is_made_inside(kept: Kept) -> None:
    assert kept.provider.holds_private_keys is False


def test_a_key_that_is_gone_is_lost_only_where_no_copy_can_be_and_no_name_be_mistyped(kept: Kept) -> None:
    key = key_of(kept.provider)
    if kept.lose is None:
        pytest.skip("this provider cannot lose its key")
    kept.lose()
    with pytest.raises(kept.when_gone) as caught:
        key_of(kept.provider)
    assert type(caught.value) is kept.when_gone
    assert caught.value.action == ("reenroll" if kept.when_gone is KeyLost else "retry")
    assert key.hex() not in str(caught.value) and repr(key)[2:-1] not in str(caught.value)


def test_what_stands_in_the_place_of_the_key_and_is_none_is_never_taken_for_one(kept: Kept) -> None:
    if kept.replace is None or isinstance(kept.provider, PassphraseProvider):
        pytest.skip("any passphrase of a sensible length makes a key; others are kept where nothing can be put in their place")
    for wrong in (KEY[:-1], KEY + b"x"):
        kept.replace(wrong)
        with pytest.raises(KeyUnavailable) as caught:
            key_of(kept.provider)
        assert wrong.hex() not in str(caught.value)


def test_no_frame_of_an_error_about_what_is_no_key_shows_it(kept: Kept) -> None:
    """Collectors of errors send local variables along, and there stood all bytes of a key file that was one short."""
    if kept.replace is None or isinstance(kept.provider, PassphraseProvider):
        pytest.skip("any passphrase of a sensible length makes a key; others are kept where nothing can be put in their place")
    replace, caught = kept.replace, []
    for end in (-1, KEY_BYTES):
        replace(KEY[:end] + b"x" * (end > 0))
        try:
            kept.provider.key_encryption_key()
        except KeyUnavailable as error:
            caught.append((error.reason, Canary({"key": KEY[:-1]}).found_in(shown_with_locals(error))))
    assert caught == [("key_length", []), ("key_length", [])]


def test_a_data_key_is_wrapped_for_it_and_for_no_other(kept: Kept) -> None:
    root, data_key = MemoryFileSystem().open_root("/node", create=True), bytes(range(32))
    data = make_key_file(kept.provider, JOURNAL_ID, 1, data_key, SeededRandomness("slots"))
    with root.create("keys") as written:
        written.write_at(0, data)
    file = read_key_file(root, "keys")
    assert open_keys(file, kept.provider) == data_key
    assert data_key not in read_whole(root, "keys", 1 << 16)
    if kept.replace is not None:
        kept.replace(SeededRandomness("another key")(KEY_BYTES))
        with pytest.raises(KeyUnavailable):
            open_keys(file, kept.provider)


def test_a_store_lives_by_it(kept: Kept) -> None:
    filesystem, clock, fabric = MemoryFileSystem(), ManualClock(), Fabric("lab")
    with NodeStore.open("/node", keys=kept.provider, filesystem=filesystem, clock=clock, create=True, background=False) as store:
        digest = store.join("lab", bundle=fabric.bootstrap, expect=fabric.fingerprint).digest()
        assert store.report()["protection"] == kept.provider.kind.name.lower()
    with NodeStore.open("/node", keys=kept.provider, filesystem=filesystem, clock=clock, background=False) as store:
        assert (store.unopened, store.cluster("lab").digest()) == ({}, digest)
