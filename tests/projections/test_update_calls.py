"""A release waits, is hashed, runs, proves itself or is rolled back: and what is refused on the way."""

import hashlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest

from rap_journal.errors import FailClosed, MisuseError, NoSpace
from rap_projections.documents import Audience, RevocationKind
from rap_projections.policy import Policy
from rap_projections.receipts import Receipt
from rap_projections.refusals import (
    BadSignature,
    Equivocation,
    Expired,
    NotAllowed,
    NotForThisNode,
    RefusedError,
    Rollback,
    WrongArtifact,
    WrongCluster,
    WrongDocumentType,
)
from rap_projections.testing import Fabric
from rap_projections.testing.entries import make_reference
from rap_projections.testing.issuing import tampered
from rap_projections.updates import SubjectView
from tests.projections.store_kit import Ready, crashed_at_every_operation, fill, ready

CONTENT = b"the artifact's bytes"
FIRST = make_reference("agent", 1, CONTENT)


def allowed() -> Ready:
    """A store on which updates may be activated."""
    it = ready()
    it.cluster.activate(it.fabric.policy(high_risk_operations=("activate_update",)))
    it.fabric.issued_at_s += 1
    it.cluster.activate(it.fabric.services([]))
    return it


def running(*sequences: int) -> Ready:
    """A store on which releases of the agent were activated and confirmed, one after another."""
    it = allowed()
    for sequence in sequences:
        install(it, sequence)
        it.cluster.updates.confirm("agent")
    return it


def install(it: Ready, sequence: int) -> None:
    content = f"release {sequence}".encode()
    it.cluster.updates.stage(it.fabric.artifact(make_reference("agent", sequence, content)))
    it.cluster.updates.verify_artifact("agent", content)
    it.cluster.updates.activate("agent").artifact.close()


def agent(it: Ready) -> SubjectView:
    return it.cluster.updates.subject("agent")


def test_a_release_goes_from_pending_to_current_and_proves_itself() -> None:
    it = allowed()
    assert it.cluster.updates.stage(it.fabric.artifact(FIRST)).changed
    pending = agent(it).pending
    assert pending is not None and (pending.reference, pending.is_verified) == (FIRST, False)
    assert it.cluster.updates.verify_artifact("agent", BytesIO(CONTENT)).changed
    receipt, artifact = it.cluster.updates.activate("agent")
    with artifact, artifact.open() as file:
        assert (file.read(), artifact.sha256) == (CONTENT, FIRST.sha256)
    current = agent(it).current
    assert current is not None and (current.version, current.sequence, current.sha256) == (
        "1.0.1",
        1,
        hashlib.sha256(CONTENT).digest(),
    )
    assert (current.lsn, current.is_confirmed, agent(it).pending) == (receipt.lsn, False, None)
    assert it.cluster.updates.confirm("agent").changed
    assert agent(it).current == current._replace(is_confirmed=True, signed=None)
    result = agent(it).last_result
    assert result is not None and (result.outcome, result.sequence) == ("confirmed", 1)


def test_the_same_step_again_changes_nothing() -> None:
    it = allowed()
    document = it.fabric.artifact(FIRST)
    steps: tuple[Callable[[], Receipt], ...] = (
        lambda: it.cluster.updates.stage(document), lambda: it.cluster.updates.verify_artifact("agent", CONTENT),
        lambda: it.cluster.updates.activate("agent").receipt, lambda: it.cluster.updates.confirm("agent"),
    )  # fmt: skip
    for step in steps:
        assert step().changed
        before = it.cluster.digest()
        assert step().changed is False
        assert it.cluster.digest() == before
    assert it.cluster.updates.stage(document).changed is False


def test_what_was_not_hashed_is_not_activated() -> None:
    it = allowed()
    it.cluster.updates.stage(it.fabric.artifact(FIRST))
    before = it.cluster.digest()
    with pytest.raises(NotAllowed) as caught:
        it.cluster.updates.activate("agent")
    assert (caught.value.reason, it.cluster.digest()) == ("not_verified", before)


@pytest.mark.parametrize("content", [b"", CONTENT[:-1], CONTENT + b"!", b"T" + CONTENT[1:], CONTENT * 1000])
def test_other_bytes_than_those_of_the_reference_are_refused_and_recorded(content: bytes) -> None:
    it = allowed()
    it.cluster.updates.stage(it.fabric.artifact(FIRST))
    with pytest.raises(WrongArtifact):
        it.cluster.updates.verify_artifact("agent", BytesIO(content))
    (refusal,) = it.cluster.view().updates.refusals
    assert (refusal.source, refusal.subject, refusal.reason) == ("artifact", "agent", "wrong_artifact")
    with pytest.raises(NotAllowed):
        it.cluster.updates.activate("agent")


def test_no_more_than_one_byte_beyond_the_signed_size_is_read() -> None:
    it = allowed()
    it.cluster.updates.stage(it.fabric.artifact(FIRST))
    endless = BytesIO(CONTENT + bytes(10_000_000))
    with pytest.raises(WrongArtifact):
        it.cluster.updates.verify_artifact("agent", endless)
    assert endless.tell() == len(CONTENT) + 1


def refused() -> dict[str, tuple[type[RefusedError], bytes]]:
    fabric = Fabric("lab")
    return {
        "a flipped signature": (BadSignature, tampered(fabric.artifact(FIRST))),
        "another cluster's": (WrongCluster, Fabric("other").artifact(FIRST)),
        "a snapshot": (WrongDocumentType, fabric.updates([FIRST])),
        "past its end": (Expired, fabric.artifact(FIRST, expires_at_s=fabric.issued_at_s)),
        "for another node": (NotForThisNode, fabric.artifact(FIRST, audience=Audience(False, nodes=("node-9",)))),
    }


@pytest.mark.parametrize("wrong", refused())
def test_a_reference_that_does_not_verify_never_waits(wrong: str) -> None:
    refusal, document = refused()[wrong]
    it = allowed()
    before = it.cluster.view().updates.subjects
    with pytest.raises(refusal) as caught:
        it.cluster.updates.stage(document, source="mirror")
    assert it.cluster.view().updates.subjects == before
    (noted,) = it.cluster.view().updates.refusals
    assert (noted.source, noted.subject, noted.reason) == ("mirror", "unknown", caught.value.reason)
    assert noted.digest == hashlib.sha256(document).digest()


def test_an_older_release_than_the_running_one_is_refused() -> None:
    it = running(5)
    with pytest.raises(Rollback):
        it.cluster.updates.stage(it.fabric.artifact(make_reference("agent", 4)))
    assert agent(it).pending is None
    assert it.cluster.view().updates.refusals[-1].subject == "agent"


def test_another_artifact_under_the_running_sequence_is_refused() -> None:
    it = running(5)
    with pytest.raises(Equivocation):
        it.cluster.updates.stage(it.fabric.artifact(make_reference("agent", 5, b"other bytes")))
    assert agent(it).pending is None


def test_a_newer_reference_replaces_the_one_that_waits() -> None:
    it = allowed()
    it.cluster.updates.stage(it.fabric.artifact(FIRST))
    it.cluster.updates.verify_artifact("agent", CONTENT)
    second = make_reference("agent", 2, b"second")
    it.cluster.updates.stage(it.fabric.artifact(second))
    pending = agent(it).pending
    assert pending is not None and (pending.reference, pending.is_verified) == (second, False)
    with pytest.raises(NotAllowed):
        it.cluster.updates.activate("agent")


def test_what_is_installed_is_what_was_hashed_whatever_became_of_the_file(tmp_path: Path) -> None:
    """Mutation: handing out the file that was hashed hands out what was written into it afterwards."""
    it, path = allowed(), tmp_path / "artifact"
    path.write_bytes(CONTENT)
    it.cluster.updates.stage(it.fabric.artifact(FIRST))
    with path.open("rb") as file:
        it.cluster.updates.verify_artifact("agent", file)
    path.write_bytes(b"something else")
    with it.cluster.updates.activate("agent").artifact as artifact:
        assert Path(artifact.path).read_bytes() == CONTENT
        with pytest.raises(PermissionError):
            Path(artifact.path).write_bytes(b"something else")


def test_bytes_that_were_verified_before_the_store_was_opened_anew_are_verified_again() -> None:
    """Mutation: the event that says "verified" is believed of bytes that may have changed since."""
    it = allowed()
    it.cluster.updates.stage(it.fabric.artifact(FIRST))
    it.cluster.updates.verify_artifact("agent", CONTENT)
    it.kit.kill()
    before = it.cluster.digest()
    with pytest.raises(NotAllowed) as caught:
        it.cluster.updates.activate("agent")
    assert (caught.value.reason, it.cluster.digest()) == ("not_held", before)
    assert it.cluster.updates.verify_artifact("agent", CONTENT).changed is False
    with it.cluster.updates.activate("agent").artifact as artifact:
        assert artifact.size == len(CONTENT)


def test_a_kill_between_activating_and_installing_loses_no_update() -> None:
    """Mutation: without the comparison, any bytes are handed out for a release that is current already."""
    it = allowed()
    it.cluster.updates.stage(it.fabric.artifact(FIRST))
    it.cluster.updates.verify_artifact("agent", CONTENT)
    it.cluster.updates.activate("agent").artifact.close()
    it.kit.kill()
    before = it.cluster.digest()
    with pytest.raises(WrongArtifact):
        it.cluster.updates.verify_artifact("agent", b"something else")
    it.cluster.updates.verify_artifact("agent", CONTENT)
    receipt, artifact = it.cluster.updates.activate("agent")
    with artifact:
        assert (receipt.changed, artifact.sha256) == (False, FIRST.sha256)
    assert agent(it).current is not None and it.cluster.digest() != before, "the refusal stands in the state"


def test_more_bytes_than_the_policy_lets_be_held_are_not_read() -> None:
    """Mutation: without the limit, whatever size a reference names is read into memory."""
    it = ready(policy=Policy(artifact_bytes_max=len(CONTENT) - 1))
    it.cluster.updates.stage(it.fabric.artifact(FIRST))
    file = BytesIO(CONTENT)
    with pytest.raises(NotAllowed) as caught:
        it.cluster.updates.verify_artifact("agent", file)
    assert (caught.value.reason, file.tell()) == ("artifact_too_large", 0)


@pytest.mark.parametrize("end", ["confirm", "roll_back", "close"])
def test_bytes_are_held_no_longer_than_they_may_be_asked_for(end: str) -> None:
    it = running(1)
    content = b"release 2"
    it.cluster.updates.stage(it.fabric.artifact(make_reference("agent", 2, content)))
    it.cluster.updates.verify_artifact("agent", content)
    held = it.cluster.updates._held["agent"]
    it.cluster.updates.activate("agent").artifact.close()
    assert held.fileno() > 0
    if end == "close":
        it.kit.store.close()
    elif end == "confirm":
        it.cluster.updates.confirm("agent")
    else:
        it.cluster.updates.roll_back("agent", reason="crash loop")
    with pytest.raises(ValueError, match="closed"):
        held.fileno()


def test_rolling_back_returns_to_the_release_before() -> None:
    it = running(1)
    install(it, 2)
    assert it.cluster.updates.roll_back("agent", reason="crash loop").changed
    current, result = agent(it).current, agent(it).last_result
    assert current is not None and (current.sequence, current.is_confirmed) == (1, True)
    assert result is not None and (result.outcome, result.sequence, result.reason) == ("rolled_back", 2, "crash loop")
    with pytest.raises(NotAllowed) as caught:
        it.cluster.updates.roll_back("agent", reason="again")
    assert caught.value.reason == "no_candidate"


def test_rolling_back_below_the_signed_minimum_is_refused() -> None:
    it = running(1)
    install(it, 2)
    it.cluster.activate(it.fabric.updates([make_reference("agent", 3)._replace(minimum_sequence=2)]))
    assert agent(it).candidate is None
    with pytest.raises(NotAllowed):
        it.cluster.updates.roll_back("agent", reason="crash loop")


def test_rolling_back_to_what_was_revoked_meanwhile_is_refused() -> None:
    """Mutation: a revoked release comes back by the way of a failed one."""
    it = running(1)
    install(it, 2)
    candidate = agent(it).candidate
    assert candidate is not None
    it.cluster.trust.update(it.fabric.revoke(RevocationKind.CONTENT, candidate.content_id))
    it.kit.kill()
    before = it.cluster.digest()
    with pytest.raises(NotAllowed) as caught:
        it.cluster.updates.roll_back("agent", reason="crash loop")
    assert (caught.value.reason, it.cluster.digest()) == ("no_candidate", before)


@pytest.mark.parametrize("reason", ["", "x" * 65, "\ud800", "a\nb"])
def test_a_bad_reason_is_refused(reason: str) -> None:
    it = running(1)
    install(it, 2)
    before = it.cluster.digest()
    with pytest.raises(MisuseError):
        it.cluster.updates.roll_back("agent", reason=reason)
    assert it.cluster.digest() == before


def test_the_closed_gate_keeps_a_verified_release_waiting() -> None:
    """Mutation: a verified release is activated without asking the gate."""
    it = ready()
    it.cluster.updates.stage(it.fabric.artifact(FIRST))
    it.cluster.updates.verify_artifact("agent", CONTENT)
    before = it.cluster.digest()
    with pytest.raises(NotAllowed) as caught:
        it.cluster.updates.activate("agent")
    assert caught.value.reason == "no_snapshot"
    assert it.cluster.digest() == before
    assert agent(it).pending is not None and agent(it).current is None


def test_nothing_waits_for_a_stranger() -> None:
    it = allowed()
    calls: tuple[Callable[[], object], ...] = (
        lambda: it.cluster.updates.verify_artifact("svc-x", b""), lambda: it.cluster.updates.activate("svc-x"),
        lambda: it.cluster.updates.confirm("svc-x"),
    )  # fmt: skip
    for call in calls:
        with pytest.raises(MisuseError):
            call()


def test_a_cluster_that_fails_closed_updates_nothing() -> None:
    it = running(1)
    document = it.fabric.artifact(make_reference("agent", 2))
    it.cluster._context.fail_closed("identity_damaged")
    calls: tuple[Callable[[], object], ...] = (
        lambda: it.cluster.updates.stage(document), lambda: it.cluster.updates.verify_artifact("agent", b""),
        lambda: it.cluster.updates.activate("agent"), lambda: it.cluster.updates.confirm("agent"),
        lambda: it.cluster.updates.roll_back("agent", reason="x"),
    )  # fmt: skip
    for call in calls:
        with pytest.raises(FailClosed):
            call()


def test_an_activation_interrupted_at_any_operation_is_whole_or_absent() -> None:
    def verified() -> Ready:
        it = running(1)
        content = b"release 2"
        it.cluster.updates.stage(it.fabric.artifact(make_reference("agent", 2, content)))
        it.cluster.updates.verify_artifact("agent", content)
        return it

    before = agent(verified())
    for crash in crashed_at_every_operation(verified, lambda it: it.cluster.updates.activate("agent")):
        crash.it.kit.open()
        after = agent(crash.it)
        if after.current is not None and after.current.sequence == 2:
            assert (after.pending, after.candidate and after.candidate.sequence) == (None, 1)
        else:
            assert after == before and not crash.finished


def test_a_stale_pending_release_is_given_up_after_the_policys_time() -> None:
    it = allowed()
    it.cluster.updates.stage(it.fabric.artifact(FIRST))
    it.kit.clock.advance(seconds=it.cluster.policy.pending_age_s_max - 1)
    it.cluster.expire()
    assert agent(it).pending is not None
    it.kit.clock.advance(seconds=1)
    it.cluster.expire()
    result = agent(it).last_result
    assert agent(it).pending is None and result is not None and (result.outcome, result.reason) == ("dropped", "stale")


def test_on_a_full_disk_a_refusal_stands_and_a_running_release_is_rolled_back_from_the_reserve() -> None:
    it = running(1)
    install(it, 2)
    fill(it)
    with pytest.raises(WrongCluster):
        it.cluster.updates.stage(Fabric("other").artifact(FIRST))
    assert it.cluster.view().updates.refusals == ()
    assert it.cluster.updates.roll_back("agent", reason="full disk").durable
    it.cluster.telemetry.record("f", "")
    with pytest.raises(NoSpace):
        it.cluster.flush()
