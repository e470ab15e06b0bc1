"""The gate for high-risk work: each thing that stands against it, alone and in the order in which they are told."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from rap_projections import Operation
from rap_projections.class_table import CLUSTER_FOLDS
from rap_projections.documents import Floor, RevocationKind, SnapshotPayload, Version
from rap_projections.event_kinds import HEALTH, IDENTITY, SNAPSHOTS, TRUST
from rap_projections.folding import FoldedState
from rap_projections.health import Deadline, HealthView, Uptime
from rap_projections.identity import Certificate, CertificateFacts, Enrollment, IdentityView
from rap_projections.node_time import Now
from rap_projections.operations import Allowed, decide_allowed
from rap_projections.policy import EffectivePolicy
from rap_projections.snapshot_events import SnapshotFacts
from rap_projections.snapshots import HeldSnapshot, ScopeView, SnapshotsView
from rap_projections.stored_document import StoredDocument
from rap_projections.trust import Restore, RestoreState, TrustView
from tests.projections.store_kit import ready

NOW = Now(node_us=5_000_000, wall_us=0, boot_us=10_000_000, trusted_s=1_000)
BOOT = b"boot"
HEALTHY = HealthView(deadline=Deadline(1_000, 100, 100), uptime=Uptime(10, BOOT, NOW.boot_us))


def scope(*, expires_at_s: int = NOW.trusted_s + 1, fallen_back: bool = False) -> ScopeView:
    """A scope with an active document."""
    facts = SnapshotFacts("peers", Version(1, 1), b"id", 0, 0, expires_at_s, Version(0, 0), "everyone", (), 0, 1)
    return ScopeView(HeldSnapshot(facts, StoredDocument(b"", 0, b""), (), (), 0, 1), fallen_back=fallen_back)


def enrolled(*, starts_s: int = 0, ends_s: int = NOW.trusted_s + 1_000) -> IdentityView:
    """An identity whose certificate is valid in this period."""
    facts = CertificateFacts(b"\1", "CN=ca", "rap://lab/node/node-1", starts_s, ends_s, b"f" * 32, b"k" * 32)
    return IdentityView(Enrollment.ENROLLED, "node-1", "m-1", certificate=Certificate(facts, StoredDocument(b"", 0, b"")))


class Gate:
    """Everything the gate looks at, in good order until a test spoils some of it."""

    def __init__(self) -> None:
        self.fail_closed: str | None = None
        self.trust = TrustView()
        self.scopes = {"peers": scope()}
        self.health = HEALTHY
        self.identity = enrolled()
        self.operations: tuple[str, ...] = ("new_session", "resolve_secret")

    def answer(self, operation: Operation = Operation.NEW_SESSION) -> Allowed:
        """What the gate says."""
        state = FoldedState(CLUSTER_FOLDS, NoDocuments())
        views = {HEALTH: self.health, IDENTITY: self.identity, TRUST: self.trust, SNAPSHOTS: SnapshotsView(scopes=self.scopes)}
        vars(state)["view"] = views.__getitem__
        policy = EffectivePolicy(high_risk_operations=self.operations)
        return decide_allowed(operation, state, policy, NOW, BOOT, self.fail_closed)


class NoDocuments:
    """Documents nobody asks for."""

    def snapshot(self, content_id: bytes) -> SnapshotPayload:
        """Nothing is there."""
        raise KeyError(content_id)


def fail_closed(gate: Gate) -> None:
    gate.fail_closed = "trust"


def not_validated(gate: Gate) -> None:
    gate.trust = TrustView(restore_state=RestoreState.NOT_VALIDATED)


def reenroll(gate: Gate) -> None:
    gate.trust = gate.trust._replace(restore=Restore("backup", b"", b"", "reenroll"))
    gate.identity = IdentityView()


def below_floor(gate: Gate) -> None:
    gate.scopes = gate.scopes | {"updates": scope()._replace(floor=Floor(Version(1, 2), b"other"))}


def no_snapshot(gate: Gate) -> None:
    gate.scopes = {"peers": ScopeView()}


def withdrawn(gate: Gate) -> None:
    gate.scopes = gate.scopes | {"services": ScopeView(withdrawn_reason="revoked")}


def fallen_back(gate: Gate) -> None:
    gate.scopes = gate.scopes | {"routes": scope(fallen_back=True)}


def snapshot_expired(gate: Gate) -> None:
    gate.scopes = gate.scopes | {"services": scope(expires_at_s=NOW.trusted_s)}


def policy(gate: Gate) -> None:
    gate.operations = ("resolve_secret",)


def deadline(gate: Gate) -> None:
    gate.health = HEALTHY._replace(deadline=Deadline(1_000, 100, 10))


def identity_revoked(gate: Gate) -> None:
    gate.identity = gate.identity._replace(enrollment=Enrollment.REVOKED)


def identity_lost(gate: Gate) -> None:
    gate.identity = gate.identity._replace(enrollment=Enrollment.LOST)


def certificate_expired(gate: Gate) -> None:
    gate.identity = enrolled(ends_s=NOW.trusted_s)


def certificate_uncertain(gate: Gate) -> None:
    gate.identity = enrolled(starts_s=NOW.trusted_s + 1)


OBSTACLES: tuple[Callable[[Gate], None], ...] = (
    fail_closed, not_validated, identity_revoked, reenroll, no_snapshot, withdrawn, fallen_back, below_floor, snapshot_expired,
    policy, deadline, certificate_expired,
)  # fmt: skip


def test_the_operations_are_a_closed_list() -> None:
    assert [operation.value for operation in Operation] == [
        "activate_update",
        "back_up_keys",
        "new_session",
        "resolve_secret",
        "start_service",
    ]


def test_where_nothing_stands_against_it_the_answer_is_yes_until_the_deadline() -> None:
    assert Gate().answer() == Allowed(True, "ok", NOW.node_us + 90_000_000)


@pytest.mark.parametrize("obstacle", OBSTACLES, ids=lambda obstacle: obstacle.__name__)
def test_each_obstacle_alone_is_enough(obstacle: Callable[[Gate], None]) -> None:
    gate = Gate()
    obstacle(gate)
    assert gate.answer() == Allowed(False, obstacle.__name__, None)


@pytest.mark.parametrize("first", range(len(OBSTACLES)), ids=[obstacle.__name__ for obstacle in OBSTACLES])
def test_of_several_obstacles_the_first_is_told(first: int) -> None:
    for other in OBSTACLES[first + 1 :]:
        gate = Gate()
        for obstacle in (other, OBSTACLES[first]):
            obstacle(gate)
        assert gate.answer() == Allowed(False, OBSTACLES[first].__name__, None)


def test_no_scope_at_all_is_no_snapshot() -> None:
    gate = Gate()
    gate.scopes = {}
    assert gate.answer().reason == "no_snapshot"


@pytest.mark.parametrize(("left_us", "reason"), [(999_999, "deadline"), (1_000_000, "ok"), (-1, "deadline")])
def test_a_local_limit_shortens_the_answer_and_counts_whole_seconds(left_us: int, reason: str) -> None:
    gate = Gate()
    gate.health = HEALTHY._replace(safe_until_us=NOW.node_us + left_us)
    assert gate.answer() == Allowed(reason == "ok", reason, NOW.node_us + 1_000_000 if reason == "ok" else None)


def test_a_node_that_never_saw_a_signed_instant_has_no_time() -> None:
    gate = Gate()
    gate.health = HealthView()
    assert gate.answer().reason == "deadline"


def test_the_policy_is_asked_for_each_operation() -> None:
    allowed = [operation.value for operation in Operation if Gate().answer(operation).ok]
    assert allowed == ["new_session", "resolve_secret"]


@pytest.mark.parametrize("has_previous", [True, False])
def test_a_withdrawn_document_without_another_bars_what_a_fall_back_bars_until_a_newer_one_comes(has_previous: bool) -> None:
    """Mutation: look at the scopes with an active document alone."""
    it = ready()
    it.fabric.issued_at_s += 1
    it.cluster.activate(it.fabric.policy(fallback_allowed=True, high_risk_operations=("resolve_secret",)))
    for peers in (["node-1"], ["node-2"])[not has_previous :]:
        document = it.fabric.peers(peers)
        it.cluster.activate(document)
    assert it.cluster.allows(Operation.RESOLVE_SECRET).ok
    it.cluster.trust.update(it.fabric.revoke(RevocationKind.CONTENT, it.fabric.content_id(document)))
    reason = "fallen_back" if has_previous else "withdrawn"
    assert it.cluster.allows(Operation.RESOLVE_SECRET) == Allowed(False, reason, None)
    it.kit.kill()
    assert it.cluster.allows(Operation.RESOLVE_SECRET).reason == reason
    it.cluster.activate(it.fabric.peers(["node-3"]))
    assert it.cluster.allows(Operation.RESOLVE_SECRET).ok


def test_a_scope_that_is_no_longer_for_this_node_bars_nothing() -> None:
    """Mutation: a node that loses a role does no high-risk work until the cluster tells it what it is not to be told any more."""
    gate = Gate()
    gate.scopes = gate.scopes | {"services": ScopeView(withdrawn_reason="not_for_this_node")}
    assert gate.answer(Operation.RESOLVE_SECRET).ok


def test_until_is_a_date_or_nothing() -> None:
    assert Allowed(True, "ok", 1_800_000_000_000_000).until == datetime(2027, 1, 15, 8, tzinfo=UTC)
    assert Allowed(False, "policy", None).until is None


def test_a_fresh_member_may_do_nothing() -> None:
    it = ready()
    assert [it.cluster.allows(operation) for operation in Operation] == [Allowed(False, "no_snapshot", None)] * 5


@pytest.mark.parametrize("obstacle", [identity_lost, certificate_expired, certificate_uncertain], ids=lambda it: it.__name__)
def test_an_identity_that_cannot_be_used_bars_new_sessions_and_nothing_else(obstacle: Callable[[Gate], None]) -> None:
    """Mutation: without its row in the table, or without asking which operation it is."""
    gate = Gate()
    gate.operations = tuple(operation.value for operation in Operation)
    obstacle(gate)
    refused = {operation: gate.answer(operation).reason for operation in Operation if not gate.answer(operation).ok}
    assert refused == {Operation.NEW_SESSION: obstacle.__name__}


def test_a_revoked_identity_bars_every_operation() -> None:
    """Mutation: without the check of the revoked identity."""
    gate = Gate()
    gate.operations = tuple(operation.value for operation in Operation)
    identity_revoked(gate)
    assert {gate.answer(operation).reason for operation in Operation} == {"identity_revoked"}


def test_a_node_without_an_identity_is_told_of_it_by_who_uses_one_and_not_by_the_gate() -> None:
    gate = Gate()
    gate.identity = IdentityView()
    assert gate.answer().ok


def test_a_session_may_begin_until_the_certificate_ends_where_that_is_before_the_deadline() -> None:
    """Mutation: without the end of the certificate the answer holds for 90 seconds."""
    gate = Gate()
    gate.identity = enrolled(ends_s=NOW.trusted_s + 30)
    assert gate.answer() == Allowed(True, "ok", NOW.node_us + 30_000_000)
    assert gate.answer(Operation.RESOLVE_SECRET) == Allowed(True, "ok", NOW.node_us + 90_000_000)
