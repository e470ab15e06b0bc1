"""One journal and the state folded from it: what an opening finds."""

from rap_projections.testing import Fabric, memory_store


def test_a_state_restored_from_a_checkpoint_alone_is_at_the_last_durable_lsn() -> None:
    kit = memory_store()
    fabric = Fabric("lab")
    cluster = kit.join(fabric)
    cluster.activate(fabric.peers(["node-1"]))
    cluster.peers.observe("node-1", rtt_ms=12.5)
    cluster.flush()
    before = cluster.view(digest=True)
    written = cluster.checkpoint()
    assert (written.lsn, written.digest) == (before.lsn, before.digest)

    # The event that tells of the checkpoint waits for its frame: it dies with the process, and nothing is left to replay.
    kit.kill()
    again = kit.store.cluster("lab")
    assert (again.recovery.checkpoint_lsn, again.recovery.record_count) == (before.lsn, 0)
    assert again.view(digest=True) == before
    assert again.health.heartbeat().at_lsn == before.lsn


def test_events_of_a_cache_that_one_frame_cannot_hold_are_written_in_several() -> None:
    kit = memory_store()
    fabric = Fabric("lab")
    cluster = kit.join(fabric)
    frames = cluster._core.journal.frames_written
    destinations = [f"node-{number}" for number in range(5000)]
    cluster.activate(fabric.routes([(destination, []) for destination in destinations]))
    # Activation, candidates, routes in two frames, and the version that is applied.
    assert cluster._core.journal.frames_written == frames + 5
    assert [cluster.routes.best(destination, channel="interactive") is None for destination in destinations] == [False] * 5000
    digest = cluster.digest()
    kit.kill()
    assert kit.store.cluster("lab").digest() == digest


def test_a_durable_call_wakes_the_housekeeper_which_brings_the_witness_up_to_date() -> None:
    kit = memory_store()
    cluster = kit.join(Fabric("lab"))
    core, woken = cluster._core, []
    core.machine = core.machine._replace(wake=lambda: woken.append(core.journal.durable_lsn))
    receipt = cluster.health.partition("site-b", on=True)
    assert woken == [receipt.lsn]
    assert not cluster.is_idle
    kit.clock.advance(seconds=0.05)
    cluster.tick()
    assert cluster.is_idle
    assert core.journal.witnessed_lsn == receipt.lsn
