"""The scrub finds every changed byte at rest, reads a little at a time, and takes nothing for damage that a writer does."""

from collections.abc import Iterator

import pytest

from rap_journal import scrub as scrub_module
from rap_journal.folders import JournalFolders
from rap_journal.format import SEGMENT_HEADER_BYTES
from rap_journal.layout import JOURNAL
from rap_journal.markers import read_marker
from rap_journal.scrub import Scrub
from rap_journal.testing import MemoryFileSystem
from rap_journal.testing.memory_handles import MemoryDirectory, MemoryFile
from tests.journal.rotation_kit import rotated
from tests.journal.sound_journal import SHAPE, Files, frames_of, sound_files
from tests.journal.workbench import PATH, PEERS, SPECS, new_journal, open_journal, plant, segments_in, setup_of, tree


def scrub_of(filesystem: MemoryFileSystem) -> Scrub:
    root = filesystem.open_root(PATH)
    return Scrub(JournalFolders.open(root, SPECS, may_repair=False), SHAPE, read_marker(root).marker)


def found_in(files: Files, bytes_max: int = 1 << 30) -> list[tuple[str, int, str]]:
    scrub = scrub_of(plant(files))
    while not scrub.step(bytes_max):
        pass
    return [finding[:3] for finding in scrub.found]


def flipped(name: str, offset: int) -> dict[str, bytes | None]:
    data = sound_files()[name]
    assert data is not None
    return {**sound_files(), name: data[:offset] + bytes([data[offset] ^ 1]) + data[offset + 1 :]}


def judged() -> Iterator[str]:
    """What a scrub looks at: all but the active segment, the spare and quarantine."""
    newest = segments_in(sound_files())[-1]
    for name, data in sound_files().items():
        if data is not None and name != newest and not name.startswith(("quarantine/", f"{JOURNAL}/spare")):
            yield name


def test_a_sound_journal_has_nothing_to_find_however_small_the_steps() -> None:
    for bytes_max in (1, 1000, 1 << 30):
        assert found_in(sound_files(), bytes_max) == []


@pytest.mark.parametrize("name", list(judged()))
def test_a_changed_byte_anywhere_in_it_is_found(name: str) -> None:
    data = sound_files()[name]
    assert data is not None
    end = len(data)
    if name in segments_in(sound_files()):
        end = frames_of(data)[-1].end
    for offset in {0, 1, end // 3, end // 2, end - 1, *range(40, end, max(1, end // 12))}:
        assert [place for place, _offset, _reason in found_in(flipped(name, offset))] == [name], offset


def test_a_damaged_frame_is_found_where_it_stands_with_the_classes_it_names() -> None:
    name = segments_in(sound_files())[1]
    data = sound_files()[name]
    assert data is not None
    frame = next(frame for frame in frames_of(data) if frame.is_cache)
    scrub = scrub_of(plant(flipped(name, frame.end - 1)))
    assert scrub.step(1 << 30)
    assert scrub.found == [(name, frame.offset, "bad_digest", 1 << PEERS.number)]


def test_it_goes_on_behind_what_is_damaged() -> None:
    first, second = segments_in(sound_files())[:2]
    files = flipped(first, SEGMENT_HEADER_BYTES)
    files[second] = flipped(second, SEGMENT_HEADER_BYTES)[second]
    files["MARKER"] = flipped("MARKER", 0)["MARKER"]
    assert [place for place, _offset, _reason in found_in(files)] == ["MARKER", first, second]


def test_a_step_reads_no_more_than_it_is_given_and_one_window(monkeypatch: pytest.MonkeyPatch) -> None:
    filesystem, opened = new_journal(setup=setup_of(segment_bytes_max=1 << 16))
    for number in range(400):
        opened.append(PEERS, [number, "x" * 700])
    opened.journal.close()
    monkeypatch.setattr(scrub_module, "CHUNK_BYTES", 1000)
    monkeypatch.setattr(scrub_module, "WINDOW_BYTES", 3000)
    scrub, steps = scrub_of(filesystem), 0
    while True:
        before = scrub.byte_count
        done = scrub.step(2000)
        assert scrub.byte_count - before <= 2000 + 8192
        steps += 1
        if done:
            break
    assert scrub.found == [] and steps > 50
    closed = segments_in(tree(filesystem))[:-1]
    assert scrub.byte_count > sum(len(tree(filesystem)[name] or b"") for name in closed) // 2


def test_what_a_writer_retires_rewrites_or_adds_meanwhile_is_no_damage() -> None:
    filesystem = plant(sound_files())
    opened = open_journal(filesystem)
    scrub = scrub_of(filesystem)
    for number in range(200):
        opened.append(PEERS, [number, "y" * 300])
        if number == 2:
            opened.checkpoint()
        if number == 4:
            opened.journal.folders.journal.unlink(segments_in(tree(filesystem))[1].rpartition("/")[2])
        if scrub.step(500):
            break
    assert scrub.found == [] and number > 8


def test_a_missing_copy_of_a_key_file_is_found_and_any_other_file_may_be_missing() -> None:
    assert found_in({name: data for name, data in sound_files().items() if name != "trust/keys-00000001"}) == [
        ("trust/keys-00000001", 0, "missing")
    ]
    gone = [name for name in sound_files() if name.startswith("peers/checkpoint-")]
    assert found_in({name: data for name, data in sound_files().items() if name not in gone}) == []


def test_a_document_that_is_wiped_under_its_eyes_is_no_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mutation: without looking whether the name is still there."""
    filesystem = plant(sound_files())
    name = next(name for name in sorted(sound_files()) if name.startswith("trust/checkpoint-"))
    folder = filesystem.open_root(PATH).directory("trust")
    open_file = MemoryDirectory.open

    def open_and_lose(directory: MemoryDirectory, wanted: str, *, writable: bool = False) -> MemoryFile:
        file = open_file(directory, wanted, writable=writable)
        if f"{directory.name}/{wanted}" == name and folder.status(wanted) is not None:
            with open_file(folder, wanted, writable=True) as other:
                other.write_at(200, bytes(8))
            folder.rename(wanted, "wiping-" + "0" * 32)
        return file

    monkeypatch.setattr(MemoryDirectory, "open", open_and_lose)
    scrub = scrub_of(filesystem)
    assert scrub.step(1 << 30) and scrub.found == []


def test_what_has_a_second_copy_is_told_apart_and_can_be_looked_at_again() -> None:
    filesystem = plant(flipped("identity/keys-00000001", 100))
    scrub = scrub_of(filesystem)
    assert scrub.step(1 << 30)
    assert [finding.file for finding in scrub.found] == ["identity/keys-00000001"]
    assert scrub.has_copy("identity/keys-00000001") and scrub.has_copy("WITNESS") and not scrub.has_copy("trust/document-00")
    assert scrub.fault_of("identity/keys-00000001") == "bad_digest" and scrub.fault_of("MARKER") is None


def test_the_key_files_of_older_generations_are_looked_at_too_and_mended_from_their_second_copy() -> None:
    filesystem, opened = rotated()
    name = "trust/keys-00000001"
    before = tree(filesystem)[name]
    with filesystem.open_root(PATH).directory("trust").open("keys-00000001", writable=True) as file:
        file.write_at(100, b"rot")
    scrub = scrub_of(filesystem)
    while not scrub.step(1 << 30):
        pass
    assert [finding[:3] for finding in scrub.found] == [(name, 0, "bad_digest")]
    assert scrub.has_copy(name)
    assert [finding.file for finding in opened.journal.repair_copies()] == [name]
    assert (scrub.fault_of(name), tree(filesystem)[name]) == (None, before)
