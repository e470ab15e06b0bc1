"""Over the disk budget, or on a full disk, things give way in order, each recorded first, and never what is in force."""

import pytest

from rap_journal.errors import NoSpace
from rap_journal.layout import checkpoint_name
from rap_journal.quarantine import Piece, keep
from rap_journal.testing import SeededRandomness
from rap_projections.event_kinds import Event, event_of
from rap_projections.giving_way import GivingWay, bytes_in, pieces_in
from rap_projections.history import History
from rap_projections.lifecycle import HistoryRetired, RecoveryDone
from rap_projections.policy import Policy
from rap_projections.retention import STEPS
from rap_projections.testing.memory_store import ROOT
from rap_projections.upkeep_events import SpaceGaveWay
from tests.projections.store_kit import FOLDER, Ready, files, folder, furnished, names, write_file

KEEPING = Policy(history_all_h=1000, segment_bytes_max=64 << 10)
HOUR_S = 3600


def grown(*, policy: Policy = KEEPING, count: int = 4) -> Ready:
    """A furnished store with telemetry that waits, several sets, a ledger and a piece in quarantine."""
    it = furnished(policy=policy)
    _grow(it, count)
    return it


def _grow(it: Ready, count: int) -> None:
    for number in range(count):
        it.kit.clock.advance(seconds=HOUR_S)
        it.cluster.telemetry.record("noise", SeededRandomness(number)(1500).hex())
        it.cluster.peers.observe_many([("node-1", 10.0 + number)])
        it.cluster.health.partition("flag", on=number % 2 == 0)
        it.cluster.flush()
        it.cluster.checkpoint()


def told(it: Ready) -> list[Event | None]:
    """Every event that can still be told, those in the ledger first."""
    it.cluster._core.journal.bring_witness_up()
    with History.open(ROOT, keys=it.kit.keys, filesystem=it.kit.filesystem) as history:
        cluster = history.cluster(it.fabric.cluster_id)
        return [*(event_of(entry.record) for entry in cluster.ledger()), *map(event_of, cluster.records())]


def gave_way(it: Ready) -> list[SpaceGaveWay]:
    return [event for event in told(it) if isinstance(event, SpaceGaveWay)]


def measured(it: Ready) -> int:
    return sum(len(content) for content in files(it.kit.filesystem, f"{FOLDER}/").values())


def limited(it: Ready, disk_bytes_max: int) -> GivingWay:
    """The budget of a cluster, with a limit that is put into force now."""
    it.cluster._context.operator_policy = Policy(history_all_h=1000, disk_bytes_max=disk_bytes_max, segment_bytes_max=64 << 10)
    it.cluster._context.load_policy()
    return GivingWay(it.cluster._core)


def test_what_a_cluster_takes_is_measured_to_the_byte() -> None:
    it = grown()
    usage = GivingWay(it.cluster._core).measure()
    assert usage.disk == measured(it) == it.cluster.status()["writer"]["disk_bytes"]
    peers = [len(content) for _path, content in sorted(files(it.kit.filesystem, f"{FOLDER}/peers/").items())]
    routes = [len(content) for _path, content in sorted(files(it.kit.filesystem, f"{FOLDER}/routes/").items())]
    assert usage.cache_checkpoints == sum(peers[:-1]) + sum(routes[:-1])
    assert (usage.ledger, usage.quarantine) == (0, 0) and usage.history > 0 and usage.telemetry > 0


def test_within_the_budget_nothing_gives_way() -> None:
    it = grown()
    assert gave_way(it) == [] and len(names(it.kit.filesystem, f"{FOLDER}/peers", part="checkpoint-")) > 2


def test_over_the_budget_no_more_gives_way_than_must() -> None:
    it = grown()
    it.cluster.note("so that the event needs no new segment")
    giving = limited(it, measured(it) - 1)
    giving.keep_within(it.cluster.policy)
    assert [event.step for event in gave_way(it)] == ["telemetry"]
    assert it.cluster.telemetry.drain() == ()
    assert len(names(it.kit.filesystem, f"{FOLDER}/telemetry", part="checkpoint-")) == 1
    assert len(names(it.kit.filesystem, f"{FOLDER}/peers", part="checkpoint-")) > 2


def test_far_over_the_budget_all_gives_way_in_order_but_what_is_in_force() -> None:
    it = grown()
    live = it.cluster.view()
    it.cluster.note("so that the event needs no new segment")
    giving = limited(it, 64 << 10)
    first = giving.measure()
    assert first.disk > 64 << 10
    usage = giving.keep_within(it.cluster.policy)
    events = gave_way(it)
    steps = [event.step for event in events]
    assert steps == [step for step in STEPS if step in steps] and steps[:3] == ["telemetry", "cache_checkpoints", "history"]
    assert usage.disk < first.disk and (usage.telemetry, usage.cache_checkpoints) == (0, 0)
    assert all(event.disk_bytes_max == 64 << 10 and event.disk_bytes > 64 << 10 for event in events)
    for name in ("identity", "trust", "snapshots", "peers"):
        assert len(names(it.kit.filesystem, f"{FOLDER}/{name}", part="checkpoint-")) == 1
    shown = it.cluster.status()["store"]["gave_way"]
    assert sorted(shown) == sorted(steps) and all(entry["at_us"] for entry in shown.values())
    it.kit.kill()
    again = it.cluster.view()
    assert (again.snapshots, again.trust.bundle, again.services) == (live.snapshots, live.trust.bundle, live.services)
    assert it.cluster.recovery.is_clean


def test_a_checkpoint_keeps_the_budget_by_itself() -> None:
    it = grown(policy=Policy(history_all_h=1000, disk_bytes_max=256 << 10, segment_bytes_max=64 << 10), count=1)
    steps: list[str] = []
    while "history" not in steps:
        _grow(it, 1)
        steps = [event.step for event in gave_way(it)]
        shown = it.cluster.status()["writer"]
        assert shown["disk_bytes"] == measured(it) <= shown["disk_bytes_max"] == 256 << 10
    assert steps[:2] == ["telemetry", "cache_checkpoints"]
    assert any(isinstance(event, HistoryRetired) for event in told(it))


def test_every_step_is_written_down_before_anything_goes() -> None:
    it = grown()
    giving, seen = limited(it, 64 << 10), len(it.kit.filesystem.operations)
    giving.keep_within(it.cluster.policy)
    done = it.kit.filesystem.operations[seen:]
    first = next(at for at, operation in enumerate(done) if operation.name == "unlink")
    assert any(operation.name == "sync" and "/journal/" in operation.path for operation in done[:first])


def test_quarantine_gives_way_oldest_first_and_is_counted_again() -> None:
    it = grown()
    _quarantine_of(it, 3, 9000)
    giving = limited(it, 64 << 10)
    giving.keep_within(it.cluster.policy)
    for_ledger = giving.measure()
    pieces = pieces_in(it.cluster._core.journal.folders.quarantine)
    assert for_ledger.disk <= 64 << 10 or not pieces.names
    quarantine = it.cluster.view().health.quarantine
    assert (quarantine.entry_count, quarantine.byte_count) == (len(pieces.names), pieces.piece_bytes)


def _quarantine_of(it: Ready, count: int, size: int) -> None:
    """Pieces of that size, as recoveries kept them, and known of."""
    folders, journal_id = it.cluster._core.journal.folders, it.cluster._core.journal.keys.marker.journal_id
    for number in range(count):
        piece = Piece(journal_id, number + 1, 1, 512, 0, 2, SeededRandomness(number)(size))
        keep(folders.quarantine, folders.temporary, piece, 1 << 30)
        event = RecoveryDone(number + 1, 512, 0, size, "torn_or_rotten", "short_frame", "cut", "none", bytes(32))
        it.cluster._context.execute("test", lambda now, event=event: (event,), durable=True)  # type: ignore[misc]  # bound per round


def test_on_a_full_disk_a_checkpoint_makes_its_own_room() -> None:
    it = grown()
    it.cluster.peers.observe_many([("node-2", 99.0)])
    it.cluster._core.journal.seal_active()
    it.kit.filesystem.capacity_bytes = it.kit.filesystem.used_bytes
    written_set = it.cluster.checkpoint()
    assert written_set.byte_count > 0
    events = gave_way(it)
    assert events and events[0].step == "telemetry" and {event.disk_bytes_max for event in events} == {0}
    assert names(it.kit.filesystem, f"{FOLDER}/trust", part=checkpoint_name(written_set.lsn))
    live = it.cluster.digest()
    it.kit.filesystem.capacity_bytes = None
    assert it.kit.kill().cluster(it.fabric.cluster_id).digest() == live


def test_where_nothing_is_left_to_give_a_checkpoint_finds_no_space_and_the_cluster_lives() -> None:
    it = furnished(policy=KEEPING)
    it.cluster._core.journal.seal_active()
    it.kit.filesystem.capacity_bytes = it.kit.filesystem.used_bytes
    for _ in range(5):
        with pytest.raises(NoSpace):
            it.cluster.checkpoint()
    assert it.cluster.note("goes on").durable
    assert names(it.kit.filesystem, FOLDER, part="checkpoint-") == names(it.kit.filesystem, FOLDER, part=checkpoint_name(0))
    it.kit.filesystem.capacity_bytes = None
    assert it.cluster.note("goes on").durable
    live = it.cluster.digest()
    assert it.kit.kill().cluster(it.fabric.cluster_id).digest() == live


def test_bytes_and_pieces_are_those_of_the_folder() -> None:
    it = grown(count=1)
    write_file(it.kit.filesystem, f"{FOLDER}/quarantine/stranger", b"xyz")
    home = folder(it.kit.filesystem, f"{FOLDER}/quarantine")
    assert (bytes_in(home), pieces_in(home).names) == (3, ())
