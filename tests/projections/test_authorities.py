"""Authorities for tests: the same words give the same bytes, and what is asked for stands in the certificate."""

from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from rap_projections.testing.authorities import (
    CLIENT,
    SIGNS_DATA,
    PeerIdentity,
    asked_for,
    certificate_authority,
    issue,
    seeded_key,
)
from tests.projections.identity_kit import NODE, URI
from tests.projections.store_kit import ready

START_S, END_S = 1_800_000_000, 1_800_086_400


def test_the_same_seed_gives_the_same_authority_and_another_one_does_not() -> None:
    first = certificate_authority("lab", 1, START_S)
    assert certificate_authority("lab", 1, START_S).certificate == first.certificate
    assert certificate_authority("lab", 2, START_S).certificate != first.certificate
    assert certificate_authority("lab-2", 1, START_S).certificate != first.certificate


def test_an_authority_signed_itself_and_may_issue_and_nothing_else() -> None:
    authority = certificate_authority("lab", 1, START_S)
    certificate = x509.load_der_x509_certificate(authority.certificate)
    certificate.verify_directly_issued_by(certificate)
    assert isinstance(authority.private_key.curve, ec.SECP256R1)
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (constraints.critical, constraints.value) == (True, x509.BasicConstraints(ca=True, path_length=0))
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    assert (usage.key_cert_sign, usage.crl_sign, usage.digital_signature) == (True, True, False)
    assert certificate.not_valid_before_utc == datetime.fromtimestamp(START_S - 86_400, UTC)
    assert (certificate.not_valid_after_utc - certificate.not_valid_before_utc).days == 3650
    short = x509.load_der_x509_certificate(certificate_authority("lab", 1, START_S, days=10).certificate)
    assert (short.not_valid_after_utc - short.not_valid_before_utc).days == 10


def test_what_is_asked_for_stands_in_the_certificate() -> None:
    authority, key = certificate_authority("lab", 1, START_S), seeded_key("lab", 1, "node")
    values = {"uris": [URI], "purposes": [CLIENT], "key_usage": SIGNS_DATA, "digest": hashes.SHA384()}
    data = issue(authority, key.public_key(), NODE, (START_S, END_S), **values)  # type: ignore[arg-type]  # a table of values
    assert data == issue(authority, key.public_key(), NODE, (START_S, END_S), **values)  # type: ignore[arg-type]  # as above
    certificate = x509.load_der_x509_certificate(data)
    certificate.verify_directly_issued_by(x509.load_der_x509_certificate(authority.certificate))
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == [URI]
    assert list(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [CLIENT]
    assert certificate.extensions.get_extension_for_class(x509.KeyUsage).value == SIGNS_DATA
    assert isinstance(certificate.signature_hash_algorithm, hashes.SHA384)
    assert (certificate.not_valid_before_utc, certificate.not_valid_after_utc) == (
        datetime.fromtimestamp(START_S, UTC), datetime.fromtimestamp(END_S, UTC),
    )  # fmt: skip


def test_nothing_more_than_is_asked_for_stands_in_it() -> None:
    authority, key = certificate_authority("lab", 1, START_S), seeded_key("lab", 1, "node")
    data = issue(authority, key.public_key(), NODE, (START_S, END_S), purposes=())
    assert list(x509.load_der_x509_certificate(data).extensions) == []


def test_another_validity_is_another_serial_number() -> None:
    authority, key = certificate_authority("lab", 1, START_S), seeded_key("lab", 1, "node")
    issued = [issue(authority, key.public_key(), NODE, (START_S, END_S + seconds)) for seconds in (0, 1)]
    assert len({x509.load_der_x509_certificate(data).serial_number for data in issued}) == 2


def test_a_key_is_on_the_curve_that_is_asked_for() -> None:
    assert isinstance(seeded_key("lab", 1, "node").curve, ec.SECP256R1)
    assert isinstance(seeded_key("lab", 1, "node", ec.SECP384R1()).curve, ec.SECP384R1)


def test_a_signing_request_says_whose_it_is() -> None:
    request = ready().cluster.identity.request(node_id=NODE, membership_id="m-1")
    public_key, subject, uris = asked_for(request)
    assert isinstance(public_key, ec.EllipticCurvePublicKey)
    assert (subject, uris) == (NODE, (URI,))


def test_a_peers_own_certificate_is_the_first_of_its_chain() -> None:
    assert PeerIdentity(seeded_key("lab", 1, "node"), (b"own", b"above")).certificate == b"own"
