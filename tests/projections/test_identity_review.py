"""What the bundle in force says of this node's identity is looked up, barred at once, and written down once."""

import pytest

from rap_journal.errors import MisuseError
from rap_projections.documents import RevocationKind
from rap_projections.identity import Enrollment
from rap_projections.identity_events import IdentityRevoked, RevocationChecked
from rap_projections.identity_review import review_identity
from rap_projections.identity_status import IdentityState
from tests.projections.identity_kit import MEMBERSHIP, NODE, enrolled, renewed_certificate, renewing, requested, take, waiting
from tests.projections.store_kit import Ready, ready, written

KEY, CERTIFICATE, IDENTITY = RevocationKind.KID, RevocationKind.CERTIFICATE, RevocationKind.IDENTITY


def review(it: Ready) -> list[int]:
    """The kinds that a review writes; another one behind it writes nothing."""
    lsn = it.cluster.view().lsn
    review_identity(it.cluster._context)
    kinds = [record.kind for record in written(it, lsn)]
    assert not review_identity(it.cluster._context).changed
    return kinds


def test_a_certificate_is_looked_up_when_it_is_taken_and_nothing_is_written_again() -> None:
    it = enrolled()
    revocation = it.cluster.view().identity.revocation
    assert revocation is not None and revocation.status == "good"
    assert revocation.revocation_digest == it.fabric.trust().revocation_digest()
    lsn = it.cluster.view().lsn
    assert review(it) == []
    it.kit.power_cut()
    assert [record.kind for record in written(it, lsn) if 10 <= record.kind < 20] == []


def test_another_set_of_revocations_is_noted_where_it_spares_this_node() -> None:
    it = enrolled()
    take(it, (IDENTITY, "node:node-1"))
    assert review(it) == [16]
    assert it.cluster.identity.status().state is IdentityState.ENROLLED


@pytest.mark.parametrize("by", ["certificate", "key", "node", "membership"])
def test_a_revoked_identity_is_revoked_for_good(by: str) -> None:
    """Mutation: without the look-up by certificate, key, node or membership."""
    it = enrolled()
    facts = it.cluster.view().identity.certificate.facts
    entry = {
        "certificate": (CERTIFICATE, facts.fingerprint), "key": (KEY, facts.key_sha256), "node": (IDENTITY, f"node:{NODE}"),
        "membership": (IDENTITY, f"membership:{MEMBERSHIP}"),
    }[by]  # fmt: skip
    take(it, entry)
    lsn = it.cluster.view().lsn
    assert review(it) == [16, 15]
    checked, revoked = written(it, lsn)
    assert RevocationChecked._make(checked.body).status == "revoked"
    whole = by in ("node", "membership")
    assert IdentityRevoked._make(revoked.body) == IdentityRevoked(
        b"" if whole else facts.fingerprint, "node_revoked" if whole else "certificate_revoked", it.fabric.trust().content_id
    )
    status = it.cluster.identity.status()
    assert (status.state, status.enrollment, status.revocation) == (IdentityState.REVOKED, Enrollment.REVOKED, "revoked")
    for call in (it.cluster.identity.renew, lambda: it.cluster.identity.request(node_id=NODE, membership_id=MEMBERSHIP)):
        with pytest.raises(MisuseError):
            call()


def test_a_renewal_under_way_survives_the_revocation_of_the_certificate_in_use() -> None:
    """Mutation: with every revocation of the certificate in use taken for the end of the identity."""
    for make in (renewing, waiting):
        it = make()
        take(it, (CERTIFICATE, it.cluster.view().identity.certificate.facts.fingerprint))
        assert review(it) == [16]
        status = it.cluster.identity.status()
        assert (status.enrollment, status.state) == (Enrollment.RENEWING, IdentityState.REVOKED)
        it.cluster.identity.enroll(certificate=renewed_certificate(it))
        it.cluster.identity.confirm()
        assert it.cluster.identity.status().state is IdentityState.ENROLLED
        assert review(it) == []


@pytest.mark.parametrize("by", ["certificate", "key"])
def test_where_the_renewal_is_revoked_too_the_identity_is(by: str) -> None:
    """Mutation: without looking the renewal up."""
    it = waiting()
    view = it.cluster.view().identity
    other = (CERTIFICATE, view.next_certificate.facts.fingerprint) if by == "certificate" else (KEY, view.next_key.key_sha256)
    take(it, (CERTIFICATE, view.certificate.facts.fingerprint), other)
    assert review(it) == [16, 15]


def test_a_node_that_has_only_asked_is_revoked_by_name_and_by_key() -> None:
    for entry in ((IDENTITY, f"node:{NODE}"), None):
        it = requested()
        take(it, entry or (KEY, it.cluster.view().identity.key.key_sha256))
        assert review(it) == [16, 15]
        assert it.cluster.identity.status().state is IdentityState.REVOKED


def test_a_node_without_an_identity_has_nothing_to_revoke() -> None:
    it = ready()
    take(it, (IDENTITY, f"node:{NODE}"))
    assert review(it) == []


def revoking(it: Ready) -> bytes:
    """The next bundle, which revokes this node."""
    return it.fabric.revoke(IDENTITY, f"node:{NODE}")


def test_a_bundle_that_revokes_this_node_is_followed_at_once() -> None:
    """Mutation: without the review behind a bundle."""
    it = enrolled()
    receipt = it.cluster.trust.update(revoking(it))
    assert it.cluster.identity.status().state is IdentityState.REVOKED
    assert receipt.lsn is not None
    (record,) = [record for record in written(it, receipt.lsn) if record.kind == 15]
    assert record.causes == (receipt.lsn,)


def test_what_a_crash_kept_from_being_written_down_is_made_up_for_at_the_next_opening(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mutation: without the review at the opening."""
    it = enrolled()
    with monkeypatch.context() as patch:
        patch.setattr("rap_projections.cluster.review_identity", lambda context, cause: None)
        it.cluster.trust.update(revoking(it))
    assert it.cluster.identity.status().state is IdentityState.ENROLLED
    it.kit.kill()
    assert it.cluster.identity.status().state is IdentityState.REVOKED


def test_a_node_that_is_not_revoked_goes_on_under_a_new_bundle() -> None:
    it = enrolled()
    it.cluster.trust.update(it.fabric.revoke(IDENTITY, "node:node-99"))
    status = it.cluster.identity.status()
    assert (status.state, status.revocation) == (IdentityState.ENROLLED, "good")
