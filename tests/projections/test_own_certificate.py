"""Taking the certificate that answers a request, and every one that is refused (trust, 14)."""

import hashlib
from collections.abc import Callable

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from rap_journal.errors import FailClosed, MisuseError
from rap_projections.documents import Revocation, RevocationKind
from rap_projections.event_kinds import IDENTITY
from rap_projections.identity import Enrollment
from rap_projections.refusals import (
    Expired,
    Malformed,
    NotForThisNode,
    RefusedError,
    Revoked,
    TooLarge,
    UnknownSigner,
    WrongCluster,
    WrongKey,
    WrongName,
    WrongPurpose,
)
from rap_projections.testing import Fabric, memory_store
from rap_projections.testing.authorities import BOTH
from tests.projections.store_kit import CLUSTER, FOLDER, Ready, crashed_at_every_operation, files, fill, names, ready

URI = f"rap://{CLUSTER}/node/node-17"
KEYS = f"{FOLDER}/identity"


def requested() -> tuple[Ready, bytes]:
    it = ready()
    return it, it.cluster.identity.request(node_id="node-17", membership_id="m-1")


def enrolled() -> tuple[Ready, bytes]:
    it, request = requested()
    certificate = it.fabric.certificate(request)
    it.cluster.identity.enroll(certificate=certificate)
    return it, certificate


def test_enrolling_keeps_the_certificate_and_survives_a_power_cut() -> None:
    it, certificate = enrolled()
    for _ in range(2):
        status = it.cluster.identity.status()
        assert (status.enrollment, status.certificate_fingerprint) == (
            Enrollment.ENROLLED,
            hashlib.sha256(certificate).hexdigest(),
        )
        assert status.certificate_expires_at_s == it.fabric.issued_at_s + 90 * 86_400
        it.kit.power_cut()
    view = it.cluster.view().identity
    assert view.certificate is not None and view.key is not None
    assert view.certificate.facts.subject_uri == f"rap://{CLUSTER}/node/node-17"
    assert view.certificate.facts.key_sha256 == view.key.key_sha256
    assert it.cluster._core.shelf.load(IDENTITY, view.certificate.stored) == certificate


def test_the_same_certificate_again_changes_nothing() -> None:
    it, certificate = enrolled()
    before, digest = files(it.kit.filesystem), it.cluster.digest()
    receipt = it.cluster.identity.enroll(certificate=certificate)
    assert (receipt.changed, it.cluster.digest(), files(it.kit.filesystem)) == (False, digest, before)


def test_an_enrolled_node_makes_no_second_request() -> None:
    it, _certificate = enrolled()
    before = files(it.kit.filesystem)
    with pytest.raises(MisuseError) as caught:
        it.cluster.identity.request(node_id="node-17", membership_id="m-1")
    assert (caught.value.reason, files(it.kit.filesystem)) == ("out_of_turn", before)


def test_a_certificate_that_nobody_asked_for_is_refused() -> None:
    it = ready()
    with pytest.raises(MisuseError) as caught:
        it.cluster.identity.enroll(certificate=b"")
    assert caught.value.reason == "not_requested"


def as_authority(it: Ready, request: bytes) -> bytes:
    return it.fabric.authority.certificate


REFUSED: dict[str, tuple[type[RefusedError], Callable[[Ready, bytes], bytes]]] = {
    "is no certificate": (Malformed, lambda it, request: b"\x30\x03\x02\x01\x01"),
    "is a signing request": (Malformed, lambda it, request: request),
    "has bytes behind it": (Malformed, lambda it, request: it.fabric.certificate(request) + b"\0"),
    "is too large": (TooLarge, lambda it, request: bytes(20_000)),
    "is the authority's own": (Malformed, as_authority),
    "names another node": (
        NotForThisNode,
        lambda it, request: it.fabric.certificate(request, uri=f"rap://{CLUSTER}/node/node-18"),
    ),
    "names a node that this one begins with": (
        NotForThisNode,
        lambda it, request: it.fabric.certificate(request, uri=f"rap://{CLUSTER}/node/node-1"),
    ),
    "names another cluster": (WrongCluster, lambda it, request: it.fabric.certificate(request, uri="rap://other/node/node-17")),
    "names a cluster that this one begins with": (
        WrongCluster,
        lambda it, request: it.fabric.certificate(request, uri="rap://la/node/node-17"),
    ),
    "was issued by another cluster": (UnknownSigner, lambda it, request: Fabric("other").certificate(request)),
    "was issued by an impostor of the same name": (
        UnknownSigner,
        lambda it, request: Fabric(CLUSTER, seed=1).certificate(request),
    ),
    "is for another key": (WrongKey, lambda it, request: it.fabric.certificate(requested_by_another())),
    "is for no side of a connection": (WrongPurpose, lambda it, request: it.fabric.certificate(request, purposes=())),
    "names another purpose only": (
        WrongPurpose,
        lambda it, request: it.fabric.certificate(request, purposes=[ExtendedKeyUsageOID.CODE_SIGNING]),
    ),
    "has two names": (WrongName, lambda it, request: it.fabric.certificate(request, uris=[URI, URI])),
    "has no name": (WrongName, lambda it, request: it.fabric.certificate(request, uris=())),
    "is past its end": (Expired, lambda it, request: it.fabric.certificate(request, expires_at_s=it.fabric.issued_at_s - 1)),
}


def requested_by_another() -> bytes:
    return ready(seed=7).cluster.identity.request(node_id="node-17", membership_id="m-1")


@pytest.mark.parametrize("wrong", REFUSED)
def test_a_wrong_certificate_is_refused_recorded_and_changes_nothing(wrong: str) -> None:
    """Mutation: without the question for the node, or for the purposes, a good certificate of another one is kept."""
    refusal, make = REFUSED[wrong]
    it, request = requested()
    offered = make(it, request)
    before = it.cluster.view().identity
    on_disk = names(it.kit.filesystem, KEYS)
    with pytest.raises(refusal) as caught:
        it.cluster.identity.enroll(certificate=offered, source="gateway")
    after = it.cluster.view().identity
    assert after._replace(refusals=(), provenance=before.provenance) == before
    (noted,) = after.refusals
    assert (noted.source, noted.subject, noted.reason, noted.digest) == (
        "gateway", "enroll", caught.value.reason, hashlib.sha256(offered).digest(),
    )  # fmt: skip
    assert (caught.value.cluster, names(it.kit.filesystem, KEYS)) == (CLUSTER, on_disk)
    assert it.cluster.identity.enroll(certificate=it.fabric.certificate(request)).changed


def test_a_flood_of_wrong_certificates_is_one_event_per_interval() -> None:
    it, _request = requested()
    lsn = it.cluster.view().lsn
    for _ in range(50):
        with pytest.raises(Malformed):
            it.cluster.identity.enroll(certificate=b"junk")
    assert it.cluster.view().lsn == lsn + 1


def test_a_refusal_stands_although_there_is_no_space_to_record_it() -> None:
    it, _request = requested()
    fill(it)
    lsn = it.cluster.view().lsn
    with pytest.raises(Malformed):
        it.cluster.identity.enroll(certificate=b"junk")
    assert it.cluster.view().lsn == lsn
    assert it.cluster.health.partition("storage", on=True).lsn == lsn + 1


def test_a_revoked_certificate_is_refused() -> None:
    it = ready()
    request = it.cluster.identity.request(node_id="node-17", membership_id="m-1")
    certificate = it.fabric.certificate(request)
    it.kit.store.leave(CLUSTER, reason="again")
    bundle = it.fabric.revoke(RevocationKind.CERTIFICATE, hashlib.sha256(certificate).digest())
    cluster = it.kit.store.join(CLUSTER, bundle=bundle, expect=hashlib.sha256(bundle).hexdigest())
    again = cluster.identity.request(node_id="node-17", membership_id="m-1")
    with pytest.raises(Revoked):
        cluster.identity.enroll(certificate=certificate)
    assert cluster.identity.enroll(certificate=it.fabric.certificate(again)).changed


def test_a_cluster_that_fails_closed_asks_for_nothing_and_takes_nothing() -> None:
    it, request = requested()
    it.cluster._context.fail_closed("trust_damaged")
    for call in (
        lambda: it.cluster.identity.request(node_id="node-17", membership_id="m-1"),
        lambda: it.cluster.identity.enroll(certificate=it.fabric.certificate(request)),
    ):
        with pytest.raises(FailClosed):
            call()
    assert it.cluster.identity.status().enrollment is Enrollment.REQUESTED


def test_enrolling_interrupted_at_any_operation_leaves_the_certificate_or_the_request() -> None:
    def asked() -> Ready:
        return requested()[0]

    def enroll(it: Ready) -> None:
        request = it.cluster.identity.request(node_id="node-17", membership_id="m-1")
        it.cluster.identity.enroll(certificate=it.fabric.certificate(request))

    for crash in crashed_at_every_operation(asked, enroll):
        crash.it.kit.open()
        status = crash.it.cluster.identity.status()
        assert crash.it.cluster.status()["fail_closed"] is None
        assert status.enrollment is (Enrollment.ENROLLED if status.certificate_fingerprint else Enrollment.REQUESTED)
        assert status.certificate_fingerprint or not crash.finished
        if not status.certificate_fingerprint:
            enroll(crash.it)


@pytest.mark.parametrize("subject", ["node:node-17", "membership:m-1"])
def test_a_node_that_is_revoked_takes_no_certificate(subject: str) -> None:
    """Mutation: without the check of node and membership."""
    fabric = Fabric(CLUSTER, revocations=(Revocation(RevocationKind.IDENTITY, subject, (), None),))
    it = Ready(memory_store(), fabric)
    it.kit.join(fabric)
    request = it.cluster.identity.request(node_id="node-17", membership_id="m-1")
    with pytest.raises(Revoked):
        it.cluster.identity.enroll(certificate=fabric.certificate(request))


@pytest.mark.parametrize("side", BOTH)
def test_a_certificate_for_one_side_of_a_connection_is_kept(side: x509.ObjectIdentifier) -> None:
    it, request = requested()
    assert it.cluster.identity.enroll(certificate=it.fabric.certificate(request, purposes=[side])).changed


def test_a_certificate_that_an_authority_below_the_clusters_issued_is_refused() -> None:
    it, request = requested()
    with pytest.raises(UnknownSigner):
        it.cluster.identity.enroll(certificate=it.fabric.certificate(request, authority=it.fabric.intermediate("below")))
