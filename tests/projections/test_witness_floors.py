"""What the witness says never falls, the journal is raised to it, and an older bundle in force is a rollback."""

from typing import Any

import pytest

from rap_projections.class_table import CLUSTER_FOLDS
from rap_projections.documents import Version
from rap_projections.event_kinds import HEALTH, TRUST
from rap_projections.folding import FoldedState
from rap_projections.health_events import UptimeDebited
from rap_projections.snapshot_events import SnapshotFloorRaised
from rap_projections.trust_events import TrustFloorRaised
from rap_projections.witness_floors import decide_raised, is_rolled_back, never_lower, witness_floors
from tests.projections.store_kit import Ready, furnished, ready

SCOPES = ["peers", "policy", "routes", "services", "updates"]


def floors(
    *, bundle: Any = (3, b"b3"), revoked: Any = (b"r", 2), scopes: Any = (("peers", 1, 5, b"p5"),), head: Any = (0, 4, b"h4"),
    time: Any = (1_000, 50, 90),
) -> list[Any]:  # fmt: skip
    """What a witness may say."""
    return [list(bundle), list(revoked), "normal", [list(scope) for scope in scopes], list(head), list(time)]


def state_of(it: Ready) -> FoldedState:
    """The durable state of the cluster."""
    return it.cluster._core.state


def test_of_nothing_the_floors_are_nothing() -> None:
    state = FoldedState(CLUSTER_FOLDS, ready().cluster._core.shelf)
    assert witness_floors(state) == [[0, b""], [b"", 0], "normal", [], [0, 0, b""], [0, 0, 0]]
    assert not is_rolled_back(state, floors())


def test_the_floors_of_a_cluster_name_its_bundle_and_every_scope() -> None:
    it = furnished()
    bundle, revoked, restore, scopes, head, time = witness_floors(state_of(it))
    assert bundle == [1, it.fabric.verified_bundle().content_id]
    assert (revoked[1], restore, head) == (0, "normal", [0, 0, b""])
    assert [scope[:3] for scope in scopes] == [[name, 1, 1] for name in SCOPES]
    assert time[0] >= it.fabric.issued_at_s


def test_a_witness_that_said_nothing_changes_nothing() -> None:
    now = floors()
    assert never_lower(now, None) is now
    assert never_lower(now, now) == now


HIGHER: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "an older bundle and its revocations give way": (
        {}, {"bundle": (4, b"b4"), "revoked": (b"s", 1)}, {"bundle": (4, b"b4"), "revoked": (b"s", 1)},
    ),
    "an older witness knows no better": ({}, {"bundle": (2, b"b2"), "revoked": (b"s", 9)}, {}),
    "of two bundles of one version ours stays": ({}, {"bundle": (3, b"other"), "revoked": (b"s", 9)}, {}),
    "a higher version of a scope stays": ({}, {"scopes": (("peers", 1, 6, b"p6"),)}, {"scopes": (("peers", 1, 6, b"p6"),)}),
    "a higher generation beats a version": ({}, {"scopes": (("peers", 2, 1, b"p1"),)}, {"scopes": (("peers", 2, 1, b"p1"),)}),
    "of two documents of one version ours stays": ({}, {"scopes": (("peers", 1, 5, b"other"),)}, {}),
    "a scope that was lost stays": ({"scopes": ()}, {}, {}),
    "a scope that is new is added, in order": (
        {"scopes": (("agents", 1, 1, b"a"),)}, {}, {"scopes": (("agents", 1, 1, b"a"), ("peers", 1, 5, b"p5"))},
    ),
    "a higher head stays": ({}, {"head": (0, 5, b"h5")}, {"head": (0, 5, b"h5")}),
    "time used up is not given back, and only that": ({}, {"time": (9_999, 60, 999)}, {"time": (1_000, 60, 90)}),
}  # fmt: skip


@pytest.mark.parametrize("case", HIGHER)
def test_what_the_witness_says_never_falls(case: str) -> None:
    now, before, expected = HIGHER[case]
    assert never_lower(floors(**now), floors(**before)) == floors(**expected)


def test_a_state_that_knows_as_much_writes_nothing() -> None:
    state = state_of(furnished())
    assert decide_raised(state, witness_floors(state)) == ()


def test_what_the_journal_lacks_is_written_and_then_it_knows() -> None:
    state = state_of(furnished())
    _bundle, _revoked, restore, scopes, _head, (trusted_s, used_s, deadline_s) = witness_floors(state)
    scopes = [["peers", 1, 7, b"p7"], *scopes[1:]]
    told = [[5, b"b5"], [b"r", 3], restore, scopes, [0, 2, b"h2"], [trusted_s, used_s + 60, deadline_s]]
    uptime = witness_uptime(state)
    assert decide_raised(state, told) == (
        TrustFloorRaised(5, b"b5", b"r", 3, "witness"),
        SnapshotFloorRaised("peers", Version(1, 7), b"p7", "witness"),
        SnapshotFloorRaised("cluster", Version(0, 2), b"h2", "witness"),
        UptimeDebited(used_s + 60, *uptime),
    )


def witness_uptime(state: FoldedState) -> tuple[bytes, int]:
    """The boot the state pays for, and up to when."""
    uptime = state.view(HEALTH).uptime
    return uptime.boot_id, uptime.covered_boot_us


def test_an_older_witness_that_knows_more_revocations_is_not_believed() -> None:
    it = ready()
    state = state_of(it)
    told = witness_floors(state)
    told[0], told[1] = [told[0][0] - 1, b"older"], [b"r", 9]
    assert decide_raised(state, told) == ()


@pytest.mark.parametrize(
    ("version", "content_id", "expected"),
    [(0, b"x", False), (1, b"", False), (1, None, False), (1, b"another", True), (2, b"", True), (2, b"x", True)],
)
def test_a_bundle_below_the_witness_or_another_of_its_version_is_a_rollback(
    version: int, content_id: bytes | None, expected: bool
) -> None:
    state = state_of(ready())
    bundle = state.view(TRUST).bundle
    known = bundle.content_id if content_id is None else content_id
    assert is_rolled_back(state, floors(bundle=(version, known))) is expected


def test_without_a_witness_nothing_is_a_rollback() -> None:
    assert is_rolled_back(state_of(ready()), None) is False
