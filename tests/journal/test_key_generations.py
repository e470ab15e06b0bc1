"""Generations of the data key: each opens what it sealed, the newest seals, and a key file goes only when nothing names it."""

from collections.abc import Callable

import pytest

from rap_journal.errors import DamageError, KeyTampered, KeyUnavailable
from rap_journal.key_files import make_key_file
from rap_journal.key_generations import list_generations, open_key_ring
from rap_journal.markers import ProviderKind, read_marker, sealed_marker, write_marker
from rap_journal.reader import JournalReader
from rap_journal.testing import MemoryFileSystem, SeededRandomness
from tests.canary import Canary, shown_with_locals
from tests.journal.rotation_kit import FOLDERS, both, key_files, opened_again, rotated, segment_generations, verified
from tests.journal.segment_kit import flip
from tests.journal.workbench import (
    JOURNAL_ID,
    PATH,
    TRUST,
    FixedProvider,
    new_journal,
    plant,
    setup_of,
    tree,
)

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
    """Mutation: without a whole key file, go on with none."""
    filesystem, opened = rotated()
    opened.journal.close()
    left = {name: content for name, content in tree(filesystem).items() if "keys-00000002" not in name}
    with pytest.raises(DamageError) as caught:
        opened_again(plant(left))
    assert caught.value.reason == "no_key_file"


def test_an_older_key_file_of_another_journal_is_tampering() -> None:
    """Mutation: any key file that the provider opens is one of this journal."""
    filesystem, opened = rotated()
    opened.journal.close()
    other = make_key_file(FixedProvider(), b"another journal!", 1, b"d" * 32, SeededRandomness("x"))
    files = tree(filesystem) | {f"{folder}/keys-00000001": other for folder in FOLDERS}
    with pytest.raises(KeyTampered) as caught:
        opened_again(plant(files))
    assert caught.value.reason == "foreign_key"
    assert Canary({"its data key": b"d" * 32}).found_in(shown_with_locals(caught.value)) == []


def test_a_current_key_file_with_another_key_than_the_marker_names_is_tampering() -> None:
    """Mutation: the check value is not compared, and the marker is said to be what was changed."""
    filesystem, opened = rotated()
    opened.journal.close()
    other = make_key_file(FixedProvider(), JOURNAL_ID, 2, b"d" * 32, SeededRandomness("x"))
    files = tree(filesystem) | {f"{folder}/keys-00000002": other for folder in FOLDERS}
    with pytest.raises(KeyTampered) as caught:
        opened_again(plant(files))
    assert (caught.value.reason, caught.value.file) == ("foreign_key", "keys-00000002")


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
    """Mutation: the marker's authenticator is not looked at."""
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
