"""The certifying part of a cluster's issuer: right certificates by default, wrong ones by keyword, the same each time."""

from cryptography import x509

from rap_journal.values import ClusterId
from rap_projections.certificates import verify_path
from rap_projections.testing import Fabric
from rap_projections.testing.authorities import CertificateAuthority, certificate_authority
from rap_projections.testing.certifying import DAY_S, CertificateIssuer
from tests.projections.identity_kit import NODE
from tests.projections.store_kit import CLUSTER, ready

ISSUED_S = 1_800_000_000


def issuer(seed: int = 0) -> CertificateIssuer:
    return CertificateIssuer(ClusterId(CLUSTER), seed, ISSUED_S)


def test_a_fabric_certifies_with_the_authority_that_its_bundle_names() -> None:
    fabric = Fabric(CLUSTER)
    assert isinstance(fabric, CertificateIssuer)
    assert [anchor.certificate for anchor in fabric.trust().trust_anchors] == [issuer().authority.certificate]


def test_the_same_calls_give_the_same_peer_and_another_seed_another_one() -> None:
    assert issuer().peer(NODE).chain == issuer().peer(NODE).chain
    assert issuer().peer(NODE).chain != issuer(1).peer(NODE).chain
    assert issuer().peer(NODE).certificate != issuer().peer("node-18").certificate


def test_what_is_issued_by_default_passes_every_rule() -> None:
    path = verify_path(issuer().peer(NODE).chain, Fabric(CLUSTER).trust())
    assert (path.leaf.node_id, path.periods[0]) == (NODE, (ISSUED_S - DAY_S, ISSUED_S + 90 * DAY_S))
    it = ready()
    request = it.cluster.identity.request(node_id=NODE, membership_id="m-1")
    issued = issuer().certificate(request)
    assert issued == issuer().certificate(request)
    assert verify_path([issued], it.fabric.trust()).leaf.node_id == NODE
    certificate, asked = x509.load_der_x509_certificate(issued), x509.load_der_x509_csr(request)
    assert certificate.public_key() == asked.public_key()
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert names.critical and names.value == asked.extensions.get_extension_for_class(x509.SubjectAlternativeName).value


def test_a_certificate_answers_its_request_but_for_what_is_asked_otherwise() -> None:
    request = ready().cluster.identity.request(node_id=NODE, membership_id="m-1")
    other = certificate_authority("other", 0, ISSUED_S)
    data = issuer().certificate(request, uri="rap://x/node/y", authority=other, starts_at_s=ISSUED_S, expires_at_s=ISSUED_S + 5)
    certificate = x509.load_der_x509_certificate(data)
    certificate.verify_directly_issued_by(x509.load_der_x509_certificate(other.certificate))
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["rap://x/node/y"]
    assert (certificate.not_valid_after_utc - certificate.not_valid_before_utc).seconds == 5


def test_a_peer_below_other_authorities_shows_their_certificates() -> None:
    middle = issuer().intermediate("middle")
    assert isinstance(middle, CertificateAuthority)
    peer = issuer().peer(NODE, authorities=[middle])
    assert peer.chain[1:] == (middle.certificate,)
    x509.load_der_x509_certificate(peer.certificate).verify_directly_issued_by(x509.load_der_x509_certificate(middle.certificate))


def test_a_bundle_names_the_authorities_it_is_told_to() -> None:
    fabric, other = Fabric(CLUSTER), certificate_authority("other", 0, ISSUED_S)
    fabric.trusting(other)
    assert [anchor.certificate for anchor in fabric.trust().trust_anchors] == [other.certificate]
