"""The pure part of validating a restore: what is asked, what is compared, what is decided."""

import pytest

from rap_journal.errors import MisuseError
from rap_projections.documents import RestoreTicket, RestoreVerdict
from rap_projections.identity import IdentityView
from rap_projections.lifecycle import ClassReset
from rap_projections.refusals import TicketMismatch
from rap_projections.restore_decisions import check_ticket, decide_validated, is_answered, pending, request_of
from rap_projections.snapshots import SnapshotsView
from rap_projections.trust import Restore, RestoreState, TrustView
from rap_projections.trust_events import RestoreValidated

NONCE = b"n" * 32
DOUBTED = TrustView(restore_state=RestoreState.NOT_VALIDATED, restore=Restore("backup", b"d" * 32, NONCE, ""))
ASKED = request_of("lab", b"j" * 16, b"i" * 16, DOUBTED, IdentityView(), SnapshotsView())


def ticket(**changes: object) -> RestoreTicket:
    fields = {name: value for name, value in ASKED._asdict().items() if name not in ("cluster_id", "reason")}
    times = {"issued_at_s": 0, "expires_at_s": 3600, "verdict": RestoreVerdict.ACCEPT}
    return RestoreTicket(**(fields | times | changes))


def test_the_answer_to_what_was_asked_passes() -> None:
    check_ticket(ticket(), ASKED, bundle_version=0, revocation_digest=ASKED.revocation_digest)


def test_a_bundle_that_this_node_does_not_have_vouches_for_no_revocations() -> None:
    """Mutation: the digest of the revocations is compared only where the bundle is at hand."""
    with pytest.raises(TicketMismatch):
        check_ticket(ticket(), ASKED, bundle_version=0, revocation_digest=None)


def test_accepting_is_one_event_and_reenrolling_ends_the_identity_beside_it() -> None:
    accepted = decide_validated(DOUBTED, SnapshotsView(), ticket(), content_id=b"c")
    assert accepted == (RestoreValidated(NONCE, "accept", b"c"),)
    again = decide_validated(DOUBTED, SnapshotsView(), ticket(verdict=RestoreVerdict.REENROLL), content_id=b"c")
    assert again == (RestoreValidated(NONCE, "reenroll", b"c"), ClassReset(1, 0, 0, "reenroll"))


def test_whoever_decides_second_is_refused() -> None:
    """Mutation: the nonce is not looked at again where the frame is decided."""
    with pytest.raises(TicketMismatch):
        decide_validated(DOUBTED, SnapshotsView(), ticket(nonce=bytes(32)), content_id=b"c")
    with pytest.raises(MisuseError):
        decide_validated(TrustView(), SnapshotsView(), ticket(), content_id=b"c")


def test_only_the_nonce_that_was_used_is_answered() -> None:
    done = DOUBTED._replace(restore_state=RestoreState.NORMAL)
    assert is_answered(done, ticket())
    assert not is_answered(DOUBTED, ticket())
    assert not is_answered(done, ticket(nonce=bytes(32)))
    with pytest.raises(MisuseError):
        pending(done)
