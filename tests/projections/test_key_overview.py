"""The key files of a journal, looked at without changing them: generations, slots, copies, and what lacks a slot."""

import hashlib

import pytest

from rap_journal.errors import DamageError, KeyLost, KeyTampered, KeyUnavailable
from rap_journal.key_files import KeyProvider
from rap_journal.layout import KEY_FOLDERS
from rap_journal.markers import ProviderKind
from rap_projections.key_overview import JournalKeys, lacking, read_journal_keys, slots_seen
from rap_projections.testing import MemoryKeyProvider
from tests.projections.store_kit import CLUSTER, FOLDER, Ready, files, folder, ready, write_file

KEYS = "keys-00000001"
FIRST, SECOND = (f"{FOLDER}/{name}/{KEYS}" for name in KEY_FOLDERS)


class Other(MemoryKeyProvider):
    """A provider of another kind, with another key."""

    kind = ProviderKind.TPM2

    def __init__(self, key: bytes = b"o" * 32) -> None:
        super().__init__(key)


class Gone(MemoryKeyProvider):
    """A provider that lost its key."""

    def key_encryption_key(self) -> bytes:
        raise KeyLost("the key is gone; nothing was opened.", reason="gone")


@pytest.fixture
def it() -> Ready:
    return ready()


def seen(it: Ready, opener: KeyProvider | None) -> JournalKeys:
    return read_journal_keys(folder(it.kit.filesystem, FOLDER), CLUSTER, KEY_FOLDERS, opener)


def test_a_fresh_journal_has_one_generation_with_one_slot_that_its_key_opens(it: Ready) -> None:
    keys = seen(it, it.kit.keys)
    (generation,) = keys.generations
    (slot,) = generation.slots
    assert (keys.journal, keys.provider, keys.problem, keys.damaged_copies) == (CLUSTER, ProviderKind.MEMORY, None, ())
    assert (generation.number, generation.is_current, generation.is_authentic) == (1, True, True)
    assert generation.copies == {"identity": "whole", "trust": "whole"}
    assert (slot.provider, slot.opens, len(slot.id)) == (ProviderKind.MEMORY, True, 16)


def test_without_a_key_the_slots_are_shown_and_nothing_is_said_of_whom_they_open_for(it: Ready) -> None:
    (generation,) = seen(it, None).generations
    assert ([slot.opens for slot in generation.slots], generation.is_authentic) == ([None], None)


def test_each_of_several_slots_says_whether_the_key_opens_it(it: Ready) -> None:
    it.kit.store.keys.add_slot(Other())
    by_memory, by_other = (seen(it, opener).generations[0].slots for opener in (it.kit.keys, Other()))
    assert [(slot.provider, slot.opens) for slot in by_memory] == [(ProviderKind.MEMORY, True), (ProviderKind.TPM2, False)]
    assert [slot.opens for slot in by_other] == [False, True]


@pytest.mark.parametrize(
    ("opener", "error"), [(MemoryKeyProvider(bytes(32)), KeyUnavailable), (Other(), KeyUnavailable), (Gone(), KeyLost)]
)
def test_a_key_that_opens_nothing_is_a_problem_and_hides_no_slot(it: Ready, opener: KeyProvider, error: type[Exception]) -> None:
    keys = seen(it, opener)
    assert type(keys.problem) is error
    assert len(keys.generations[0].slots) == 1
    assert keys.generations[0].is_authentic is None


def test_a_newer_generation_is_the_current_one_and_the_older_one_stays(it: Ready) -> None:
    it.cluster._core.journal.rotate_data_key()
    keys = seen(it, it.kit.keys)
    assert [(generation.number, generation.is_current) for generation in keys.generations] == [(1, False), (2, True)]
    assert keys.problem is None


def test_a_list_that_was_changed_is_told_as_tampered(it: Ready) -> None:
    data = bytearray(files(it.kit.filesystem)[FIRST])
    data[-40] ^= 1  # in the authenticator
    whole = bytes(data[:-32]) + hashlib.sha256(data[:-32]).digest()
    for path in (FIRST, SECOND):
        write_file(it.kit.filesystem, path, whole)
    keys = seen(it, it.kit.keys)
    assert isinstance(keys.problem, KeyTampered)
    assert keys.generations[0].is_authentic is False
    assert seen(it, None).problem is None


@pytest.mark.parametrize(("victim", "name"), [(FIRST, "identity"), (SECOND, "trust")])
def test_a_damaged_copy_is_told_and_the_other_one_counts(it: Ready, victim: str, name: str) -> None:
    write_file(it.kit.filesystem, victim, b"x" * 300)
    keys = seen(it, it.kit.keys)
    assert keys.damaged_copies == (f"{name}/1",)
    assert (keys.generations[0].slots[0].opens, keys.problem) == (True, None)


def test_a_copy_that_is_missing_counts_as_damaged(it: Ready) -> None:
    folder(it.kit.filesystem, f"{FOLDER}/trust").unlink(KEYS)
    assert seen(it, None).damaged_copies == ("trust/1",)


def test_without_a_whole_copy_there_are_no_slots(it: Ready) -> None:
    for path in (FIRST, SECOND):
        write_file(it.kit.filesystem, path, bytes(300))
    keys = seen(it, it.kit.keys)
    assert keys.damaged_copies == ("identity/1", "trust/1")
    assert (keys.generations[0].slots, keys.generations[0].is_authentic) == ((), None)


def test_two_whole_copies_that_differ_are_told_and_the_first_one_counts(it: Ready) -> None:
    before = files(it.kit.filesystem)[SECOND]
    it.kit.store.keys.add_slot(Other())
    write_file(it.kit.filesystem, SECOND, before)
    (generation,) = seen(it, it.kit.keys).generations
    assert (generation.copies, len(generation.slots)) == ({"identity": "whole", "trust": "differs"}, 2)


def test_a_journal_without_its_marker_is_a_problem_of_that_journal(it: Ready) -> None:
    write_file(it.kit.filesystem, f"{FOLDER}/MARKER", bytes(1024))
    keys = seen(it, it.kit.keys)
    assert isinstance(keys.problem, DamageError)
    assert (keys.provider, keys.generations) == (None, ())


def test_nothing_is_changed_by_looking(it: Ready) -> None:
    before = files(it.kit.filesystem)
    seen(it, it.kit.keys)
    assert files(it.kit.filesystem) == before


def test_what_is_returned_shows_no_key_and_no_salt(it: Ready) -> None:
    shown = repr(seen(it, it.kit.keys))
    content = files(it.kit.filesystem)[FIRST]
    salt, wrapped = content[80:112], content[112:160]
    assert salt[:8].hex() in shown
    assert not any(secret.hex() in shown or repr(secret)[2:-1] in shown for secret in (salt[8:], wrapped, bytes(range(32))))


def test_what_one_journal_has_and_another_has_not_is_lacking() -> None:
    file, tpm = ProviderKind.FILE, ProviderKind.TPM2
    assert lacking([("agent", 1, file), ("lab", 1, file)]) == {}
    assert lacking([("agent", 1, file), ("agent", 1, tpm), ("lab", 1, file)]) == {"lab": (tpm,)}
    assert lacking([("agent", 1, file), ("agent", 2, tpm)]) == {"agent": (file, tpm)}
    assert lacking([]) == {}


def test_a_second_key_of_a_kind_that_one_journal_has_and_another_has_not_is_lacking() -> None:
    """Mutation: comparing kinds alone, a cluster that was joined later lacked the second key file unseen, and was lost with the first."""
    file = ProviderKind.FILE
    assert lacking([("agent", 1, file), ("agent", 1, file), ("lab", 1, file)]) == {"lab": (file,)}
    assert lacking([("agent", 1, file)] * 3 + [("lab", 1, file)]) == {"lab": (file, file)}
    assert lacking([("agent", 1, file)] * 2 + [("lab", 1, file)] * 2) == {}


def test_the_slots_of_journals_are_those_that_an_open_store_tells_of(it: Ready) -> None:
    it.kit.store.keys.add_slot(Other())
    told = [(slot.journal, slot.generation, slot.provider) for slot in it.kit.store.keys.slots() if slot.journal == CLUSTER]
    assert slots_seen([seen(it, None)]) == told
