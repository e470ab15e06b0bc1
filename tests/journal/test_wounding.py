"""Damage done on purpose: exactly what was asked for, durably, and the same each time."""

import pytest

from rap_journal.errors import MisuseError
from rap_journal.filesystem import Directory, read_whole
from rap_journal.layout import JOURNAL
from rap_journal.recovery_plan import Verdict
from rap_journal.testing import MemoryFileSystem
from rap_journal.testing.wounding import cut, flip_bit, frames_of, overwrite, put, remove, segments_of, tear_tail
from rap_journal.values import ClassSpec, Durability
from tests.journal.workbench import (
    HEALTH,
    IDENTITY,
    PATH,
    PEERS,
    create_journal,
    new_journal,
    open_journal,
    segments_in,
    tree,
)


def closed() -> MemoryFileSystem:
    """A journal of three frames, closed in order."""
    filesystem, opened = new_journal()
    for spec in (IDENTITY, PEERS, HEALTH):
        opened.append(spec, ["one"], ["two"])
    opened.journal.close()
    assert isinstance(filesystem, MemoryFileSystem)
    return filesystem


@pytest.fixture
def filesystem() -> MemoryFileSystem:
    return closed()


@pytest.fixture
def home(filesystem: MemoryFileSystem) -> Directory:
    return filesystem.open_root(PATH)


def content(filesystem: MemoryFileSystem, name: str) -> bytes:
    data = tree(filesystem)[name]
    assert data is not None
    return data


# Where things stand.


def test_frames_and_segments_are_found_without_a_key(home: Directory, filesystem: MemoryFileSystem) -> None:
    frames = frames_of(home)
    assert [(frame.first_lsn, frame.last_lsn, frame.is_strict) for frame in frames] == [
        (1, 2, True),
        (3, 4, False),
        (5, 6, False),
    ]
    assert [frame.class_mask for frame in frames] == [1 << spec.number for spec in (IDENTITY, PEERS, HEALTH)]
    assert [f"{JOURNAL}/{segment.name}" for segment in segments_of(home)] == segments_in(tree(filesystem))
    assert frames[-1].end == len(content(filesystem, f"{JOURNAL}/{frames[-1].segment}"))
    assert [frame.end for frame in frames[:-1]] == [frame.offset for frame in frames[1:]]


# A torn tail.


@pytest.mark.parametrize(
    ("spec", "verdict", "cautious"),
    [
        (IDENTITY, Verdict.TORN_TAIL, ()),
        (HEALTH, Verdict.TORN_OR_ROTTEN, ("health",)),
        (PEERS, Verdict.TORN_OR_ROTTEN, ("peers",)),
    ],
    ids=lambda value: value.name if isinstance(value, ClassSpec) else "",
)
def test_half_a_frame_behind_the_last_one_is_what_a_crash_leaves(
    filesystem: MemoryFileSystem, home: Directory, spec: ClassSpec, verdict: Verdict, cautious: tuple[str, ...]
) -> None:
    name, before = segments_in(tree(filesystem))[-1], tree(filesystem)
    tear_tail(home, class_mask=1 << spec.number, strict=spec.durability is Durability.STRICT)
    sound, torn = before.pop(name), content(filesystem, name)
    assert sound is not None and torn.startswith(sound)
    assert {path: data for path, data in tree(filesystem).items() if path != name} == before
    report = open_journal(filesystem).journal.report
    assert (report.verdict, report.last_lsn, report.losses, report.cautious) == (verdict, 6, (), cautious)
    (finding,) = report.findings
    assert (finding.offset, finding.byte_count) == (len(sound), len(torn.rstrip(b"\0")) - len(sound))


def test_the_same_tear_gives_the_same_bytes() -> None:
    torn = [closed(), closed()]
    for filesystem in torn:
        tear_tail(filesystem.open_root(PATH), class_mask=1 << HEALTH.number, strict=False)
    assert tree(torn[0]) == tree(torn[1]) != tree(closed())


def test_a_journal_without_a_frame_has_no_tail_to_tear() -> None:
    filesystem = MemoryFileSystem()
    create_journal(filesystem)
    before = tree(filesystem)
    with pytest.raises(MisuseError) as caught:
        tear_tail(filesystem.open_root(PATH), class_mask=1, strict=True)
    assert (caught.value.reason, tree(filesystem)) == ("no_frame", before)


# Single files.


@pytest.fixture
def folder() -> Directory:
    folder = MemoryFileSystem().open_root("/store", create=True)
    put(folder, "file", b"0123456789")
    return folder


def read(folder: Directory, name: str = "file") -> bytes:
    return read_whole(folder, name, 1000)


@pytest.mark.parametrize(
    ("offset", "expected"), [(0, b"1123456789"), (9, b"0123456788"), (-1, b"0123456788"), (-10, b"1123456789")]
)
def test_one_bit_is_flipped_where_it_was_asked_for(folder: Directory, offset: int, expected: bytes) -> None:
    flip_bit(folder, "file", offset)
    assert read(folder) == expected
    flip_bit(folder, "file", offset)
    assert read(folder) == b"0123456789"


def test_bytes_are_overwritten_and_behind_the_end_too(folder: Directory) -> None:
    overwrite(folder, "file", 8, b"abcd")
    assert read(folder) == b"01234567abcd"


def test_a_file_is_cut_and_a_larger_size_adds_zeros(folder: Directory) -> None:
    cut(folder, "file", 3)
    assert read(folder) == b"012"
    cut(folder, "file", 5)
    assert read(folder) == b"012\0\0"


def test_a_file_is_put_in_the_place_of_another_whole(folder: Directory) -> None:
    put(folder, "file", b"abc")
    put(folder, "new", b"")
    assert (read(folder), read(folder, "new"), folder.names()) == (b"abc", b"", ["file", "new"])


def test_all_of_it_is_durable() -> None:
    filesystem = MemoryFileSystem()
    folder = filesystem.open_root("/store", create=True)
    for name in ("flipped", "overwritten", "cut", "removed", "put"):
        put(folder, name, b"0123456789")
    flip_bit(folder, "flipped")
    overwrite(folder, "overwritten", 0, b"a")
    cut(folder, "cut", 1)
    remove(folder, "removed")
    put(folder, "put", b"")
    root = filesystem.crash().open_root("/store")
    assert {name: read(root, name) for name in root.names()} == {
        "flipped": b"0123456788",
        "overwritten": b"a123456789",
        "cut": b"0",
        "put": b"",
    }
