"""A passphrase: asked for each time, wiped where it can be, and a way back in when every other provider is gone."""

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rap_journal.errors import KeyUnavailable, MisuseError
from rap_journal.passphrase_kdf import Kdf, derive_key
from rap_journal.testing import SeededRandomness
from rap_projections import NodeStore
from rap_projections.keys import FileKeyProvider, RecoveryPassphraseProvider
from rap_projections.testing import Fabric
from tests.canary import Canary, shown_with_locals

WORDS = b"correct horse battery staple"
SALT = bytes(32)


class Person:
    """Somebody who knows the passphrase, and counts how often he was asked."""

    def __init__(self, words: bytes = WORDS) -> None:
        self.words = words
        self.handed_out: list[bytearray] = []

    def __call__(self) -> bytearray:
        self.handed_out.append(bytearray(self.words))
        return self.handed_out[-1]


def test_the_key_of_a_slot_is_scrypt_of_the_passphrase_and_its_salt() -> None:
    assert RecoveryPassphraseProvider(lambda: WORDS).slot_key(SALT, Kdf()) == derive_key(WORDS, SALT, Kdf())


def test_a_buffer_is_wiped_after_use_and_nothing_of_it_is_kept() -> None:
    person = Person()
    provider = RecoveryPassphraseProvider(person)
    provider.slot_key(SALT, Kdf())
    assert person.handed_out == [bytearray(len(WORDS))]
    assert WORDS.decode() not in repr(vars(provider)) + repr(provider) + str(provider)


@pytest.mark.parametrize("leave", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_provider_is_neither_pickled_nor_copied_with_whoever_knows_the_passphrase(leave: Callable[[object], object]) -> None:
    """A pickle of it held what it asks, and with that the passphrase."""
    with pytest.raises(TypeError, match="a RecoveryPassphraseProvider holds secrets and cannot be copied or pickled"):
        leave(RecoveryPassphraseProvider(Person()))


@pytest.mark.parametrize("words", [b"", b"x" * 15, b"x" * 1025])
def test_a_passphrase_of_no_sensible_length_is_not_tried_and_wiped_all_the_same(words: bytes) -> None:
    """Mutation: where the passphrase has no sensible length, give no key."""
    person = Person(words)
    with pytest.raises(KeyUnavailable, match="16 to 1024 bytes") as caught:
        RecoveryPassphraseProvider(person).slot_key(SALT, Kdf())
    assert caught.value.reason == "passphrase_length"
    assert not any(person.handed_out[0])


@pytest.mark.parametrize("ask", [WORDS, bytearray(WORDS), WORDS.decode(), None, 7], ids=lambda ask: type(ask).__name__)
def test_a_passphrase_in_the_place_of_what_asks_for_it_is_refused_at_once_and_not_shown(ask: Any) -> None:
    """It was taken, and the first opening failed with an error of another kind."""
    with pytest.raises(MisuseError, match=f"ask cannot be of type {type(ask).__name__}: it is called") as caught:
        RecoveryPassphraseProvider(ask)
    assert caught.value.reason == "bad_ask" and WORDS.decode() not in str(caught.value)
    with pytest.raises(MisuseError, match="kdf cannot be of type int"):
        RecoveryPassphraseProvider(Person(), 17)  # type: ignore[arg-type]  # the slip that is tested


@pytest.mark.parametrize("given", [WORDS.decode(), None, list(WORDS), memoryview(WORDS)], ids=lambda given: type(given).__name__)
def test_what_is_no_bytes_is_no_passphrase_and_in_no_frame_of_the_error(given: Any) -> None:
    """A text, or nothing, was an error of type in the middle of an opening."""
    with pytest.raises(
        MisuseError, match=f"`ask` gave a passphrase of type {type(given).__name__}; nothing was opened"
    ) as caught:
        RecoveryPassphraseProvider(lambda: given).slot_key(SALT, Kdf())
    assert caught.value.reason == "bad_passphrase"
    assert Canary({"passphrase": WORDS}).found_in(shown_with_locals(caught.value)) == []


@pytest.mark.parametrize("words", [WORDS[:15], WORDS * 40])
def test_a_passphrase_of_no_sensible_length_is_in_no_frame_of_the_error(words: bytes) -> None:
    """Collectors of errors send local variables along, and there stood a passphrase that is bytes, which nobody can wipe."""
    with pytest.raises(KeyUnavailable) as caught:
        RecoveryPassphraseProvider(lambda: words).slot_key(SALT, Kdf())
    assert Canary({"passphrase": WORDS[:15]}).found_in(shown_with_locals(caught.value)) == []


def test_new_slots_take_no_parameters_outside_the_bounds() -> None:
    with pytest.raises(MisuseError) as caught:
        RecoveryPassphraseProvider(Person(), Kdf(10, 8, 1))
    assert caught.value.reason == "kdf_bounds"


def test_there_is_no_key_without_a_slot() -> None:
    person = Person()
    provider = RecoveryPassphraseProvider(person)
    provider.provision(SeededRandomness(0))
    with pytest.raises(MisuseError):
        provider.key_encryption_key()
    assert person.handed_out == []


@pytest.mark.slow
def test_a_node_whose_key_file_is_lost_comes_back_by_its_passphrase_with_all_clusters(tmp_path: Path) -> None:
    root, file, fabric = tmp_path / "store", FileKeyProvider(tmp_path / "node.key"), Fabric("lab")
    person = Person()
    with NodeStore.open(root, keys=file, create=True, background=False) as store:
        digest = store.join("lab", bundle=fabric.bootstrap, expect=fabric.fingerprint).digest()
        assert store.keys.add_slot(RecoveryPassphraseProvider(person)) == 2
        assert len(person.handed_out) == 2
    Path(file.path).unlink()
    with pytest.raises(KeyUnavailable):
        NodeStore.open(root, keys=file, background=False)
    with pytest.raises(KeyUnavailable) as caught:
        NodeStore.open(root, keys=RecoveryPassphraseProvider(Person(b"incorrect horse battery")), background=False)
    assert caught.value.reason == "wrong_key"
    new = FileKeyProvider(tmp_path / "new.key")
    new.provision(SeededRandomness(7))
    with NodeStore.open(root, keys=RecoveryPassphraseProvider(person), background=False) as store:
        assert (store.report()["protection"], store.cluster("lab").digest()) == ("recovery_passphrase", digest)
        store.keys.add_slot(new)
    with NodeStore.open(root, keys=new, background=False) as store:
        old = [slot for slot in store.keys.slots() if slot.provider.name == "FILE"][::2]
        assert [slot.journal for slot in old] == ["agent", "lab"]
        for slot in old:
            store.keys.remove_slot(slot.id)
        assert [slot.provider.name for slot in store.keys.slots()] == ["RECOVERY_PASSPHRASE", "FILE"] * 2
        assert store.cluster("lab").digest() == digest
