"""One cluster as the agent sees it: what becomes durable when, what the next deadline is, and that time runs out as it should."""

import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest

from rap_journal.errors import MisuseError
from rap_journal.testing import MemoryFileSystem
from rap_projections import ClusterState, NodeStore, Operation
from rap_projections.policy import Policy
from rap_projections.testing import Fabric, MemoryKeyProvider, memory_store
from tests.projections.store_kit import CLUSTER, Ready, furnished, ready, written


def eventually(is_so: Callable[[], bool]) -> bool:
    """Whether it becomes so within half a minute of real time."""
    until = time.monotonic() + 30
    while not is_so() and time.monotonic() < until:
        threading.Event().wait(0.002)
    return is_so()


@pytest.fixture
def kept() -> Iterator[tuple[ClusterState, Fabric]]:
    """A cluster with a housekeeper and the clock of the machine, on a disk in memory."""
    fabric = Fabric(CLUSTER)
    with NodeStore.open("/node", keys=MemoryKeyProvider(), filesystem=MemoryFileSystem(), create=True) as store:
        yield store.join(CLUSTER, bundle=fabric.bootstrap, expect=fabric.fingerprint), fabric


def test_an_observation_becomes_durable_by_itself(kept: tuple[ClusterState, Fabric]) -> None:
    cluster, fabric = kept
    cluster.activate(fabric.peers(["node-1"]))
    started = time.monotonic()
    cluster.peers.observe("node-1", rtt_ms=12.5)
    assert eventually(lambda: cluster.view().peers.peers["node-1"].latency_us == 12_500)
    assert time.monotonic() - started < 10, "within a batch's delay, not at the next look around"


def test_whatever_is_queued_becomes_durable_by_itself_and_is_witnessed(kept: tuple[ClusterState, Fabric]) -> None:
    cluster, _fabric = kept
    started = time.monotonic()
    cluster.telemetry.record("relay", "queue length 12")
    cluster.health.contact("control-plane", ok=True)
    cluster.hints.put("last-relay", "node-1", ttl_s=60)
    assert eventually(lambda: len(cluster.telemetry.drain()) == 1 and cluster.hints.get("last-relay") == "node-1")
    assert eventually(lambda: cluster.status()["writer"]["witnessed_lsn"] == cluster.view().lsn)
    assert cluster.view().health.contacts["control-plane"].ok_us > 0
    assert eventually(lambda: cluster.is_idle)
    assert time.monotonic() - started < 10, "within a batch's delay, not at the next look around"


def test_an_observation_is_durable_after_the_batch_delay_and_not_before() -> None:
    it = ready(policy=Policy(batch_delay_ms=100))
    it.cluster.activate(it.fabric.peers(["node-1"]))
    it.cluster.peers.observe("node-1", rtt_ms=12.5)
    assert it.cluster.is_idle is False
    it.kit.clock.advance(seconds=0.099)
    it.kit.store.tick()
    assert it.cluster.view().peers.peers["node-1"].latency_us is None
    it.kit.clock.advance(seconds=0.001)
    it.kit.store.tick()
    assert it.cluster.view().peers.peers["node-1"].latency_us == 12_500
    it.kit.clock.advance(seconds=0.05)
    it.kit.store.tick()
    assert it.cluster.is_idle is True


def test_flush_is_the_barrier_between_queued_and_durable() -> None:
    it = ready()
    it.cluster.activate(it.fabric.peers(["node-1"]))
    it.cluster.peers.observe("node-1", rtt_ms=12.5)
    assert it.cluster.telemetry.record("relay", "queued").durable is False
    it.cluster.flush()
    digest = it.cluster.digest()
    it.kit.power_cut()
    assert it.cluster.digest() == digest
    assert len(it.cluster.telemetry.drain()) == 1 and it.cluster.view().peers.peers["node-1"].latency_us == 12_500


def test_joining_on_a_machine_that_has_been_up_for_weeks_does_not_age_the_bundle() -> None:
    kit, fabric = memory_store(), Fabric(CLUSTER)
    kit.clock.advance(seconds=20 * 86_400)
    cluster = kit.join(fabric)
    assert cluster.status()["trusted_time_s"] == fabric.issued_at_s
    assert cluster.activate(
        fabric.peers(["node-1"], expires_at_s=fabric.issued_at_s + 60, refresh_after_s=fabric.issued_at_s)
    ).changed


def seconds_left(it: Ready) -> int:
    left: int = it.cluster.status()["degraded"]["seconds_left"]
    return left


def test_rebooting_gives_no_time_back_whatever_the_machine_had_been_up() -> None:
    it = Ready(memory_store(), Fabric(CLUSTER))
    it.kit.clock.advance(seconds=20 * 86_400)
    it.kit.join(it.fabric)
    it.fabric.issued_at_s += 1
    it.cluster.activate(it.fabric.policy(offline_s_max=36_000))
    it.fabric.issued_at_s += 1
    it.cluster.activate(it.fabric.services([]))
    assert seconds_left(it) == 36_000
    for rounds in range(1, 11):
        it.kit.clock.advance(seconds=600)
        it.kit.store.tick()
        it.kit.power_cut()
        it.kit.store.tick()
        assert seconds_left(it) <= 36_000 - 600 * rounds


def test_trusted_time_goes_on_over_reboots_as_far_as_it_was_paid_for() -> None:
    it = ready()
    seen = [it.cluster.status()["trusted_time_s"]]
    for _ in range(5):
        it.kit.clock.advance(seconds=120)
        it.kit.store.tick()
        it.kit.power_cut()
        seen.append(it.cluster.status()["trusted_time_s"])
    assert all(later - earlier >= 120 for earlier, later in pairwise(seen))


@pytest.mark.parametrize("last", ["a peer is judged", "the store is closed", "a tick"])
def test_a_boot_of_which_nobody_asks_the_gate_counts_all_the_same(last: str) -> None:
    """Mutation: boots in which nothing but this is done give the time back."""
    it = ready()
    trusted_s, used_s = it.cluster.status()["trusted_time_s"], it.cluster.view().health.uptime.used_s
    for _boot in range(5):
        it.kit.power_cut()
        it.kit.clock.advance(seconds=90)
        if last == "a peer is judged":
            it.cluster.trust.verify_peer(it.fabric.peer("node-2").certificate, node_id="node-2")
        elif last == "a tick":
            it.kit.store.tick()
        else:
            it.kit.store.close()
            it.kit.open()
    assert (
        it.cluster.view().health.uptime.used_s - used_s == 5 * 151
    )  # a boot is a second old when it opens, and pays a minute in advance
    assert it.cluster.status()["trusted_time_s"] - trusted_s >= 5 * 90


@pytest.mark.parametrize("last", ["asking", "closing"])
def test_a_deadline_that_has_passed_does_not_come_back_with_the_next_boot(last: str) -> None:
    """Mutation: time that nobody ticked for is told of, or lived through, and not paid for."""
    it = ready()
    it.fabric.issued_at_s += 1
    it.cluster.activate(it.fabric.policy(high_risk_operations=("resolve_secret",), offline_s_max=36_000))
    assert it.cluster.allows(Operation.RESOLVE_SECRET).ok
    it.kit.clock.advance(seconds=40_000)
    if last == "asking":
        assert it.cluster.allows(Operation.RESOLVE_SECRET)[:2] == (False, "deadline")
        it.kit.power_cut()
    else:
        it.kit.store.close()
        it.kit.clock.reboot()
        it.kit.open()
    assert it.cluster.allows(Operation.RESOLVE_SECRET)[:2] == (False, "deadline")


def test_the_time_of_a_boot_is_paid_by_ticking_in_advance_and_in_steps_of_a_minute() -> None:
    it = ready()
    paid = []
    for _ in range(6):
        it.kit.clock.advance(seconds=30)
        it.kit.store.tick()
        uptime = it.cluster.view().health.uptime
        assert 0 <= uptime.covered_boot_us - it.kit.clock.now().boot_us <= 60_000_000
        paid.append(uptime.used_s)
    assert {later - earlier for earlier, later in pairwise(paid)} == {0, 60}


def test_the_next_deadline_is_the_earliest_of_everything_that_waits_for_time() -> None:
    it = ready(policy=Policy(contact_silence_s=300, pending_age_s_max=200, observation_age_s_max=400))
    start = it.cluster.node_time_us()
    assert it.cluster.next_deadline() is None
    it.cluster.health.contact("control-plane", ok=True)
    it.cluster.flush()
    assert it.cluster.next_deadline() == start + 300_000_000
    it.kit.clock.advance(seconds=10)
    with it.cluster.activation("peers") as step:
        step.stage(it.fabric.peers(["node-1"]))
    assert it.cluster.next_deadline() == start + 210_000_000
    it.kit.clock.advance(seconds=200)
    it.cluster.expire()
    it.cluster.flush()
    assert it.cluster.snapshots.scope("peers").pending is None
    assert it.cluster.next_deadline() == start + 300_000_000
    it.cluster.hints.put("k", "v", ttl_s=20)
    it.cluster.flush()
    assert it.cluster.next_deadline() == start + 230_000_000


def test_expiring_when_the_next_deadline_says_so_moves_the_deadline() -> None:
    it = furnished()
    for _ in range(20):
        deadline = it.cluster.next_deadline()
        if deadline is None:
            break
        it.kit.clock.advance(seconds=max(0.0, (deadline - it.cluster.node_time_us()) / 1_000_000))
        it.cluster.expire()
        it.cluster.flush()
        later = it.cluster.next_deadline()
        assert later is None or later > deadline


@pytest.mark.parametrize("text", ["", "x" * 1001, "\ud800", "\x00", "\x1b[2J"])
def test_a_note_that_is_no_readable_text_is_refused_and_poisons_nothing(text: str) -> None:
    it = ready()
    before = it.cluster.digest()
    with pytest.raises(MisuseError):
        it.cluster.note(text)
    assert it.cluster.digest() == before
    assert it.cluster.note("a line\nand another").durable


WRONG: dict[str, Callable[[Ready], object]] = {
    "a source that is not Unicode": lambda it: it.cluster.activate(it.fabric.peers(["n"]), source="\ud800"),
    "a source without an end": lambda it: it.cluster.activate(it.fabric.peers(["n"], sign_with="stranger"), source="x" * 10_000),
    "a pressure that is no integer": lambda it: it.cluster.health.pressure(disk=1.5),  # type: ignore[arg-type]  # what is tried must fail
    "a limit that is no integer": lambda it: it.cluster.health.enter_degraded("x", safe_until_us=1.5),  # type: ignore[arg-type]  # the same
    "a diagnostic that is not Unicode": lambda it: it.kit.store.agent.diagnostic("code", text="\ud800"),
    "a reason that is not Unicode": lambda it: it.cluster.health.enter_degraded("\ud800"),
    "a hint that is not Unicode": lambda it: it.cluster.hints.put("\ud800", "v", ttl_s=1),
    "telemetry that is not Unicode": lambda it: it.cluster.telemetry.record("t", "\ud800"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_cannot_be_written_down_is_refused_before_it_is_queued(what: str) -> None:
    it = ready()
    before, agent = it.cluster.digest(), it.kit.store.agent.digest()
    with pytest.raises(MisuseError):
        WRONG[what](it)
    it.cluster.flush()
    assert (it.cluster.digest(), it.kit.store.agent.digest()) == (before, agent)
    assert it.cluster.note("goes on").durable
    assert it.kit.store.agent.flag("goes-on", on=True).durable


def test_the_same_content_by_steps_changes_nothing_and_leaves_nothing_waiting() -> None:
    it = ready()
    document = it.fabric.peers(["node-1"])
    it.cluster.activate(document)
    lsn = it.cluster.view().snapshots.scope("peers").active
    with it.cluster.activation("peers") as step:
        step.stage(document)
        step.verify()
        receipt = step.commit()
    scope = it.cluster.snapshots.scope("peers")
    assert (receipt.changed, scope.pending, scope.active) == (False, None, lsn)


def test_equivocations_keep_a_bounded_number_of_proofs() -> None:
    it = ready()
    it.cluster.activate(it.fabric.peers(["node-1"], version=7))
    for number in range(20):
        with pytest.raises(Exception, match="was accepted before"):
            it.cluster.activate(it.fabric.peers([f"other-{number}"], version=7))
    kept = it.cluster.snapshots.scope("peers").equivocations
    assert len(kept) == 8
    proofs = [record for record in written(it) if record.kind == 36]
    assert len(proofs) == 8


def test_expiring_sums_up_how_the_workloads_fare() -> None:
    it = furnished()
    it.cluster.expire()
    it.cluster.flush()
    before = it.cluster.view()
    assert before.health.services is not None and before.health.services[:4] == (1, 0, 0, 1)
    assert not it.cluster.expire().changed
    it.cluster.services.report("svc-a", state="failed")
    it.cluster.expire()
    it.cluster.flush()
    after = it.cluster.view()
    assert after.health.services is not None and after.health.services[:4] == (0, 1, 0, 1)


def test_a_policy_that_keeps_less_gives_up_previous_documents_without_waiting_for_the_next() -> None:
    it = ready()
    for number in range(4):
        it.cluster.activate(it.fabric.peers([f"node-{number}"]))
    kept = it.cluster.snapshots.scope("peers").previous
    assert len(kept) == 3
    it.kit.store.close()
    it.kit._policy = Policy(previous_snapshots_max=1)
    store = it.kit.open()
    store.cluster("lab").expire()
    assert store.cluster("lab").snapshots.scope("peers").previous == kept[:1]
