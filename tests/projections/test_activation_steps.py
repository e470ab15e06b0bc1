"""The calls about signed snapshots: what each step writes and in which order, and that a refusal is recorded and changes nothing."""

from collections.abc import Callable

import pytest

from rap_journal.errors import FailClosed, MisuseError
from rap_journal.testing import Operation
from rap_projections.documents import Scope
from rap_projections.event_kinds import HEALTH, SNAPSHOTS, TRUST, Event, event_of
from rap_projections.peers import DirectoryApplied
from rap_projections.receipts import UNCHANGED
from rap_projections.refusals import BadSignature, Equivocation, Malformed, Rollback, UnknownSigner, WrongScope
from rap_projections.snapshot_events import (
    EquivocationSeen,
    SnapshotActivated,
    SnapshotPendingDropped,
    SnapshotRefused,
    SnapshotStaged,
)
from rap_projections.snapshots import EVIDENCE_MAX
from rap_projections.stored_document import StoredDocument
from rap_projections.testing.entries import make_peer
from tests.projections.store_kit import FOLDER, Ready, fill, names, ready, written


@pytest.fixture
def it() -> Ready:
    return ready()


def events(it: Ready, after: int = 0) -> list[Event]:
    found = [event_of(record) for record in written(it, after)]
    return [event for event in found if event is not None]


def of_snapshots(it: Ready, after: int = 0) -> list[Event]:
    return [event for record in written(it, after) if record.state_class == SNAPSHOTS.number and (event := event_of(record))]


def last_lsn(it: Ready) -> int:
    return it.cluster._core.journal.durable_lsn


def active(it: Ready, scope: str = "peers") -> bytes | None:
    held = it.cluster.snapshots.scope(scope).active
    return held.facts.content_id if held is not None else None


def unchanged(it: Ready, call: Callable[[], object], error: type[Exception]) -> None:
    """The call raises, and nothing that is in use changes."""
    view = it.cluster.view()
    before = {name: scope.active for name, scope in view.snapshots.scopes.items()}
    with pytest.raises(error):
        call()
    after = it.cluster.view()
    assert {name: scope.active for name, scope in after.snapshots.scopes.items()} == before
    assert (after.peers, after.services, after.routes) == (view.peers, view.services, view.routes)


# Activating.


def test_an_activated_document_is_active_durable_and_what_follows_is_derived(it: Ready) -> None:
    document, before = it.fabric.peers(["node-1"]), last_lsn(it)
    receipt = it.cluster.snapshots.activate(document)
    assert (receipt.durable, receipt.changed) == (True, True)
    kinds = [type(event) for event in events(it, before)]
    assert kinds.index(SnapshotActivated) < kinds.index(DirectoryApplied)
    it.kit.power_cut()
    assert active(it) == it.fabric.content_id(document)
    assert it.cluster.peers.get("node-1") is not None


def test_the_document_is_on_disk_and_synced_before_the_frame_that_names_it(it: Ready) -> None:
    it.kit.filesystem.operations.clear()
    it.cluster.snapshots.activate(it.fabric.peers(["node-1"]))
    operations = it.kit.filesystem.operations

    def place(name: str, part: str, start: int = 0) -> int:
        def fits(operation: Operation) -> bool:
            return operation.name == name and part in f"{operation.path} {operation.new_path or ''}"

        return next(index for index, operation in enumerate(operations) if index >= start and fits(operation))

    renamed = place("rename", "snapshots/document-")
    synced, named = place("sync", f"{FOLDER}/tmp/"), place("sync_directory", f"{FOLDER}/snapshots", renamed)
    framed = place("write", f"{FOLDER}/journal/")
    witnessed = place("write", f"{FOLDER}/WITNESS")
    assert synced < renamed < named < framed < witnessed
    assert place("sync", f"{FOLDER}/journal/", framed) < witnessed


def test_the_same_content_again_changes_nothing_whoever_signed_it(it: Ready) -> None:
    it.cluster.snapshots.activate(it.fabric.peers(["node-1"]))
    before, kept = last_lsn(it), names(it.kit.filesystem, FOLDER, part="document-")
    for options in ({}, {"sign_with": "spare"}):
        again = it.fabric.peers(["node-1"], version=1, **options)
        assert it.cluster.snapshots.activate(again) == UNCHANGED
    assert (last_lsn(it), names(it.kit.filesystem, FOLDER, part="document-")) == (before, kept)


def test_a_newer_document_takes_over_and_the_one_before_is_kept(it: Ready) -> None:
    first, second = it.fabric.peers(["node-1"]), it.fabric.peers(["node-2"])
    it.cluster.snapshots.activate(first)
    it.cluster.snapshots.activate(second)
    scope = it.cluster.snapshots.scope("peers")
    assert active(it) == it.fabric.content_id(second)
    assert [held.facts.content_id for held in scope.previous] == [it.fabric.content_id(first)]


def test_a_newer_signed_instant_moves_trusted_time_and_renews_the_deadline(it: Ready) -> None:
    before, left = it.cluster.status()["trusted_time_s"], last_lsn(it)
    it.fabric.issued_at_s += 60
    it.cluster.snapshots.activate(it.fabric.peers(["node-1"]))
    assert it.cluster.status()["trusted_time_s"] == before + 60
    assert it.cluster.health.view.deadline.signed_s == it.fabric.issued_at_s
    classes = [record.state_class for record in written(it, left)]
    assert classes.index(TRUST.number) < classes.index(SNAPSHOTS.number), "in one frame, the instant first"
    assert HEALTH.number in classes
    it.cluster.snapshots.activate(it.fabric.routes([("node-1", [])]))
    assert it.cluster.status()["trusted_time_s"] == before + 60, "the same instant again moves nothing"


def test_of_several_documents_all_are_activated_in_order_or_none(it: Ready) -> None:
    good, bad = it.fabric.peers(["node-1"]), it.fabric.services(["svc-a"], sign_with="stranger")
    unchanged(it, lambda: it.cluster.snapshots.activate_all([good, bad]), UnknownSigner)
    receipts = it.cluster.snapshots.activate_all([good, it.fabric.services(["svc-a"], version=1), good])
    assert [receipt.changed for receipt in receipts] == [True, True, False]
    activated = [event.scope for event in events(it) if isinstance(event, SnapshotActivated)]
    assert activated == ["peers", "services"]
    assert it.cluster.snapshots.activate_all([]) == ()


# Refusals.


def test_a_refusal_is_recorded_with_source_scope_reason_and_digest_and_changes_nothing(it: Ready) -> None:
    it.cluster.snapshots.activate(it.fabric.peers(["node-1"], version=5))
    older, before = it.fabric.peers(["node-2"], version=4), last_lsn(it)
    unchanged(it, lambda: it.cluster.snapshots.activate(older, source="mirror-2"), Rollback)
    (refused,) = of_snapshots(it, before)
    assert isinstance(refused, SnapshotRefused)
    assert refused[:5] == ("mirror-2", "peers", "rollback", "floor", 1)
    assert len(refused.digest) == 32


def test_a_document_for_no_known_scope_is_refused_and_recorded_all_the_same(it: Ready) -> None:
    before = last_lsn(it)
    with pytest.raises(Malformed):
        it.cluster.snapshots.activate(b"no document at all")
    (refused,) = of_snapshots(it, before)
    assert isinstance(refused, SnapshotRefused) and refused.scope == "unknown"


def test_a_flood_of_refusals_is_one_event_per_interval_which_counts_the_rest(it: Ready) -> None:
    it.cluster.snapshots.activate(it.fabric.peers(["node-1"], version=5))
    before = last_lsn(it)
    for version in (4, 3, 2, 1):
        with pytest.raises(Rollback):
            it.cluster.snapshots.activate(it.fabric.peers(["node-2"], version=version))
    assert len(of_snapshots(it, before)) == 1
    it.kit.clock.advance(seconds=it.cluster.policy.refusal_interval_s)
    with pytest.raises(Rollback):
        it.cluster.snapshots.activate(it.fabric.peers(["node-3"], version=4))
    (_first, second) = of_snapshots(it, before)
    assert isinstance(second, SnapshotRefused) and second.times == 4


def test_on_a_full_disk_the_refusal_stands_without_its_record(it: Ready) -> None:
    it.cluster.snapshots.activate(it.fabric.peers(["node-1"], version=5))
    older = it.fabric.peers(["node-2"], version=4)
    fill(it)
    before = last_lsn(it)
    unchanged(it, lambda: it.cluster.snapshots.activate(older), Rollback)
    assert last_lsn(it) == before


def test_two_documents_of_one_version_are_evidence_that_is_kept_once_and_bounded(it: Ready) -> None:
    it.cluster.snapshots.activate(it.fabric.peers(["node-0"], version=1))
    for number in [*range(1, EVIDENCE_MAX + 3), 1]:
        double = it.fabric.peers([f"node-{number}"], version=1)
        unchanged(it, lambda double=double: it.cluster.snapshots.activate(double), Equivocation)  # type: ignore[misc]  # bound now
    seen = [event for event in events(it) if isinstance(event, EquivocationSeen)]
    assert len(seen) == len({event.other_content_id for event in seen}) == EVIDENCE_MAX
    assert {event.known_content_id for event in seen} == {active(it)}
    kept = [name.rpartition("-")[2] for name in names(it.kit.filesystem, f"{FOLDER}/snapshots", part="document-")]
    assert {event.evidence_file_id.hex() for event in seen} <= set(kept)


@pytest.mark.parametrize("source", ["", "x" * 65, "a\nb"])
def test_a_source_that_is_no_word_is_the_callers_fault_and_nothing_is_looked_at(it: Ready, source: str) -> None:
    before = last_lsn(it)
    with pytest.raises(MisuseError) as caught:
        it.cluster.snapshots.activate(b"anything", source=source)
    assert (caught.value.reason, last_lsn(it)) == ("bad_source", before)


# Checking.


def test_checking_lists_every_rule_and_changes_and_records_nothing(it: Ready) -> None:
    good, bad = it.fabric.peers(["node-1"]), it.fabric.peers(["node-1"], sign_with="stranger")
    before, digest = last_lsn(it), it.cluster.digest()
    assert it.cluster.snapshots.check(good).ok
    assert not it.cluster.snapshots.check(bad).ok
    assert not it.cluster.snapshots.check(good, scope="routes").ok
    increment = it.fabric.increment(good, (make_peer("node-9"),))
    assert not it.cluster.snapshots.check(increment).ok
    it.cluster.flush()
    assert (last_lsn(it), it.cluster.digest()) == (before, digest)


def test_an_unknown_scope_is_a_misuse_that_names_all_scopes(it: Ready) -> None:
    calls: list[Callable[[], object]] = [
        lambda: it.cluster.snapshots.scope("moods"),
        lambda: it.cluster.snapshots.check(b"", scope="moods"),
        lambda: it.cluster.activation("moods"),
    ]
    for call in calls:
        with pytest.raises(MisuseError, match="policy, peers, routes, services, updates") as caught:
            call()
        assert caught.value.reason == "unknown_scope"


def test_of_an_empty_scope_nothing_is_known(it: Ready) -> None:
    for scope in Scope:
        held = it.cluster.snapshots.scope(scope.value)
        assert (held.active, held.previous, held.pending) == (None, (), None)


# Step by step.


def test_the_six_steps_one_by_one(it: Ready) -> None:
    document, before = it.fabric.peers(["node-1"]), last_lsn(it)
    with it.cluster.activation("peers", source="mirror-1") as step:
        step.stage(document)
        pending = it.cluster.snapshots.scope("peers").pending
        assert pending is not None and active(it) is None
        assert step.verify().content_id == it.fabric.content_id(document)
        assert active(it) is None, "what is verified is not active yet"
        receipt = step.commit(trace_id="t-1")
    assert receipt.changed and active(it) == it.fabric.content_id(document)
    staged, activated = (event for event in of_snapshots(it, before) if isinstance(event, SnapshotStaged | SnapshotActivated))
    assert isinstance(staged, SnapshotStaged) and staged[:3] == ("peers", "snapshot", "mirror-1")
    assert isinstance(activated, SnapshotActivated)
    assert StoredDocument(*activated.stored).file_id == StoredDocument(*staged.stored).file_id, "stored once"
    assert it.cluster.snapshots.scope("peers").pending is None


def test_steps_out_of_order_are_a_misuse_and_do_nothing(it: Ready) -> None:
    before = last_lsn(it)
    with it.cluster.activation("peers") as step:
        for call, reason in ((step.verify, "not_staged"), (step.commit, "not_verified")):
            with pytest.raises(MisuseError) as caught:
                call()
            assert caught.value.reason == reason
        assert last_lsn(it) == before
        step.stage(it.fabric.peers(["node-1"]))
        with pytest.raises(MisuseError):
            step.commit()


def test_what_was_staged_anew_must_be_verified_anew(it: Ready) -> None:
    with it.cluster.activation("peers") as step:
        step.stage(it.fabric.peers(["node-1"]))
        step.verify()
        step.stage(it.fabric.peers(["node-2"]))
        with pytest.raises(MisuseError):
            step.commit()
        step.verify()
        assert step.commit().changed
    assert it.cluster.peers.get("node-2") is not None


def test_leaving_without_commit_leaves_the_document_pending_over_a_power_cut(it: Ready) -> None:
    with it.cluster.activation("peers") as step:
        step.stage(it.fabric.peers(["node-1"]))
        step.verify()
    it.kit.power_cut()
    scope = it.cluster.snapshots.scope("peers")
    assert scope.pending is not None and scope.active is None


def test_a_refused_document_is_dropped_and_the_active_one_stays(it: Ready) -> None:
    it.cluster.activate(it.fabric.peers(["node-1"]))
    before = last_lsn(it)
    with it.cluster.activation("peers") as step:
        step.stage(it.fabric.peers(["node-2"], sign_with="stranger"))
        unchanged(it, step.verify, UnknownSigner)
    dropped = [event for event in of_snapshots(it, before) if isinstance(event, SnapshotPendingDropped)]
    assert [event.reason for event in dropped] == ["refused"]
    assert it.cluster.snapshots.scope("peers").pending is None


def test_a_document_of_another_scope_than_the_activation_is_refused(it: Ready) -> None:
    with it.cluster.activation("routes") as step:
        step.stage(it.fabric.peers(["node-1"]))
        with pytest.raises(WrongScope):
            step.verify()
    assert (active(it, "routes"), active(it, "peers")) == (None, None)


def test_an_error_in_the_block_is_let_through(it: Ready) -> None:
    with pytest.raises(ZeroDivisionError), it.cluster.activation("peers"):
        raise ZeroDivisionError


def test_bytes_that_were_refused_cost_no_signature_again_and_are_counted(it: Ready, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = bytearray(it.fabric.peers(["node-1"]))
    bad[-1] ^= 1
    with pytest.raises(BadSignature):
        it.cluster.activate(bytes(bad))
    monkeypatch.setattr("rap_projections.snapshot_calls.verify_snapshot", None)
    with pytest.raises(BadSignature):
        it.cluster.activate(bytes(bad))


def test_a_cluster_that_fails_closed_stages_checks_and_activates_nothing() -> None:
    it = ready()
    document = it.fabric.peers(["node-1"])
    it.kit.wound("trust-flip")
    before = last_lsn(it)
    calls: list[Callable[[], object]] = [
        lambda: it.cluster.snapshots.activate(document),
        lambda: it.cluster.snapshots.check(document),
        lambda: it.cluster.activation("peers").stage(document),
    ]
    for call in calls:
        with pytest.raises(FailClosed):
            call()
    assert last_lsn(it) == before
    assert active(it) is None
