"""Beside a live writer verification reports real damage and never anything else, whatever the writer does at whatever moment."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import count

import pytest

from rap_journal.filesystem import Directory
from rap_journal.format import SEGMENT_HEADER_BYTES
from rap_journal.layout import JOURNAL, SPARE, checkpoint_name, parse_checkpoint_name
from rap_journal.testing import MemoryFileSystem
from rap_journal.verify import verify_journal
from rap_journal.verify_files import Findings, Look
from rap_journal.verify_segments import Expected, check_segments
from tests.journal.sound_journal import (
    KEYS,
    SHAPE,
    Patient,
    append_some,
    frames_of,
    overwrite,
    reopened,
    sound_files,
    verify_files,
)
from tests.journal.watched_directory import WatchedDirectory
from tests.journal.workbench import IDENTITY, JOURNAL_ID, PATH, PEERS, SPECS, Opened, new_journal, segments_in, tree

Action = Callable[[], object]


def actions_of(filesystem: MemoryFileSystem, opened: Opened) -> Iterator[Action]:
    """What a busy writer does: it appends, rolls, checkpoints and retires, with every write seen half done before it is done."""
    for number in count(100):
        yield partial(half_a_frame, filesystem)
        yield partial(append_some, opened, number, 1)
        yield partial(half_a_slot, filesystem)
        yield partial(opened.append, IDENTITY, [number, "strict"])
        yield partial(opened.append, PEERS, [number, "z" * 1500])
        yield partial(append_some, opened, number, 3)
        yield opened.checkpoint
        yield partial(half_a_header_in_the_spare, filesystem)
        yield partial(retire, filesystem)
        yield partial(opened.append, PEERS, [number, "before a roll" * 100])


def append_frames(opened: Opened, frames: int) -> None:
    """Short frames, so that a whole one fits into a piece of a read."""
    for number in range(frames):
        opened.append(PEERS, [number])


def half_a_frame(filesystem: MemoryFileSystem) -> None:
    """Bytes that the next write will overwrite stand behind the last frame: the beginning of a frame, not yet whole."""
    name = segments_in(tree(filesystem))[-1]
    data = tree(filesystem)[name]
    assert data is not None
    offset = max((frame.end for frame in frames_of(data)), default=SEGMENT_HEADER_BYTES)
    if offset + 96 < len(data):
        overwrite(filesystem, name, offset, b"\xf5RAP" + bytes([1, 0, 2, 0]) + b"\x55" * 60)


def half_a_slot(filesystem: MemoryFileSystem) -> None:
    """The slot that is written next holds something else for a moment."""
    witness = tree(filesystem)["WITNESS"]
    assert witness is not None
    newest = max((0, 1), key=lambda index: int.from_bytes(witness[4096 * index + 48 : 4096 * index + 56], "little"))
    overwrite(filesystem, "WITNESS", 4096 * (1 - newest) + 152, b"\x77" * 100)


def half_a_header_in_the_spare(filesystem: MemoryFileSystem) -> None:
    """A roll on a full disk writes its header into the spare and then renames it."""
    files = tree(filesystem)
    header = files[segments_in(files)[-1]]
    assert header is not None
    overwrite(filesystem, f"{JOURNAL}/{SPARE}", 0, header[:512])


def retire(filesystem: MemoryFileSystem) -> None:
    """Drop the oldest checkpoint set, then the segments that it alone needed."""
    root = filesystem.open_root(PATH)
    sets = sorted(lsn for name in root.directory("trust").names() if (lsn := parse_checkpoint_name(name)) is not None)
    if len(sets) < 2:
        return
    for spec in SPECS:
        folder = root.directory(spec.name)
        folder.unlink(checkpoint_name(sets[0]))
        folder.sync()
    for name in segments_in(tree(filesystem))[:-1]:
        data = tree(filesystem)[name]
        if data is not None and all(frame.last_lsn <= sets[1] for frame in frames_of(data)):
            unlink(root, name)


def unlink(root: Directory, name: str) -> None:
    folder, _, last = name.rpartition("/")
    with root.directory(folder) as directory:
        directory.unlink(last)


class Writer:
    """Acts at some steps of the reader: from step `start` on, every `stride` steps, up to `left` times."""

    def __init__(self, actions: Iterable[Action], start: int, stride: int, left: int) -> None:
        self._actions = iter(actions)
        self._start, self._stride, self._left = start, stride, left
        self.step_count = 0

    def step(self) -> None:
        self.step_count += 1
        if self._left and self.step_count >= self._start and (self.step_count - self._start) % self._stride == 0:
            self._left -= 1
            next(self._actions)()


def verify_beside(start: int, stride: int, actions: int) -> int:
    """Verify while a writer acts; returns the number of steps."""
    filesystem, opened = reopened(sound_files())
    append_some(opened, 50, 4)
    writer = Writer(actions_of(filesystem, opened), start, stride, actions)
    root = WatchedDirectory(filesystem.open_root(PATH), writer.step)
    report = verify_journal(root, SHAPE, live=True, keys=KEYS)  # type: ignore[arg-type]  # it offers what a reader may use
    assert report.findings == (), f"start {start}, stride {stride}"
    return writer.step_count


def test_a_writer_that_does_ten_things_at_any_one_moment_raises_no_alarm() -> None:
    for start in range(0, verify_beside(0, 1, 0), 5):
        verify_beside(start, 1, 10)


@pytest.mark.slow
def test_a_writer_that_never_rests_raises_no_alarm() -> None:
    for stride in (1, 2, 3, 5, 7, 11, 23):
        for start in range(0, 60, 7):
            verify_beside(start, stride, 200)


def test_frames_written_while_a_segment_is_read_are_no_gap() -> None:
    """The first pieces of a long read are older than its last: they show zeros, and behind them stands a frame that came later."""
    for start in range(60):
        filesystem, opened = new_journal()
        opened.append(PEERS, ["witnessed later"])
        writer = Writer([partial(append_frames, opened, 5)], start, 1, 1)
        findings = Findings()
        look = Look(SHAPE, JOURNAL_ID, True, None, findings)
        folder = WatchedDirectory(filesystem.open_root(PATH).directory(JOURNAL), writer.step)
        seen = check_segments(folder, look, Expected(0, frozenset()), lambda: 0)  # type: ignore[arg-type]  # what a reader may use
        assert list(findings) == [], f"start {start}"
        assert seen.last_lsn <= opened.journal.durable_lsn


def test_nothing_past_the_horizon_is_judged() -> None:
    filesystem, opened = reopened(sound_files())
    opened.append(PEERS, ["synced"])
    opened.append(PEERS, ["perhaps in the page cache only"])
    half_a_frame(filesystem)
    files = tree(filesystem)
    report = verify_files(files, live=True)
    assert report.findings == ()
    assert report.journals[0].last_lsn == opened.journal.durable_lsn - 1
    assert report.is_live
    assert verify_files(files).exit_code == 6


def test_damage_below_the_horizon_is_reported_beside_a_writer_too() -> None:
    filesystem, opened = reopened(sound_files())
    opened.append(IDENTITY, ["witnessed"])
    files = tree(filesystem)
    name = segments_in(files)[-1]
    data = files[name]
    assert data is not None
    patient = Patient(files)
    patient.overwrite(name, frames_of(data)[-1].offset + 90, b"\0")
    report = patient.verify(live=True)
    assert [(finding.file, finding.offset, finding.reason) for finding in report.findings] == [(name, 512, "bad_digest")]
    assert report.exit_code == 8


def test_what_only_the_first_look_found_does_not_count() -> None:
    """A checkpoint is listed, and gone when it is opened; its class has another one by then."""
    patient = Patient()
    steps = iter(range(10_000))

    def step() -> None:
        if next(steps) == 30:
            for name in segments_in(sound_files())[:1]:
                unlink(patient.root, name)
            for spec in SPECS:
                unlink(patient.root, f"{spec.name}/{checkpoint_name(0)}")

    root = WatchedDirectory(patient.root, step)
    assert verify_journal(root, SHAPE, live=True).exit_code == 0  # type: ignore[arg-type]  # it offers what a reader may use
