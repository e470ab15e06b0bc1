"""What one command decided is written in as few frames as the rules allow, or not at all."""

import errno
from contextlib import suppress

import pytest

from rap_journal.errors import MisuseError, NoSpace
from rap_projections import trust_decisions
from rap_projections.event_kinds import TRUST, event_of
from rap_projections.health_events import PartitionFlagged
from rap_projections.testing import Fabric, memory_store
from tests.projections.store_kit import FOLDER, core_of, fill, flag, furnished, ready


def test_events_of_a_cache_that_one_frame_cannot_hold_are_written_in_several() -> None:
    kit = memory_store()
    fabric = Fabric("lab")
    cluster = kit.join(fabric)
    frames = cluster._core.journal.frames_written
    destinations = [f"node-{number:035}" for number in range(10_000)]
    cluster.activate(fabric.routes([(destination, []) for destination in destinations]))
    # Activation, candidates, routes in two frames, and the version that is applied.
    assert cluster._core.journal.frames_written == frames + 5
    assert [cluster.routes.best(destination, channel="interactive") is None for destination in destinations] == [False] * 10_000
    digest = cluster.digest()
    kit.kill()
    assert kit.store.cluster("lab").digest() == digest


def test_events_of_one_command_are_in_one_frame_as_far_as_strict_ones_allow() -> None:
    it = ready()
    frames = core_of(it).journal.frames_written
    core_of(it).execute("health", lambda now: (*flag("a"), *flag("b"), *flag("c")))
    assert core_of(it).journal.frames_written == frames + 1
    assert it.cluster.view().health.partition_flags == ("a", "b", "c")


def test_on_a_full_disk_caches_are_refused_or_wait_and_what_matters_is_written_from_the_reserve() -> None:
    it = furnished()
    fill(it)
    before = it.cluster.digest()
    it.cluster.telemetry.record("relay", "no room")
    with pytest.raises(NoSpace) as caught:
        it.cluster.flush()
    assert (caught.value.action, it.cluster.digest()) == ("retry", before)
    assert it.cluster.status()["writer"]["is_poisoned"] is False
    # Sync and strict classes: flags, reasons, reports, small documents, roll-backs.
    assert it.cluster.health.partition("disk-full", on=True).durable
    assert it.cluster.health.enter_degraded("disk full").durable
    assert it.cluster.services.report("svc-a", state="failed", detail="disk").durable
    assert it.cluster.activate(it.fabric.services(["svc-a"])).durable
    digest = it.cluster.digest()
    it.kit.power_cut()
    assert it.cluster.digest() == digest


def test_the_reserve_is_for_many_small_commands_and_its_end_is_no_space_and_no_poison() -> None:
    it = furnished()
    fill(it)
    count = 0
    with suppress(NoSpace):
        while count < 100_000:
            before = it.cluster.digest()
            it.cluster.health.partition(f"flag-{count % 50}", on=count // 50 % 2 == 0)
            count += 1
    assert count < 100_000
    assert count >= 100, "as many as an emergency has to say"
    assert it.cluster.digest() == before
    assert it.cluster.status()["writer"]["is_poisoned"] is False
    it.kit.filesystem.capacity_bytes = None
    assert it.cluster.health.partition("space-again", on=True).durable


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_quota_counts_as_no_space(number: int) -> None:
    it = furnished()
    it.kit.filesystem.fail("create", f"{FOLDER}/*", number, times=None)
    before = it.cluster.digest()
    with pytest.raises(NoSpace):
        it.cluster.identity.request(node_id="node-1", membership_id="m-1")
    assert it.cluster.digest() == before
    it.kit.filesystem.heal()
    assert it.cluster.identity.request(node_id="node-1", membership_id="m-1")


def test_a_document_too_large_for_its_event_needs_space_and_changes_nothing_without() -> None:
    it = furnished()
    fill(it)
    before = it.cluster.digest()
    with pytest.raises(NoSpace):
        it.cluster.activate(it.fabric.peers([f"node-{number}" for number in range(1500)]))
    assert it.cluster.digest() == before
    it.kit.filesystem.capacity_bytes = None
    assert it.cluster.activate(it.fabric.peers([f"node-{number}" for number in range(1500)])).durable


def test_strict_events_are_in_frames_of_their_own_and_keep_their_place() -> None:
    it = ready()
    core, before = core_of(it), core_of(it).journal.frames_written
    floor = trust_decisions.decide_floor_raised(
        core.state.view(TRUST), bundle_version=9, bundle_content_id=bytes(32), revocation_digest=b"", revocation_count=0,
        origin="memory",
    )  # fmt: skip
    lsn = core.journal.durable_lsn
    receipt = core.execute("health", lambda now: (*flag("a"), *floor, *flag("b")))
    assert core.journal.frames_written == before + 3
    assert [type(event_of(record)) for record in core.history_after(lsn)] == [
        PartitionFlagged,
        *map(type, floor),
        PartitionFlagged,
    ]
    assert receipt.lsn == core.journal.durable_lsn


def test_one_event_that_cannot_be_written_keeps_all_of_its_command_out() -> None:
    it = ready()
    core, before = core_of(it), it.cluster.digest()
    with pytest.raises(MisuseError):
        core.execute("health", lambda now: (*flag("a"), *flag("b" * 2_000_000)))
    core.flush()
    assert it.cluster.digest() == before
    assert core.execute("health", lambda now: flag("a")).durable
