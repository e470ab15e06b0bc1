"""What an identity amounts to, in one word: the worst that is true."""

import pytest

from rap_projections.identity import Certificate, CertificateFacts, Enrollment, IdentityView, Key, RevocationStatus
from rap_projections.identity_status import IdentityState, identity_status, state_of
from rap_projections.stored_document import StoredDocument
from tests.projections.identity_kit import enrolled, renewing, requested, waiting
from tests.projections.store_kit import ready

KEY = Key("sealed:00", "ecdsa-p256", b"k" * 32, b"r" * 32)
FACTS = CertificateFacts(b"\1", "CN=ca", "rap://lab/node/node-1", 100, 200, b"f" * 32, b"k" * 32)
CERTIFICATE = Certificate(FACTS, StoredDocument(b"", 0, b""))
VALID = IdentityView(Enrollment.ENROLLED, "node-1", "m-1", KEY, CERTIFICATE)


def test_the_states_are_a_closed_list() -> None:
    assert [state.value for state in IdentityState] == [
        "none", "requested", "enrolled", "renewing", "uncertain", "expired", "revoked", "lost", "damaged",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("view", "state"),
    [
        (IdentityView(), IdentityState.NONE),
        (IdentityView(Enrollment.REQUESTED, "node-1", "m-1", KEY), IdentityState.REQUESTED),
        (VALID, IdentityState.ENROLLED),
        (VALID._replace(enrollment=Enrollment.RENEWING, next_key=KEY), IdentityState.RENEWING),
        (VALID._replace(enrollment=Enrollment.REVOKED), IdentityState.REVOKED),
        (VALID._replace(revocation=RevocationStatus("revoked", 150, b"d")), IdentityState.REVOKED),
        (VALID._replace(revocation=RevocationStatus("good", 150, b"d")), IdentityState.ENROLLED),
        (VALID._replace(enrollment=Enrollment.LOST), IdentityState.LOST),
    ],
)
def test_each_state_of_the_class_has_its_word(view: IdentityView, state: IdentityState) -> None:
    assert state_of(view, 150, None) is state


@pytest.mark.parametrize(
    ("trusted_s", "state"),
    [
        (0, IdentityState.UNCERTAIN), (99, IdentityState.UNCERTAIN), (100, IdentityState.ENROLLED), (199, IdentityState.ENROLLED),
        (200, IdentityState.EXPIRED),
    ],
)  # fmt: skip
def test_trusted_time_decides_between_valid_expired_and_uncertain(trusted_s: int, state: IdentityState) -> None:
    """Mutation: without the comparison of either end."""
    assert state_of(VALID, trusted_s, None) is state


def test_the_worst_that_is_true_is_told() -> None:
    revoked = VALID._replace(enrollment=Enrollment.REVOKED)
    assert state_of(revoked, 200, "identity_damaged") is IdentityState.DAMAGED
    assert state_of(VALID._replace(enrollment=Enrollment.LOST), 200, None) is IdentityState.LOST
    assert state_of(revoked, 200, None) is IdentityState.REVOKED
    assert state_of(VALID._replace(enrollment=Enrollment.RENEWING), 200, None) is IdentityState.EXPIRED


def test_what_fails_closed_for_another_reason_leaves_the_identity_as_it_is() -> None:
    assert state_of(VALID, 150, "trust_damaged") is IdentityState.ENROLLED


def test_the_status_shows_neither_key_nor_where_it_is() -> None:
    view = VALID._replace(
        enrollment=Enrollment.RENEWING, next_key=KEY._replace(reference="sealed:canary"), next_certificate=CERTIFICATE
    )
    status = identity_status(view, 150, None)
    assert (status.renewal, status.renewal_fingerprint, status.renewal_expires_at_s) == ("waiting", (b"f" * 32).hex(), 200)
    assert "canary" not in repr(status) and "sealed" not in repr(status)


def test_the_status_of_the_cluster_tells_the_same() -> None:
    steps = ((ready, "none", ""), (requested, "requested", ""), (enrolled, "enrolled", ""), (renewing, "renewing", "requested"))
    for make, state, renewal in (*steps, (waiting, "renewing", "waiting")):
        it = make()
        told = it.cluster.status()["identity"]
        assert (told["state"], told["renewal"]) == (state, renewal)
        assert it.cluster.identity.status().state == state
        assert told["certificate_expires_at_s"] == it.cluster.identity.status().certificate_expires_at_s
