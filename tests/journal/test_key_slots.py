"""The slots of a key file: one more, one less, never in place of another, and whole again after any crash."""

import hashlib
from collections.abc import Callable
from itertools import count

import pytest

from rap_journal.errors import DamageError, FormatTooNew, KeyLost, KeyTampered, KeyUnavailable, MisuseError, StateStoreError
from rap_journal.filesystem import Directory
from rap_journal.format import KEYS_SLOT_COUNT_MAX
from rap_journal.key_files import KeyFile, check_slots, make_key_file, open_keys, read_key_file
from rap_journal.key_slots import install_key_file, read_key_files, slot_id, slot_names, slots_of, with_slot, without_slots
from rap_journal.layout import TEMPORARY, keys_name
from rap_journal.markers import ProviderKind
from rap_journal.passphrase_kdf import Kdf
from rap_journal.testing import MemoryFileSystem, SeededRandomness, SimulatedCrash
from rap_journal.verify_report import Severity
from tests.canary import Canary, shown_with_locals
from tests.journal.sound_journal import sound_files, verify_files
from tests.journal.test_recovery import Files, journal_of, opened_from
from tests.journal.workbench import HEALTH, PATH, FixedProvider, plant, tree

JOURNAL_ID = b"j" * 16
DATA_KEY = b"d" * 32
FOLDERS = ("identity", "trust")
NAME = keys_name(1)
RANDOMNESS = SeededRandomness(9)


class Words:
    """A passphrase whose key is made without scrypt's work, so that tests are quick."""

    kind = ProviderKind.RECOVERY_PASSPHRASE

    def __init__(self, words: bytes, kdf: Kdf | None = None) -> None:
        self.words = words
        self.kdf = kdf or Kdf()
        self.asked: list[Kdf] = []

    def key_encryption_key(self) -> bytes:
        raise AssertionError("a passphrase has no key without a slot")

    def slot_key(self, salt: bytes, kdf: Kdf) -> bytes:
        self.asked.append(kdf)
        return hashlib.sha256(self.words + salt).digest()


def other(key: bytes = b"m" * 32, kind: ProviderKind = ProviderKind.FILE) -> FixedProvider:
    provider = FixedProvider(key)
    provider.kind = kind
    return provider


def make_root(filesystem: MemoryFileSystem, data: bytes | None = None) -> Directory:
    root = filesystem.open_root("/store", create=True)
    root.create_directory(TEMPORARY).close()
    for name in FOLDERS:
        with root.create_directory(name) as folder, folder.create(NAME) as file:
            file.write_at(0, data or make_key_file(FixedProvider(), JOURNAL_ID, 1, DATA_KEY, SeededRandomness(1)))
            file.sync()
            folder.sync()
    root.sync()
    return root


@pytest.fixture
def root() -> Directory:
    return make_root(MemoryFileSystem())


def the_file(root: Directory) -> KeyFile:
    (file,) = read_key_files(root, FOLDERS)
    return file


def add(root: Directory, provider: FixedProvider | Words) -> KeyFile:
    file = the_file(root)
    data = with_slot(file, FixedProvider(), provider, RANDOMNESS)
    assert data is not None
    install_key_file(root, FOLDERS, file, data)
    return the_file(root)


def kinds(file: KeyFile) -> list[str]:
    return [slot.provider.name for slot in slot_names(file)]


def test_an_added_slot_opens_the_same_data_key_and_leaves_the_others_as_they_were(root: Directory) -> None:
    before = the_file(root)
    file = add(root, other())
    assert kinds(file) == ["MEMORY", "FILE"]
    assert file.slots[0] == before.slots[0]
    assert open_keys(file, FixedProvider()) == open_keys(file, other()) == DATA_KEY
    assert [read_key_file(root.directory(name), NAME) for name in FOLDERS] == [file, file]


def test_a_slot_has_the_beginning_of_its_salt_for_a_name(root: Directory) -> None:
    names = slot_names(add(root, other()))
    assert [name.generation for name in names] == [1, 1]
    assert [name.id for name in names] == [slot_id(slot) for slot in the_file(root).slots]
    assert all(len(name.id) == 16 for name in names) and names[0].id != names[1].id


def test_a_provider_that_has_a_slot_gets_no_second_one(root: Directory) -> None:
    file = add(root, other())
    assert with_slot(file, FixedProvider(), other(), RANDOMNESS) is None
    assert with_slot(file, FixedProvider(), FixedProvider(), RANDOMNESS) is None


def test_a_second_key_of_a_kind_gets_a_slot_of_its_own_and_replaces_none(root: Directory) -> None:
    add(root, other())
    file = add(root, other(b"n" * 32))
    assert kinds(file) == ["MEMORY", "FILE", "FILE"]
    assert open_keys(file, other()) == open_keys(file, other(b"n" * 32)) == DATA_KEY


def test_where_all_places_are_taken_none_is_replaced(root: Directory) -> None:
    for number in range(1, KEYS_SLOT_COUNT_MAX):
        add(root, other(bytes([number]) * 32))
    with pytest.raises(MisuseError, match="none is replaced unasked; nothing was changed") as caught:
        with_slot(the_file(root), FixedProvider(), other(b"z" * 32), RANDOMNESS)
    assert caught.value.reason == "slots_full"


@pytest.mark.parametrize("failure", [KeyUnavailable("later", reason="x"), KeyLost("gone", reason="x")], ids=["later", "lost"])
def test_a_provider_that_has_no_key_to_give_gets_no_slot(root: Directory, failure: KeyUnavailable | KeyLost) -> None:
    silent = FixedProvider(failure=failure)
    silent.kind = ProviderKind.TPM2
    with pytest.raises(type(failure)):
        with_slot(the_file(root), FixedProvider(), silent, RANDOMNESS)


def test_nobody_adds_or_removes_a_slot_without_opening_the_list(root: Directory) -> None:
    file = the_file(root)
    with pytest.raises(KeyUnavailable):
        with_slot(file, FixedProvider(b"x" * 32), other(), RANDOMNESS)
    with pytest.raises(KeyUnavailable):
        without_slots(file, FixedProvider(b"x" * 32), frozenset([slot_id(file.slots[0])]))


def test_a_removed_slot_opens_nothing_any_more(root: Directory) -> None:
    file = add(root, other())
    data = without_slots(file, FixedProvider(), slots_of(file, other()))
    assert data is not None
    install_key_file(root, FOLDERS, file, data)
    assert kinds(the_file(root)) == ["MEMORY"]
    with pytest.raises(KeyUnavailable):
        open_keys(the_file(root), other())


def test_an_unknown_slot_is_no_change(root: Directory) -> None:
    assert without_slots(the_file(root), FixedProvider(), frozenset(["0" * 16])) is None


def test_the_last_slot_stays(root: Directory) -> None:
    file = the_file(root)
    with pytest.raises(MisuseError) as caught:
        without_slots(file, FixedProvider(), slots_of(file, FixedProvider()))
    assert caught.value.reason == "last_slot"


def test_the_slot_by_which_the_list_was_opened_stays_and_goes_once_another_one_opened_it(root: Directory) -> None:
    file = add(root, other())
    mine = slots_of(file, FixedProvider())
    with pytest.raises(MisuseError, match="Open the store by another slot") as caught:
        without_slots(file, FixedProvider(), mine)
    assert caught.value.reason == "slot_in_use"
    data = without_slots(file, other(), mine)
    assert data is not None
    install_key_file(root, FOLDERS, file, data)
    assert kinds(the_file(root)) == ["FILE"]


def test_one_of_two_keys_of_the_same_kind_can_be_removed_by_the_other(root: Directory) -> None:
    add(root, other())
    file = add(root, other(b"n" * 32))
    data = without_slots(file, other(b"n" * 32), slots_of(file, other()))
    assert data is not None
    install_key_file(root, FOLDERS, file, data)
    assert open_keys(the_file(root), other(b"n" * 32)) == DATA_KEY
    with pytest.raises(KeyUnavailable):
        open_keys(the_file(root), other())


# Passphrases


def test_a_passphrase_slot_keeps_its_parameters_and_opens_with_them(root: Directory) -> None:
    words = Words(b"correct horse battery staple", Kdf(18, 8, 2))
    file = add(root, words)
    assert file.slots[1].kdf == Kdf(18, 8, 2)
    again = Words(b"correct horse battery staple")
    assert open_keys(file, again) == DATA_KEY
    assert again.asked == [Kdf(18, 8, 2)]


def test_a_wrong_passphrase_is_a_wrong_key(root: Directory) -> None:
    with pytest.raises(KeyUnavailable) as caught:
        open_keys(add(root, Words(b"correct horse battery staple")), Words(b"incorrect"))
    assert caught.value.reason == "wrong_key"


def tampered(data: bytes, offset: int, value: bytes) -> bytes:
    changed = data[:offset] + value + data[offset + len(value) : -32]
    return changed + hashlib.sha256(changed).digest()


@pytest.mark.parametrize(
    ("offset", "value"),
    [(2, b"\x00\x00"), (4, b"\x10"), (4, b"\x15"), (4, b"\0\0\0\x80"), (8, b"\x01"), (8, b"\x10"), (12, b"\x00"), (12, b"\x05")],
    ids=["no scrypt", "cheap", "dear", "absurd", "small blocks", "large blocks", "never", "often"],
)
def test_a_passphrase_slot_outside_the_bounds_is_tampering_whoever_opens_the_file(offset: int, value: bytes) -> None:
    """Mutation: without the bounds in each of these calls, a changed slot makes a passphrase cheap to guess, or an opening endless."""
    root = make_root(MemoryFileSystem())
    file = the_file(root)
    data = with_slot(file, FixedProvider(), Words(b"words"), RANDOMNESS)
    assert data is not None
    install_key_file(root, FOLDERS, file, tampered(data, 64 + 128 + offset, value))
    words = Words(b"words")
    attempts: list[Callable[[], object]] = [
        lambda: open_keys(the_file(root), words),
        lambda: open_keys(the_file(root), FixedProvider()),
        lambda: check_slots(the_file(root)),
        lambda: slot_names(the_file(root)),
        lambda: slots_of(the_file(root), FixedProvider()),
    ]
    for attempt in attempts:
        with pytest.raises(KeyTampered, match="nothing was opened") as caught:
            attempt()
        assert caught.value.reason == "kdf_bounds"
    assert words.asked == []


@pytest.mark.parametrize("offset", [64 + 2, 64 + 4, 64 + 8, 64 + 12])
def test_parameters_in_a_slot_that_has_no_passphrase_are_a_later_format(offset: int) -> None:
    data = make_key_file(FixedProvider(), JOURNAL_ID, 1, DATA_KEY, SeededRandomness(1))
    with pytest.raises(FormatTooNew) as caught:
        the_file(make_root(MemoryFileSystem(), tampered(data, offset, b"\x01")))
    assert caught.value.reason == "slot_kind"


def test_no_frame_of_an_error_about_a_list_of_slots_shows_the_data_key_or_the_provider_s(root: Directory) -> None:
    """Collectors of errors send local variables along, and there stood the key that had just opened the list."""
    one, two = the_file(root), add(root, other())
    for number in range(1, KEYS_SLOT_COUNT_MAX - 1):
        full = add(root, other(bytes([number]) * 32))
    changed = full._replace(authenticator=bytes(32))
    refused: list[tuple[str, Callable[[], object]]] = [
        ("slots_full", lambda: with_slot(full, FixedProvider(), other(b"z" * 32), RANDOMNESS)),
        ("last_slot", lambda: without_slots(one, FixedProvider(), slots_of(one, FixedProvider()))),
        ("slot_in_use", lambda: without_slots(two, FixedProvider(), slots_of(two, FixedProvider()))),
        ("slots_tampered", lambda: open_keys(changed, FixedProvider())),
    ]
    canary = Canary({"data key": DATA_KEY, "provider's key": FixedProvider().key_encryption_key()})
    for reason, step in refused:
        with pytest.raises(StateStoreError) as caught:
            step()
        assert (caught.value.reason, canary.found_in(shown_with_locals(caught.value))) == (reason, [])


def test_parameters_changed_within_the_bounds_open_nothing_or_are_found_out(root: Directory) -> None:
    file = the_file(root)
    data = with_slot(file, FixedProvider(), Words(b"words"), RANDOMNESS)
    assert data is not None
    install_key_file(root, FOLDERS, file, tampered(data, 64 + 128 + 4, b"\x12"))
    with pytest.raises(KeyTampered) as caught:
        open_keys(the_file(root), FixedProvider())
    assert caught.value.reason == "slots_tampered"


# Copies


def test_every_generation_has_its_slots(root: Directory) -> None:
    second = make_key_file(other(), JOURNAL_ID, 2, b"e" * 32, SeededRandomness(2))
    with root.directory("trust") as folder, folder.create(keys_name(2)) as file:
        file.write_at(0, second)
    files = read_key_files(root, FOLDERS)
    assert [file.key_generation for file in files] == [1, 2]
    assert [name.generation for file in files for name in slot_names(file)] == [1, 2]


def test_the_first_whole_copy_counts(root: Directory) -> None:
    """Mutation: where no copy is whole, go on with none."""
    whole = the_file(root)
    with root.directory("identity") as folder:
        folder.unlink(NAME)
    assert the_file(root) == whole
    with root.directory("trust") as folder, folder.open(NAME, writable=True) as file:
        file.write_at(100, b"rot")
    with pytest.raises(DamageError) as caught:
        the_file(root)
    assert caught.value.reason == "no_key_file"


def test_a_crash_at_any_operation_leaves_the_old_list_or_the_new_one() -> None:
    seen = set()
    for at in count():
        filesystem = MemoryFileSystem()
        root = make_root(filesystem)
        file = the_file(root)
        data = with_slot(file, FixedProvider(), other(), SeededRandomness(3))
        assert data is not None
        filesystem.crash_after(at)
        finished = True
        try:
            install_key_file(root, FOLDERS, file, data)
        except SimulatedCrash:
            finished = False
        found = the_file(filesystem.crash().open_root("/store"))
        assert open_keys(found, FixedProvider()) == DATA_KEY
        seen.add((finished, tuple(kinds(found))))
        if finished:
            break
    assert seen == {(False, ("MEMORY",)), (False, ("MEMORY", "FILE")), (True, ("MEMORY", "FILE"))}


def with_a_slot_more(files: Files, folders: tuple[str, ...]) -> Files:
    """The files of a journal whose copies in `folders` have a slot more than the others, as a crash may leave them."""
    root = plant(files).open_root(PATH)
    (file,) = read_key_files(root, FOLDERS)
    data = with_slot(file, FixedProvider(), other(), RANDOMNESS)
    return files | {f"{name}/{NAME}": data for name in folders}


@pytest.mark.parametrize(("folders", "expected"), [(("identity",), ["MEMORY", "FILE"]), (("trust",), ["MEMORY"])])
def test_an_opening_makes_the_second_copy_like_the_first(folders: tuple[str, ...], expected: list[str]) -> None:
    files = with_a_slot_more(journal_of([(HEALTH, "h1")]), folders)
    filesystem, opened = opened_from(files)
    (finding,) = opened.journal.report.findings
    assert (finding.file, finding.reason) == (f"trust/{NAME}", "copies_differ")
    assert tree(filesystem)[f"trust/{NAME}"] == tree(filesystem)[f"identity/{NAME}"] == files[f"identity/{NAME}"]
    assert kinds(the_file(filesystem.open_root(PATH))) == expected


@pytest.mark.parametrize("folders", [("identity",), ("trust",)])
@pytest.mark.parametrize("keys", [None, FixedProvider()], ids=["without a key", "with the key"])
def test_verification_finds_a_change_of_slots_that_stopped_half_way_harmless(
    folders: tuple[str, ...], keys: FixedProvider | None
) -> None:
    report = verify_files(with_a_slot_more(dict(sound_files()), folders), keys=keys)
    assert [(finding.file, finding.reason, finding.severity) for finding in report.findings] == [
        (f"trust/{NAME}", "copies_differ", Severity.HARMLESS)
    ]
    assert report.exit_code == 0


def test_verification_finds_copies_that_say_different_things_of_one_slot_damaged() -> None:
    files = dict(sound_files())
    data = files[f"trust/{NAME}"]
    assert data is not None
    report = verify_files(files | {f"trust/{NAME}": tampered(data, 64 + 60, b"other")})
    assert [(finding.file, finding.reason, finding.severity) for finding in report.findings] == [
        (f"trust/{NAME}", "copies_differ", Severity.DAMAGE)
    ]


def test_verification_finds_a_weak_passphrase_slot_without_a_key() -> None:
    files = dict(sound_files())
    (file,) = read_key_files(plant(files).open_root(PATH), FOLDERS)
    data = with_slot(file, FixedProvider(), Words(b"words"), RANDOMNESS)
    assert data is not None
    weak = tampered(data, 64 + 128 + 4, b"\x01")
    report = verify_files(files | {f"{name}/{NAME}": weak for name in FOLDERS})
    assert [(finding.file, finding.reason) for finding in report.findings] == [
        (f"{name}/{NAME}", "kdf_bounds") for name in sorted(FOLDERS)
    ]
    assert report.exit_code == 8
