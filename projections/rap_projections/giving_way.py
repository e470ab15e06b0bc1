"""Keeping a cluster within its disk budget: telemetry gives way first, quarantine last, and what is strict never (journal, 20).

Rules this file keeps:

- `retention` decides what is next; this file measures, writes the event that says so, durably, and then lets go.
- The newest checkpoint of every class and the segments behind the newest set always stay: no step costs a state that is in force.
- Quarantine is counted behind its step, not before it: a crash in between is found by counting again at the next opening.

Example::

    GivingWay(core).keep_within(policy)
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple

from rap_journal.checkpoints import list_checkpoints
from rap_journal.errors import NoSpace
from rap_journal.filesystem import Directory
from rap_journal.layout import checkpoint_name, parse_quarantine_name
from rap_journal.ledger import list_ledger
from rap_journal.quarantine import piece_bytes_of
from rap_journal.values import Durability
from rap_projections import telemetry
from rap_projections.checkpointing import sets_made
from rap_projections.event_kinds import HEALTH, TELEMETRY
from rap_projections.journaled_state import JournaledState
from rap_projections.policy import EffectivePolicy
from rap_projections.retention import STEPS, Usage, next_to_give_way, oldest_to_go
from rap_projections.retiring import SUBJECT, drop_ledger, move_floor, segments_below
from rap_projections.upkeep_decisions import decide_quarantine_counted
from rap_projections.upkeep_events import SpaceGaveWay


class Pieces(NamedTuple):
    """What quarantine holds: names, oldest first, and the bytes of each file and of the piece in it."""

    names: tuple[str, ...]
    sizes: tuple[int, ...]

    @property
    def piece_bytes(self) -> int:
        """Bytes that recoveries cut, without the headers of their files."""
        return sum(map(piece_bytes_of, self.sizes))


def pieces_in(folder: Directory) -> Pieces:
    """The pieces in a quarantine folder. Raises `OSError`."""
    found = [
        (name, status.size)
        for name in folder.names()
        if parse_quarantine_name(name) is not None and (status := folder.status(name)) is not None
    ]
    return Pieces(tuple([name for name, _size in found]), tuple([size for _name, size in found]))


def bytes_in(folder: Directory) -> int:
    """Bytes of all files in a folder. Raises `OSError`."""
    found = [folder.status(name) for name in folder.names()]
    return sum(status.size for status in found if status is not None and status.kind == "file")


class GivingWay:
    """The disk budget of one cluster."""

    def __init__(self, core: JournaledState) -> None:
        self._core = core
        self._steps: dict[str, Callable[[EffectivePolicy, int], None]] = {
            "telemetry": self._drop_telemetry,
            "cache_checkpoints": self._drop_cache_checkpoints,
            "history": self._drop_history,
            "ledger": self._drop_ledger,
            "quarantine": self._drop_quarantine,
        }

    def measure(self) -> Usage:
        """What the cluster's folder takes now. Raises `OSError`."""
        folders, waiting_bytes = self._core.journal.folders, self._core.state[TELEMETRY].waiting_bytes
        all_folders = (folders.root, folders.journal, folders.quarantine, folders.temporary, *folders.classes.values())
        telemetry_number = TELEMETRY.number
        older = {number: sum(size for _name, size in self._older_checkpoints(number)) for number in self._cache_numbers()}
        return Usage(
            disk=sum(map(bytes_in, all_folders)),
            telemetry=waiting_bytes + older.get(telemetry_number, 0),
            cache_checkpoints=sum(size for number, size in older.items() if number != telemetry_number),
            history=sum(self._history()),
            ledger=sum(self._ledger_sizes()),
            quarantine=sum(pieces_in(folders.quarantine).sizes),
        )

    def keep_within(self, policy: EffectivePolicy) -> Usage:
        """Let things give way, step by step, until the budget is kept or nothing is left to give. Raises what writing raises."""
        tried: list[str] = []
        usage = self.measure()
        while (step := next_to_give_way(usage, policy.disk_bytes_max, tried)) is not None:
            self._give(step, usage, policy, usage.disk - policy.disk_bytes_max, policy.disk_bytes_max)
            tried.append(step)
            usage = self.measure()
        return usage

    def give_on_full_disk(self, policy: EffectivePolicy, tried: list[str]) -> bool:
        """Let the next step give all it has, as the disk itself is full; False where nothing is left to give. Notes it in `tried`."""
        usage = self.measure()
        step = next_to_give_way(usage, -1, tried)
        if step is None:
            return False
        tried += STEPS[: STEPS.index(step) + 1]
        self._give(step, usage, policy, usage.disk, 0)
        return True

    def _give(self, step: str, usage: Usage, policy: EffectivePolicy, wanted_bytes: int, disk_bytes_max: int) -> None:
        byte_count = min(getattr(usage, step), wanted_bytes) if step in ("ledger", "quarantine") else getattr(usage, step)
        event = SpaceGaveWay(step, byte_count, self._file_count(step, wanted_bytes), usage.disk, disk_bytes_max)
        self._core.execute(SUBJECT, lambda now: (event,), durable=True)
        self._steps[step](policy, wanted_bytes)

    def _file_count(self, step: str, wanted_bytes: int) -> int:
        if step == "history":
            return len(self._history())
        if step == "ledger":
            return _count_for(self._ledger_sizes(), wanted_bytes)
        if step == "quarantine":
            return _count_for(pieces_in(self._core.journal.folders.quarantine).sizes, wanted_bytes)
        return sum(len(self._older_checkpoints(number)) for number in self._numbers_of(step))

    def _drop_telemetry(self, policy: EffectivePolicy, wanted_bytes: int) -> None:
        state = self._core.state
        nothing_waits = replace(policy, telemetry_bytes_max=0)
        # A cache may not enter the reserve: on a full disk what waits goes on waiting, and its older checkpoints go all the same.
        with suppress(NoSpace):
            self._core.execute("telemetry", lambda now: telemetry.decide_eviction(state[TELEMETRY], nothing_waits), durable=True)
        self._drop_older_checkpoints("telemetry")

    def _drop_cache_checkpoints(self, policy: EffectivePolicy, wanted_bytes: int) -> None:
        self._drop_older_checkpoints("cache_checkpoints")

    def _drop_history(self, policy: EffectivePolicy, wanted_bytes: int) -> None:
        """First down to the two newest sets, and where that is not enough to the newest, which was verified when it was written."""
        before = bytes_in(self._core.journal.folders.journal)
        for made in sets_made(self._core.journal)[-2:]:
            if before - bytes_in(self._core.journal.folders.journal) < wanted_bytes:
                move_floor(self._core, made.lsn, policy, may_lose_ledger=True)

    def _drop_ledger(self, policy: EffectivePolicy, wanted_bytes: int) -> None:
        spans, sizes = list_ledger(self._core.journal.folders.journal), self._ledger_sizes()
        count = _count_for(sizes, wanted_bytes)
        drop_ledger(self._core, spans[:count], sum(sizes[:count]))

    def _drop_quarantine(self, policy: EffectivePolicy, wanted_bytes: int) -> None:
        folder = self._core.journal.folders.quarantine
        pieces = pieces_in(folder)
        for name in pieces.names[: _count_for(pieces.sizes, wanted_bytes)]:
            folder.unlink(name)
        folder.sync()
        count_quarantine(self._core)

    def _drop_older_checkpoints(self, step: str) -> None:
        for number in self._numbers_of(step):
            folder = self._core.journal.folders.classes[number]
            for name, _size in self._older_checkpoints(number):
                folder.unlink(name)
            folder.sync()

    def _numbers_of(self, step: str) -> list[int]:
        return [number for number in self._cache_numbers() if (number == TELEMETRY.number) == (step == "telemetry")]

    def _cache_numbers(self) -> list[int]:
        journal = self._core.journal
        caches = [spec.number for spec in journal.setup.specs if spec.durability is Durability.CACHE]
        return [number for number in caches if number in journal.folders.classes]

    def _older_checkpoints(self, number: int) -> list[tuple[str, int]]:
        """Names and sizes of a class's checkpoints but the newest."""
        folder = self._core.journal.folders.classes[number]
        return _sized(folder, [checkpoint_name(lsn) for lsn in list_checkpoints(folder)[:-1]])

    def _history(self) -> list[int]:
        """Sizes of the segments and of the strict and sync classes' checkpoints below the newest set."""
        journal = self._core.journal
        sets = sets_made(journal)
        if not sets:
            return []
        segments = segments_below(journal, sets[-1].lsn)
        if not segments:
            return []
        found = [size for _name, size in _sized(journal.folders.journal, [segment.name for segment in segments])]
        for number, folder in journal.folders.classes.items():
            if number not in self._cache_numbers():
                older = [checkpoint_name(lsn) for lsn in list_checkpoints(folder) if lsn < sets[-1].lsn]
                found += [size for _name, size in _sized(folder, older)]
        return found

    def _ledger_sizes(self) -> list[int]:
        folder = self._core.journal.folders.journal
        return [size for _name, size in _sized(folder, [span.name for span in list_ledger(folder)])]


def count_quarantine(core: JournaledState) -> None:
    """Correct what is known of the quarantine where less is there. Raises what writing raises."""
    pieces = pieces_in(core.journal.folders.quarantine)
    core.execute(
        SUBJECT,
        lambda now: decide_quarantine_counted(core.state.view(HEALTH), len(pieces.names), pieces.piece_bytes),
        durable=True,
    )


def _count_for(sizes: list[int] | tuple[int, ...], wanted_bytes: int) -> int:
    """How many of the oldest go, so that at least `wanted_bytes` are free, or all."""
    return oldest_to_go(sizes, max(0, sum(sizes) - wanted_bytes))


def _sized(folder: Directory, names: list[str]) -> list[tuple[str, int]]:
    return [(name, status.size) for name in names if (status := folder.status(name)) is not None]
