"""A release that was good when it was staged is installed only while its signed reference still counts."""

import hashlib
from collections.abc import Callable

import pytest

from rap_journal.limits import INLINE_DOCUMENT_BYTES_MAX
from rap_projections.documents import Audience, DocumentType, RevocationKind
from rap_projections.refusals import Expired, NotForThisNode, RefusedError, Revoked, Rollback
from rap_projections.signed_document import FORMS, open_document
from rap_projections.testing.entries import make_reference
from rap_projections.updates import SubjectView
from tests.projections.store_kit import Ready, ready

CONTENT = b"the artifact's bytes"
RELEASE = make_reference("agent", 5, CONTENT)
TERM_S = 3600


@pytest.fixture
def it() -> Ready:
    """A store on which updates may be activated."""
    it = ready()
    it.cluster.activate(it.fabric.policy(high_risk_operations=("activate_update",)))
    it.fabric.issued_at_s += 1
    it.cluster.activate(it.fabric.services([]))
    return it


def agent(it: Ready) -> SubjectView:
    return it.cluster.updates.subject("agent")


def hashed(it: Ready, document: bytes) -> None:
    it.cluster.updates.stage(document)
    it.cluster.updates.verify_artifact("agent", CONTENT)


def revoke_content(it: Ready, document: bytes) -> None:
    content_id = open_document(document, DocumentType.ARTIFACT).content_id()
    it.cluster.trust.update(it.fabric.revoke(RevocationKind.CONTENT, content_id))


MEANWHILE: dict[str, tuple[type[RefusedError], Callable[[Ready, bytes], object]]] = {
    "its key was revoked": (Revoked, lambda it, document: it.cluster.trust.update(it.fabric.revoke_key("artifact"))),
    "its content was revoked": (Revoked, revoke_content),
    "its end came": (Expired, lambda it, document: it.kit.clock.advance(seconds=TERM_S)),
    "the node is another one": (NotForThisNode, lambda it, document: it.cluster.identity.request(node_id="b", membership_id="m")),
}


@pytest.mark.parametrize("call", ["verify_artifact", "activate"])
@pytest.mark.parametrize("meanwhile", MEANWHILE)
def test_a_waiting_release_whose_reference_counts_no_longer_is_dropped(it: Ready, meanwhile: str, call: str) -> None:
    """Mutation: drop the call of `_require_signed` in `verify_artifact` or in `activate`."""
    refusal, change = MEANWHILE[meanwhile]
    it.cluster.identity.request(node_id="a", membership_id="m")
    until_s = it.fabric.issued_at_s + TERM_S
    document = it.fabric.artifact(RELEASE, expires_at_s=until_s, audience=Audience(False, nodes=("a",)))
    hashed(it, document)
    change(it, document)
    with pytest.raises(refusal):
        use(it, call)
    result, noted = agent(it).last_result, it.cluster.view().updates.refusals[-1]
    assert (agent(it).pending, agent(it).current, it.cluster.updates._held) == (None, None, {})
    assert result is not None and (result.outcome, result.reason) == ("dropped", refusal.word)
    assert (noted.source, noted.subject, noted.reason) == ("kept", "agent", refusal.word)
    assert noted.digest == hashlib.sha256(document).digest()


def test_the_reference_is_judged_again_after_a_kill_too(it: Ready) -> None:
    """Fails when the reference is kept in memory alone."""
    hashed(it, it.fabric.artifact(RELEASE))
    it.kit.kill()
    it.cluster.trust.update(it.fabric.revoke_key("artifact"))
    with pytest.raises(Revoked):
        it.cluster.updates.verify_artifact("agent", CONTENT)
    it.kit.kill()
    assert agent(it).pending is None


def test_a_reference_that_counts_no_longer_bars_no_older_release(it: Ready) -> None:
    """Mutation: drop the call of `_review` in `stage`."""
    document, older = it.fabric.artifact(RELEASE), it.fabric.artifact(make_reference("agent", 4, b"older"))
    it.cluster.updates.stage(document)
    with pytest.raises(Rollback):
        it.cluster.updates.stage(older)
    revoke_content(it, document)
    assert it.cluster.updates.stage(older).changed
    pending = agent(it).pending
    assert pending is not None and pending.reference.sequence == 4


def test_a_waiting_release_that_was_signed_for_longer_is_activated_without_being_hashed_again(it: Ready) -> None:
    """Fails when staging the same release again keeps its first reference, or takes the verification away."""
    hashed(it, it.fabric.artifact(RELEASE, expires_at_s=it.fabric.issued_at_s + TERM_S))
    longer = it.fabric.artifact(RELEASE, expires_at_s=it.fabric.issued_at_s + 9 * TERM_S)
    assert it.cluster.updates.stage(longer).changed
    assert not it.cluster.updates.stage(longer).changed
    it.kit.clock.advance(seconds=TERM_S)
    receipt, artifact = it.cluster.updates.activate("agent")
    artifact.close()
    assert receipt.changed


def test_a_current_release_is_not_handed_out_again_once_its_reference_is_revoked(it: Ready) -> None:
    """Fails when the reference goes with the activation. The end of its term bars no release that is current already."""
    document = it.fabric.artifact(RELEASE, expires_at_s=it.fabric.issued_at_s + TERM_S)
    hashed(it, document)
    it.cluster.updates.activate("agent").artifact.close()
    it.kit.kill()
    it.kit.clock.advance(seconds=TERM_S)
    hashed_again(it)
    revoke_content(it, document)
    before = agent(it)
    for call in ("verify_artifact", "activate"):
        with pytest.raises(Revoked):
            use(it, call)
    assert agent(it) == before and before.current is not None and before.current.signed is not None
    assert it.cluster.updates.confirm("agent").changed, "what proves itself on the machine is told all the same"


def test_what_is_kept_of_a_reference_names_no_file(it: Ready) -> None:
    """A reference fits into its event: no file of it can be lost, and none has to be kept."""
    document = it.fabric.artifact(RELEASE)
    it.cluster.updates.stage(document)
    pending = agent(it).pending
    assert pending is not None and pending.signed == (b"", len(document), document)
    limits = (FORMS[DocumentType.ARTIFACT].bytes_max, INLINE_DOCUMENT_BYTES_MAX)
    assert limits[0] <= limits[1]


def hashed_again(it: Ready) -> None:
    it.cluster.updates.verify_artifact("agent", CONTENT)
    it.cluster.updates.activate("agent").artifact.close()


def use(it: Ready, call: str) -> None:
    if call == "activate":
        it.cluster.updates.activate("agent")
    else:
        it.cluster.updates.verify_artifact("agent", CONTENT)
