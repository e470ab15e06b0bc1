"""A small cleanly closed journal with any byte changed, any file cut, gone, swapped or grown: opening says so, or the state is equal.

What holds for each: opening either raises one of the errors it documents, or reports, or the state is the very same (I7). And what it
reports, it reports of the class that is concerned: no strict class ever differs without being named as lost or tampered with (I6).
"""

from collections.abc import Callable, Iterator

import pytest

from rap_journal.errors import DamageError, FormatTooNew, KeyTampered, KeyUnavailable
from rap_journal.filesystem import Directory
from rap_journal.layout import MARKER, WITNESS
from rap_journal.limits import SEGMENT_BYTES_MAX
from rap_journal.sealing import SealBroken
from rap_journal.testing import MemoryFileSystem, SeededRandomness
from rap_journal.testing.memory_handles import MemoryFile
from tests.journal.segment_kit import flip
from tests.journal.workbench import (
    HEALTH,
    IDENTITY,
    PATH,
    PEERS,
    SPECS,
    TRUST,
    Opened,
    State,
    new_journal,
    open_journal,
    plant,
    tree,
)

DOCUMENTED = (DamageError, FormatTooNew, KeyUnavailable, KeyTampered, SealBroken, FileNotFoundError)
"""What `Journal.open` says it raises for stored bytes that are not as they were written."""

STRICT = {spec.number for spec in SPECS[:2]}


class Sound:
    """The sound journal: its files, its state, its floors, and how it looks when opened."""

    def __init__(self) -> None:
        filesystem, opened = new_journal()
        noise = SeededRandomness("bodies")
        opened.append(IDENTITY, ["i1", noise(40)])
        opened.append(HEALTH, ["h2"], ["h3", noise(30)])
        opened.append(PEERS, ["p4", "x" * 300])
        opened.append(TRUST, ["t5"])
        opened.checkpoint()
        opened.append(HEALTH, ["h6"])
        opened.append(TRUST, ["t7"])
        opened.append(PEERS, ["p8"])
        opened.append(IDENTITY, ["i9"])
        opened.append(HEALTH, ["h10"])
        opened.journal.close()
        again = open_journal(filesystem)
        assert again.journal.report.is_clean
        self.files = {name: data for name, data in tree(filesystem).items() if name != "journal/spare"}
        self.state: State = again.ledger.state
        self.floors = again.journal.recovered_floors
        self.filesystem = plant(self.files)

    def names(self) -> list[str]:
        return [name for name, data in self.files.items() if data is not None]

    def content(self, name: str) -> bytes:
        data = self.files[name]
        assert data is not None
        return data

    def damaged(self, name: str, data: bytes | None) -> MemoryFileSystem:
        """A file system in which file `name` holds `data`, or is gone."""
        filesystem = self.filesystem.image()
        above, _, last = name.rpartition("/")
        folder: Directory = filesystem.open_root(PATH)
        if above:
            folder = folder.directory(above)
        if data is None:
            folder.unlink(last)
            return filesystem
        with folder.open(last, writable=True) as file:
            file.truncate(len(data))
            file.write_at(0, data)
        return filesystem


@pytest.fixture(scope="module")
def sound() -> Sound:
    return Sound()


def outcome_of(filesystem: MemoryFileSystem, sound: Sound, what: object) -> str:
    """Open, and hold the outcome against what must be: "refused", "tampered", "reported" or "equal"."""
    try:
        opened = open_journal(filesystem)
    except DOCUMENTED:
        return "refused"
    report = opened.journal.report
    if report.is_tampered:
        assert not opened.journal.is_writable, what
        return "tampered"
    check_strict_classes(opened, sound, what)
    if report.findings or report.losses:
        lost = {loss.state_class for loss in report.losses}
        differing = {number for number, pairs in opened.ledger.state.items() if pairs != sound.state[number]}
        assert differing <= lost, (what, "a class differs and is not named")
        return "reported"
    assert opened.ledger.state == sound.state, (what, "silently another state")
    return "equal"


def check_strict_classes(opened: Opened, sound: Sound, what: object) -> None:
    lost = {loss.state_class for loss in opened.journal.report.losses}
    for number in STRICT - lost:
        assert opened.ledger.state[number] == sound.state[number], (what, "a strict class differs and is not named")


def places(name: str, length: int) -> Iterator[int]:
    """The bytes of a file to be changed: all, but of zeros that fill blocks up only some."""
    if name != WITNESS:
        yield from range(length)
        return
    for base in (0, 4096):
        yield from range(base, base + 320)
        yield from range(base + 320, base + 4080, 173)
        yield from range(base + 4080, base + 4096)


@pytest.mark.parametrize("kind", ["journal/", "identity/", "trust/", "health/", "peers/", MARKER, WITNESS])
def test_a_flipped_bit_in_any_byte_is_refused_reported_or_without_effect(sound: Sound, kind: str) -> None:
    seen: dict[str, set[str]] = {}
    for name in sound.names():
        if name.startswith(kind):
            data = sound.content(name)
            for place in places(name, len(data)):
                changed = sound.damaged(name, flip(data, place, place % 8))
                seen.setdefault(name.partition("-0000")[0], set()).add(outcome_of(changed, sound, (name, place)))
    expected = {
        "journal/": {"reported", "equal"},
        "identity/": {"reported", "equal"},
        "trust/": {"reported", "equal"},
        "health/": {"reported", "equal"},
        "peers/": {"reported", "equal"},
        MARKER: {"reported"},
        # A bad slot below the journal's end may be a crash; at it, floors may be lost.
        WITNESS: {"reported", "equal"},
    }
    assert set().union(*seen.values()) == expected[kind]


def test_a_file_cut_off_at_any_length_is_refused_reported_or_without_effect(sound: Sound) -> None:
    for name in sound.names():
        data = sound.content(name)
        # Of the witness only lengths around the ends of the slots tell anything apart.
        lengths = (0, 1, 151, 4095, 4096, 4097, 8191) if name == WITNESS else range(0, len(data), 7)
        for length in lengths:
            outcome_of(sound.damaged(name, data[:length]), sound, (name, length))


@pytest.mark.parametrize("filling", [b"\0", b"\xff"], ids=["zeros", "ones"])
def test_a_lost_sector_anywhere_is_refused_reported_or_without_effect(sound: Sound, filling: bytes) -> None:
    for name in sound.names():
        data = sound.content(name)
        for start in range(0, len(data), 512):
            end = min(len(data), start + 512)
            changed = data[:start] + filling * (end - start) + data[end:]
            outcome_of(sound.damaged(name, changed), sound, (name, start))


def test_a_missing_file_is_refused_reported_or_without_effect(sound: Sound) -> None:
    outcomes = {name: outcome_of(sound.damaged(name, None), sound, name) for name in sound.names()}
    assert {name for name, outcome in outcomes.items() if outcome == "refused"} == {MARKER, WITNESS}
    newest = max(name for name in outcomes if name.startswith("journal/"))
    assert outcomes[newest] == "reported"


def test_any_two_files_that_were_swapped_are_refused_reported_or_without_effect(sound: Sound) -> None:
    names = sound.names()
    for index, one in enumerate(names):
        for other in names[index + 1 :]:
            filesystem = plant(sound.files | {one: sound.files[other], other: sound.files[one]})
            outcome_of(filesystem, sound, (one, other))


def test_any_file_that_was_put_in_the_place_of_another_is_refused_reported_or_without_effect(sound: Sound) -> None:
    for one in sound.names():
        for other in sound.names():
            if one != other:
                outcome_of(sound.damaged(one, sound.content(other)), sound, (one, other))


@pytest.mark.parametrize("tail", [b"\0", b"x", bytes(4096), b"x" * 4096], ids=["zero", "byte", "zeros", "bytes"])
def test_a_file_that_grew_is_refused_reported_or_without_effect(sound: Sound, tail: bytes) -> None:
    for name in sound.names():
        outcome_of(sound.damaged(name, sound.content(name) + tail), sound, name)


def test_a_segment_of_absurd_size_costs_neither_memory_nor_the_records_in_it(
    sound: Sound, monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths: list[int] = []
    read_at = MemoryFile.read_at

    def watching(self: MemoryFile, offset: int, length: int) -> bytes:
        lengths.append(length)
        return read_at(self, offset, length)

    monkeypatch.setattr(MemoryFile, "read_at", watching)
    monkeypatch.setattr(MemoryFile, "size", lambda self: 1 << 50)
    filesystem = plant({name: data for name, data in sound.files.items() if "checkpoint" not in name})
    open_journal(filesystem)
    assert max(lengths) <= SEGMENT_BYTES_MAX


ORDERS: dict[str, Callable[[Sound], MemoryFileSystem]] = {
    "every class folder": lambda sound: plant(
        {n: d for n, d in sound.files.items() if not n.startswith(tuple(s.name for s in SPECS))}
    ),
    "all checkpoints": lambda sound: plant({n: d for n, d in sound.files.items() if "checkpoint" not in n}),
    "quarantine and tmp": lambda sound: plant({n: d for n, d in sound.files.items() if n not in ("quarantine", "tmp")}),
    "all segments": lambda sound: plant({n: d for n, d in sound.files.items() if not n.startswith("journal/")}),
    "the folder of segments": lambda sound: plant({n: d for n, d in sound.files.items() if not n.startswith("journal")}),
    "one copy of the keys": lambda sound: plant({n: d for n, d in sound.files.items() if not n.startswith("identity/keys")}),
    "both copies of the keys": lambda sound: plant({n: d for n, d in sound.files.items() if "/keys" not in n}),
}

EXPECTED = {
    "every class folder": "refused",
    "all checkpoints": "reported",
    "quarantine and tmp": "equal",
    "all segments": "reported",
    "the folder of segments": "refused",
    "one copy of the keys": "reported",
    "both copies of the keys": "refused",
}


def test_several_wounds_at_once_never_lead_to_an_undocumented_error_and_what_is_left_can_be_written_to(sound: Sound) -> None:
    names = sound.names()
    for seed in range(400):
        draw = SeededRandomness(f"wounds {seed}")
        files = dict(sound.files)
        for _wound in range(1 + draw(1)[0] % 4):
            name = names[draw(1)[0] % len(names)]
            data = files[name]
            assert data is not None
            start = int.from_bytes(draw(4), "little") % max(1, len(data))
            length = 1 + draw(1)[0] % 200
            wounded = data[:start] + draw(length) + data[start + length :]
            files[name] = wounded if draw(1)[0] % 3 else data[:start]
        filesystem = plant(files)
        try:
            opened = open_journal(filesystem)
        except DOCUMENTED:
            continue
        if opened.journal.is_writable:
            state = opened.ledger.state
            opened.append(HEALTH, ["goes on", seed])
            opened.journal.close()
            again = open_journal(filesystem)
            state[HEALTH.number] = opened.ledger.state[HEALTH.number]
            assert again.ledger.state == state, seed
            assert {loss.state_class for loss in again.journal.report.losses} >= STRICT & {
                loss.state_class for loss in opened.journal.report.losses
            }, seed


@pytest.mark.parametrize("gone", ORDERS)
def test_missing_folders_and_groups_of_files_are_told(sound: Sound, gone: str) -> None:
    assert outcome_of(ORDERS[gone](sound), sound, gone) == EXPECTED[gone]
