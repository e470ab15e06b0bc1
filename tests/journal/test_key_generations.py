"""Generations of the data key: each opens what it sealed, the newest seals, and a key file goes only when nothing names it."""

import errno
from collections.abc import Callable

import pytest

from rap_journal.errors import DamageError, KeyTampered, KeyUnavailable, NoSpace, OutcomeUnknown
from rap_journal.filesystem import FileSystem
from rap_journal.inventory import take_inventory
from rap_journal.key_files import make_key_file, read_key_file
from rap_journal.key_generations import list_generations, open_key_ring
from rap_journal.layout import keys_name
from rap_journal.markers import ProviderKind, read_marker, sealed_marker, write_marker
from rap_journal.reader import JournalReader
from rap_journal.sealed_store import load_document, store_document
from rap_journal.testing import EverythingSurvives, MemoryFileSystem, SeededRandomness, SimulatedCrash
from rap_journal.verify import JournalShape, verify_journal
from tests.journal.segment_kit import flip
from tests.journal.workbench import (
    HEALTH,
    JOURNAL_ID,
    PATH,
    PEERS,
    SPECS,
    TRUST,
    FixedProvider,
    Opened,
    new_journal,
    open_journal,
    plain,
    plant,
    setup_of,
    tree,
)

FOLDERS = ("identity", "trust")


def opened_again(filesystem: FileSystem, seed: int | str = "again") -> Opened:
    return open_journal(filesystem, setup=setup_of(randomness=SeededRandomness(seed)))


def key_files(filesystem: FileSystem) -> list[str]:
    return sorted(name for name in tree(filesystem) if "/keys-" in name)


def both(*generations: int) -> list[str]:
    return sorted(f"{folder}/{keys_name(generation)}" for folder in FOLDERS for generation in generations)


def segment_generations(filesystem: FileSystem) -> list[int]:
    with filesystem.open_root(PATH) as root, root.directory("journal") as folder:
        return [file.header.key_generation for file in take_inventory(folder, JOURNAL_ID).chain]


def rotated() -> tuple[MemoryFileSystem, Opened]:
    """A journal with a record sealed under either generation."""
    filesystem, opened = new_journal()
    opened.append(TRUST, "first")
    assert opened.journal.rotate_data_key() == 2
    opened.append(TRUST, "second")
    return filesystem, opened


def verified(filesystem: FileSystem) -> list[str]:
    report = verify_journal(filesystem.open_root(PATH), JournalShape(SPECS, FOLDERS), live=False, keys=FixedProvider())
    return [finding.reason for finding in report.findings if finding.severity]


# Rotation.


def test_a_rotation_makes_a_key_file_in_both_folders_and_names_it_in_the_marker() -> None:
    filesystem, opened = rotated()
    marker = opened.journal.keys.marker
    assert (marker.key_generation, marker.serial) == (2, 2)
    assert key_files(filesystem) == both(1, 2)
    with filesystem.open_root(PATH) as root:
        files = []
        for name in FOLDERS:
            with root.directory(name) as folder:
                files.append(read_key_file(folder, keys_name(2)))
        assert files[0] == files[1]
        assert files[0].key_check == marker.key_check == read_marker(root).marker.key_check
    assert segment_generations(filesystem) == [1, 2]


def test_what_was_sealed_before_a_rotation_stays_readable() -> None:
    filesystem, opened = new_journal()
    opened.append(TRUST, "first")
    journal = opened.journal
    arguments = {"journal_id": JOURNAL_ID, "keys": journal.keys.ring}
    old = store_document(journal.folders, PEERS, b"old", randomness=SeededRandomness("d"), **arguments)
    journal.rotate_data_key()
    new = store_document(journal.folders, PEERS, b"new", randomness=SeededRandomness("e"), **arguments)
    opened.append(TRUST, "second")
    opened.checkpoint()
    opened.append(HEALTH, "third")
    journal.close()
    assert verified(filesystem) == []
    again = opened_again(filesystem.crash())
    assert again.ledger.bodies() == ["first", "second", "third"]
    assert again.journal.report.is_clean
    ring = again.journal.keys.ring
    assert (ring.generations, ring.current) == ({1, 2}, 2)
    for file_id, content in ((old, b"old"), (new, b"new")):
        assert load_document(again.journal.folders, PEERS, file_id, journal_id=JOURNAL_ID, keys=ring) == content


def test_rotations_follow_on_each_other() -> None:
    filesystem, opened = rotated()
    assert opened.journal.rotate_data_key() == 3
    opened.append(TRUST, "third")
    opened.journal.close()
    again = opened_again(filesystem)
    assert again.ledger.bodies() == ["first", "second", "third"]
    assert segment_generations(filesystem) == [1, 2, 3]


def test_a_reader_beside_the_writer_reads_on_over_a_rotation() -> None:
    filesystem, opened = new_journal()
    opened.append(TRUST, "first")
    with JournalReader.open(filesystem.open_root(PATH), setup_of(), live=True) as reader:
        opened.journal.rotate_data_key()
        opened.append(TRUST, "second")
        reader.refresh(live=True)
        assert [plain(record.body) for _frame, records in reader.records() for record in records] == ["first", "second"]


def test_a_provider_that_does_not_answer_stops_a_rotation_and_nothing_else() -> None:
    filesystem, opened = new_journal()
    opened.append(TRUST, "first")
    before = tree(filesystem)
    provider = opened.journal.setup.provider
    assert isinstance(provider, FixedProvider)
    provider.failure = KeyUnavailable("later", reason="x")
    with pytest.raises(KeyUnavailable):
        opened.journal.rotate_data_key()
    provider.failure = None
    assert tree(filesystem) == before
    opened.append(TRUST, "second")
    assert opened.journal.rotate_data_key() == 2


@pytest.mark.parametrize("succeeding", [0, 1, 2])
def test_without_space_a_rotation_leaves_the_old_key_in_use_and_can_be_repeated(succeeding: int) -> None:
    filesystem, opened = new_journal()
    opened.append(TRUST, "first")
    filesystem.fail("create", "tmp/*", errno.ENOSPC, after=succeeding)
    with pytest.raises(NoSpace):
        opened.journal.rotate_data_key()
    filesystem.heal()
    assert (opened.journal.keys.marker.key_generation, opened.journal.keys.ring.current) == (1, 1)
    opened.append(TRUST, "second")
    # A number that a file may bear is not used again.
    generation = opened.journal.rotate_data_key()
    opened.append(TRUST, "third")
    opened.journal.close()
    again = opened_again(filesystem)
    assert again.ledger.bodies() == ["first", "second", "third"]
    assert key_files(filesystem) == both(1, generation)


def test_a_failed_sync_of_the_markers_folder_poisons() -> None:
    filesystem, opened = new_journal()
    opened.append(TRUST, "first")
    filesystem.fail("rename", "tmp/*MARKER", errno.EIO)
    with pytest.raises(OutcomeUnknown):
        opened.journal.rotate_data_key()
    filesystem.heal()
    again = opened_again(filesystem)
    assert (again.ledger.bodies(), again.journal.keys.marker.key_generation) == (["first"], 1)
    assert key_files(filesystem) == both(1)


SURVIVORS: dict[str, Callable[[MemoryFileSystem], MemoryFileSystem]] = {
    "nothing unsynced": lambda filesystem: filesystem.crash(),
    "everything": lambda filesystem: filesystem.crash(EverythingSurvives()),
    "the page cache": lambda filesystem: filesystem.kill(),
}


@pytest.mark.parametrize("survivor", SURVIVORS)
def test_after_a_crash_at_any_operation_of_a_rotation_everything_reads_and_no_orphan_is_left(survivor: str) -> None:
    filesystem, opened = new_journal()
    opened.append(TRUST, "first")
    files = tree(filesystem.crash(EverythingSurvives()))
    generations = []
    for survived in range(1000):
        machine = plant(files)
        finished = False
        try:
            it = opened_again(machine, "rotating")
            machine.crash_after(survived)
            it.journal.rotate_data_key()
            it.append(HEALTH, "second")
            finished = True
        except SimulatedCrash:
            pass
        left = SURVIVORS[survivor](machine)
        again = opened_again(left, "recovering")
        assert again.ledger.bodies() in (["first"], ["first", "second"])
        assert not again.journal.report.is_damage
        generation = again.journal.keys.marker.key_generation
        assert key_files(left) == both(*range(1, generation + 1))
        again.append(HEALTH, "third")
        again.journal.close()
        assert verified(left) == []
        assert segment_generations(left)[-1] == generation
        assert opened_again(left, "last").ledger.bodies()[-1] == "third"
        generations.append(generation)
        if finished:
            break
    assert generations == sorted(generations)
    assert generations.count(1) > 10 and generations.count(2) > 3


def test_an_opening_that_crashes_while_it_drops_an_orphan_is_as_good_as_none() -> None:
    filesystem, opened = new_journal()
    opened.append(TRUST, "first")
    filesystem.fail("create", "tmp/*MARKER", errno.ENOSPC)
    with pytest.raises(NoSpace):
        opened.journal.rotate_data_key()
    files = tree(filesystem.crash(EverythingSurvives()))
    assert [name for name in files if "keys-00000002" in name]
    for survived in range(50):
        machine = plant(files)
        machine.crash_after(survived)
        try:
            opened_again(machine)
            break
        except SimulatedCrash:
            left = machine.crash()
            again = opened_again(left)
            assert (again.ledger.bodies(), again.journal.report.is_damage) == (["first"], False)
            assert key_files(left) == both(1)
    else:
        pytest.fail("the opening never came to its end")


# Which key files may go.


def swept(filesystem: MemoryFileSystem) -> list[str]:
    opened_again(filesystem).journal.folders.close()
    return key_files(filesystem)


def only_second_generation() -> MemoryFileSystem:
    """A journal of two generations in which nothing names the first any more: all was retired or written again."""
    filesystem, opened = rotated()
    opened.checkpoint()
    opened.append(TRUST, "third")
    opened.append(TRUST, "fourth")
    opened.journal.close()
    files = tree(filesystem)
    gone = [name for name in files if name.startswith("journal/00000001-") or name.endswith("/checkpoint-0000000000000000")]
    return plant({name: content for name, content in files.items() if name not in gone})


def test_an_old_key_file_goes_with_the_last_file_that_names_it() -> None:
    filesystem = only_second_generation()
    assert key_files(filesystem) == both(1, 2)
    assert swept(filesystem) == both(2)
    again = opened_again(filesystem, "later")
    assert again.ledger.bodies() == ["first", "second", "third", "fourth"]
    assert again.journal.report.is_clean


def test_a_key_file_stays_while_a_segment_a_checkpoint_or_a_document_names_it() -> None:
    filesystem, opened = rotated()
    opened.append(TRUST, "third")
    opened.journal.close()
    whole = tree(filesystem)
    assert swept(filesystem) == both(1, 2)
    sealed = only_second_generation()
    files = tree(sealed) | {name: content for name, content in whole.items() if name == "peers/checkpoint-0000000000000000"}
    assert swept(plant(files)) == both(1, 2)


def test_a_key_file_stays_while_a_slot_of_the_witness_names_it() -> None:
    filesystem, opened = rotated()
    opened.checkpoint()
    files = tree(filesystem)
    old_slot = next(
        content[start : start + 4096]
        for content in [files["WITNESS"] or b""]
        for start in (0, 4096)
        if content[start + 100 : start + 104] == b"\x01\0\0\0"
    )
    opened.append(TRUST, "third")
    opened.journal.close()
    sound = tree(only_second_generation())
    witness = sound["WITNESS"]
    assert witness is not None
    at = 4096 * (old_slot[48] & 1)
    planted = sound | {"WITNESS": witness[:at] + old_slot + witness[at + 4096 :]}
    assert swept(plant(planted)) == both(1, 2)


def damaged(name: str, offset: int) -> Callable[[dict[str, bytes | None]], None]:
    def damage(files: dict[str, bytes | None]) -> None:
        content = files[name]
        assert content is not None
        files[name] = flip(content, offset)

    return damage


def stray(files: dict[str, bytes | None]) -> None:
    files["peers/whatever"] = b"nobody knows"


def stale(files: dict[str, bytes | None]) -> None:
    segment = next(name for name in files if name.startswith("journal/00000002-"))
    files["journal/00000001-00000009"] = files[segment]


UNSURE: dict[str, Callable[[dict[str, bytes | None]], None]] = {
    "a checkpoint is damaged": damaged("peers/checkpoint-0000000000000002", 12),
    "a slot of the witness is damaged": damaged("WITNESS", 5000),
    "a file is of an unknown name": stray,
    "a segment is not of the chain": stale,
}


@pytest.mark.parametrize("what", UNSURE)
def test_no_key_file_goes_while_something_cannot_be_asked(what: str) -> None:
    files = tree(only_second_generation())
    UNSURE[what](files)
    assert swept(plant(files)) == both(1, 2)


def test_a_missing_copy_of_an_old_key_file_that_is_named_is_written_again() -> None:
    filesystem, opened = rotated()
    opened.journal.close()
    files = tree(filesystem)
    filesystem = plant({name: content for name, content in files.items() if name != "trust/keys-00000001"})
    again = opened_again(filesystem)
    assert [finding.file for finding in again.journal.report.findings] == ["trust/keys-00000001"]
    assert tree(filesystem)["trust/keys-00000001"] == files["trust/keys-00000001"]


# Opening.


def test_without_its_older_key_a_journal_says_which_generation_is_missing() -> None:
    filesystem, opened = rotated()
    opened.journal.close()
    left = {name: content for name, content in tree(filesystem).items() if "keys-00000001" not in name}
    with pytest.raises(KeyUnavailable, match="generation 1") as caught:
        opened_again(plant(left))
    assert caught.value.reason == "unknown_generation"


def test_without_its_current_key_a_journal_does_not_open() -> None:
    filesystem, opened = rotated()
    opened.journal.close()
    left = {name: content for name, content in tree(filesystem).items() if "keys-00000002" not in name}
    with pytest.raises(DamageError) as caught:
        opened_again(plant(left))
    assert caught.value.reason == "no_key_file"


def test_an_older_key_file_of_another_journal_is_tampering() -> None:
    filesystem, opened = rotated()
    opened.journal.close()
    other = make_key_file(FixedProvider(), b"another journal!", 1, b"d" * 32, SeededRandomness("x"))
    files = tree(filesystem) | {f"{folder}/keys-00000001": other for folder in FOLDERS}
    with pytest.raises(KeyTampered) as caught:
        opened_again(plant(files))
    assert caught.value.reason == "foreign_key"


def test_an_older_key_file_that_the_provider_cannot_open_is_left_out() -> None:
    filesystem, opened = rotated()
    opened.journal.close()
    other = make_key_file(FixedProvider(b"o" * 32), JOURNAL_ID, 1, b"d" * 32, SeededRandomness("x"))
    files = tree(filesystem) | {f"{folder}/keys-00000001": other for folder in FOLDERS}
    with plant(files).open_root(PATH) as root:
        ring = open_key_ring(root, FOLDERS, FixedProvider(), read_marker(root).marker)
        assert list_generations(root, FOLDERS) == {1, 2}
    assert ring.generations == {2}


# Markers that somebody changed, or put back.


def test_a_marker_that_whoever_lacks_the_key_has_changed_is_tampering() -> None:
    filesystem, opened = rotated()
    opened.journal.close()
    with filesystem.open_root(PATH) as root, root.directory("tmp") as temporary:
        marker = read_marker(root).marker
        for changed in (
            marker._replace(serial=9),
            marker._replace(provider=ProviderKind.FILE),
            marker._replace(cluster="other"),
            marker._replace(authenticator=bytes(32)),
        ):
            write_marker(root, temporary, changed)
            before = tree(filesystem)
            with pytest.raises(KeyTampered) as caught:
                opened_again(filesystem)
            assert (caught.value.reason, caught.value.file) == ("marker_tampered", "/MARKER")
            with pytest.raises(KeyTampered):
                JournalReader.open(filesystem.open_root(PATH), setup_of(), live=False)
            assert tree(filesystem) == before
            assert verified(filesystem) == ["marker_tampered"]


def test_a_marker_that_is_pointed_at_an_older_generation_is_tampering() -> None:
    filesystem, opened = rotated()
    old_check = opened.journal.keys.ring.check_value(1)
    opened.journal.close()
    with filesystem.open_root(PATH) as root, root.directory("tmp") as temporary:
        marker = read_marker(root).marker
        write_marker(root, temporary, marker._replace(key_generation=1, key_check=old_check))
    with pytest.raises(KeyTampered):
        opened_again(filesystem)


def test_an_older_marker_that_is_put_back_does_not_bring_its_key_into_use_again() -> None:
    filesystem, opened = new_journal()
    opened.append(TRUST, "first")
    old_marker = opened.journal.keys.marker
    opened.journal.rotate_data_key()
    opened.append(TRUST, "second")
    ring = opened.journal.keys.ring
    opened.journal.close()
    with filesystem.open_root(PATH) as root, root.directory("tmp") as temporary:
        write_marker(root, temporary, sealed_marker(old_marker, ring))
    assert verified(filesystem) == ["marker_behind"]
    again = opened_again(filesystem)
    assert [finding.reason for finding in again.journal.report.findings] == ["marker_behind"]
    assert (again.journal.keys.marker.key_generation, again.journal.keys.ring.current) == (2, 2)
    again.append(TRUST, "third")
    again.journal.close()
    assert segment_generations(filesystem) == [1, 2, 2]
    assert key_files(filesystem) == both(1, 2)
    assert verified(filesystem) == []


def test_a_ring_never_shows_a_key() -> None:
    _filesystem, opened = rotated()
    assert repr(opened.journal.keys.ring) == "KeyRing(generations=[1, 2], current=2)"
