"""The key store of the operating system: a real Secret Service, and backends that are refused by their class."""

import base64
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from rap_journal.errors import KeyUnavailable, MisuseError
from rap_journal.testing import SeededRandomness
from rap_projections.key_providers import os_key_store
from rap_projections.key_providers.os_key_store import OsKeyStoreProvider, untrusted
from tests.canary import Canary, shown_with_locals
from tests.projections.key_providers.keepers import FakeBackend, library_with, with_secret_service, without_secret_service

KEY = bytes(range(32))


def backend_class(name: str, **attributes: object) -> object:
    """A backend whose class has this name, module included."""
    module, _, short = name.rpartition(".")
    return type(short, (FakeBackend,), {"__module__": module, **attributes})()


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[[object], None]:
    """Let the library `keyring` answer with a backend, whether it is installed or not."""

    return partial(library_with, patch=monkeypatch)


@pytest.fixture
def trusted(monkeypatch: pytest.MonkeyPatch) -> str:
    name = f"{FakeBackend.__module__}.{FakeBackend.__qualname__}"
    monkeypatch.setattr(os_key_store, "TRUSTED_BACKENDS", frozenset({name}))
    return name


@pytest.fixture
def provider() -> OsKeyStoreProvider:
    return OsKeyStoreProvider("rap-node", "node-17")


def test_a_provisioned_key_is_an_entry_and_provisioning_again_keeps_it(
    provider: OsKeyStoreProvider, use: Callable[[object], None], trusted: str
) -> None:
    """Mutation: where there is no entry, give no key, and make none."""
    backend = FakeBackend()
    use(backend)
    provider.provision(lambda count: KEY[:count])
    assert backend.entries == {("rap-node", "node-17"): base64.b64encode(KEY).decode()}
    provider.provision(lambda count: b"x" * count)
    assert provider.key_encryption_key() == KEY


def test_an_open_key_store_without_the_entry_is_no_reason_to_enroll_anew(
    provider: OsKeyStoreProvider, use: Callable[[object], None], trusted: str
) -> None:
    use(FakeBackend())
    with pytest.raises(KeyUnavailable, match="Check both names") as caught:
        provider.key_encryption_key()
    assert (caught.value.reason, caught.value.action) == ("no_key_store_entry", "retry")


@pytest.mark.parametrize(
    "text", ["", "hunter2", base64.b64encode(KEY[:-1]).decode(), base64.b64encode(KEY * 2).decode(), "ä" * 44]
)
def test_an_entry_that_is_no_key_is_not_used_and_not_shown(
    provider: OsKeyStoreProvider, use: Callable[[object], None], trusted: str, text: str
) -> None:
    use(FakeBackend({("rap-node", "node-17"): text}))
    with pytest.raises(KeyUnavailable) as caught:
        provider.key_encryption_key()
    assert caught.value.reason == "key_length"
    assert not text or text not in str(caught.value)


def test_what_a_backend_raises_is_unavailable_and_its_text_is_not_passed_on(
    provider: OsKeyStoreProvider, use: Callable[[object], None], trusted: str
) -> None:
    """Mutation: what a backend raised is passed over, or passed on."""
    use(FakeBackend(failure=RuntimeError("the secret is hunter2")))
    for attempt in (provider.key_encryption_key, lambda: provider.provision(lambda count: KEY[:count])):
        with pytest.raises(KeyUnavailable, match=r"does not answer \(RuntimeError\)") as caught:
            attempt()
        assert (caught.value.reason, caught.value.action) == ("key_store", "retry")
        assert caught.value.__cause__ is None and "hunter2" not in str(caught.value)


def test_no_frame_of_an_error_shows_the_key_that_a_backend_was_given_or_had(
    provider: OsKeyStoreProvider, use: Callable[[object], None], trusted: str
) -> None:
    """The new key, as an entry has it, stood in the frames of provisioning and of the backend."""

    class Locked(FakeBackend):
        def set_password(self, service: str, user: str, text: str) -> None:
            raise RuntimeError("locked")

    Locked.__module__, Locked.__qualname__ = FakeBackend.__module__, FakeBackend.__qualname__
    use(Locked())
    key = SeededRandomness("canary")(32)
    canary = Canary({"key": key, "entry": base64.b64encode(key)})
    with pytest.raises(KeyUnavailable) as caught:
        provider.provision(SeededRandomness("canary"))
    assert (caught.value.reason, canary.found_in(shown_with_locals(caught.value))) == ("key_store", [])


UNSAFE = [
    "keyring.backends.null.Keyring",
    "keyrings.alt.file.PlaintextKeyring",
    "keyrings.alt.file.EncryptedKeyring",
    "keyring.backends.SecretService.Other",
    "elsewhere.keyring.backends.SecretService.Keyring",
    f"{FakeBackend.__module__}.FakeBackend",
]


@pytest.mark.parametrize("name", UNSAFE)
def test_a_backend_that_is_not_on_the_list_is_refused_by_its_class_and_not_asked(
    provider: OsKeyStoreProvider, use: Callable[[object], None], name: str
) -> None:
    """Mutation: every backend is asked, the null one and that of plain files, too."""
    backend = backend_class(name)
    use(backend)
    for attempt in (provider.key_encryption_key, lambda: provider.provision(lambda count: KEY[:count])):
        with pytest.raises(KeyUnavailable, match=name) as caught:
            attempt()
        assert caught.value.reason == "unsafe_backend"
    assert isinstance(backend, FakeBackend) and backend.entries == {}


def test_where_no_key_store_answers_the_library_says_fail_and_this_says_what_to_start(
    provider: OsKeyStoreProvider, use: Callable[[object], None]
) -> None:
    """Mutation: no key store is told as one that is not trusted."""
    use(backend_class("keyring.backends.fail.Keyring"))
    with pytest.raises(KeyUnavailable, match="D-Bus session") as caught:
        provider.key_encryption_key()
    assert caught.value.reason == "no_key_store"


@pytest.mark.parametrize("name", sorted(os_key_store.TRUSTED_BACKENDS))
def test_the_backends_on_the_list_are_asked(provider: OsKeyStoreProvider, use: Callable[[object], None], name: str) -> None:
    use(backend_class(name))
    provider.provision(lambda count: KEY[:count])
    assert provider.key_encryption_key() == KEY


class Derived(FakeBackend):
    """What derives from a trusted class is another class."""


def test_a_class_derived_from_a_trusted_one_is_another_class(trusted: str) -> None:
    assert untrusted(FakeBackend()) is None
    assert untrusted(Derived()) == f"{Derived.__module__}.Derived"


@pytest.mark.parametrize(
    ("links", "unsafe"),
    [
        (["keyring.backends.SecretService.Keyring", "keyring.backends.libsecret.Keyring"], None),
        (["keyring.backends.SecretService.Keyring", "keyrings.alt.file.PlaintextKeyring"], "keyrings.alt.file.PlaintextKeyring"),
        (["keyring.backends.null.Keyring"], "keyring.backends.null.Keyring"),
        ([], "keyring.backends.chainer.ChainerBackend"),
    ],
)
def test_a_chain_is_as_good_as_its_weakest_link(links: list[str], unsafe: str | None) -> None:
    chain = backend_class("keyring.backends.chainer.ChainerBackend", backends=[backend_class(link) for link in links])
    assert untrusted(chain) == unsafe


def test_without_the_library_the_message_says_how_to_install_it(
    provider: OsKeyStoreProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(KeyUnavailable, match=r"pip install 'rap-node-state\[keystore\]'") as caught:
        provider.key_encryption_key()
    assert caught.value.reason == "missing_extra"


@pytest.mark.parametrize(("service", "user"), [("", "node"), ("rap", "")])
def test_an_entry_has_a_service_and_a_user(service: str, user: str) -> None:
    with pytest.raises(MisuseError):
        OsKeyStoreProvider(service, user)


def test_a_representation_names_the_entry(provider: OsKeyStoreProvider) -> None:
    assert repr(provider) == "OsKeyStoreProvider('rap-node', 'node-17')"
    assert provider.kind.name == "OS_KEY_STORE" and not provider.holds_private_keys


# The real thing

SCRIPT = """
import json, secretstorage
from contextlib import closing
from rap_journal.errors import StateStoreError
from rap_projections import NodeStore
from rap_projections.keys import OsKeyStoreProvider

keys = OsKeyStoreProvider("rap-node", "node-17")
told = {}

def error_of(step):
    try:
        step()
    except StateStoreError as error:
        return [type(error).__name__, error.reason]

told["before"] = error_of(keys.key_encryption_key)
with NodeStore.open("STORE", keys=keys, create=True, background=False) as store:
    told["protection"] = store.report()["protection"]
key = keys.key_encryption_key()
told["again"] = error_of(lambda: NodeStore.open("STORE", keys=keys, background=False).close())
with closing(secretstorage.dbus_init()) as bus:
    collection = secretstorage.get_default_collection(bus)
    (item,) = collection.search_items({"service": "rap-node", "username": "node-17"})
    told["kept"] = len(item.get_secret())
    collection.lock()
    told["locked"] = error_of(keys.key_encryption_key)
    told["locked_open"] = error_of(lambda: NodeStore.open("STORE", keys=keys, background=False).close())
print(json.dumps(told))
"""


def test_a_store_lives_by_a_key_in_a_secret_service(tmp_path: Path) -> None:
    told = with_secret_service(tmp_path, SCRIPT.replace("STORE", str(tmp_path / "store")))
    assert told == {
        "before": ["KeyUnavailable", "no_key_store_entry"],
        "protection": "os_key_store",
        "again": None,
        "kept": 44,
        "locked": ["KeyUnavailable", "key_store"],
        "locked_open": ["KeyUnavailable", "key_store"],
    }
    held = [path for path in tmp_path.rglob("*") if path.is_file() and b"rap-node" in path.read_bytes()]
    assert held == [], "neither the collection nor the store names the entry in plain text"


NONE_THERE = """
import json
from rap_journal.errors import KeyUnavailable
from rap_projections.keys import OsKeyStoreProvider
try:
    OsKeyStoreProvider("rap-node", "node-17").key_encryption_key()
except KeyUnavailable as error:
    print(json.dumps(error.reason))
"""


def test_without_a_secret_service_the_real_library_finds_none(tmp_path: Path) -> None:
    assert without_secret_service(tmp_path, NONE_THERE) == "no_key_store"
