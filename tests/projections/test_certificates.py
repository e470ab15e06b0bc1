"""Whether an authority of the cluster vouches for a certificate: each rule, and that nothing else than a refusal comes out of it."""

import hashlib
import warnings
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from rap_projections.certificates import CERTIFICATE_BYTES_MAX, CHAIN_LENGTH_MAX, node_uri, verify_path
from rap_projections.documents import RevocationKind
from rap_projections.refusals import (
    Malformed,
    RefusedError,
    Revoked,
    TooLarge,
    UnknownSigner,
    UnsupportedKey,
    WrongCluster,
    WrongName,
)
from rap_projections.testing import Fabric
from rap_projections.testing.authorities import (
    BOTH,
    SIGNS_CERTIFICATES,
    SIGNS_DATA,
    CertificateAuthority,
    PeerIdentity,
    certificate_authority,
    issue,
    seeded_key,
)
from rap_projections.testing.certifying import DAY_S

CLUSTER = "eu-west-1"
URI = "rap://eu-west-1/node/node-17"


def refusal(chain: Sequence[bytes], fabric: Fabric) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        verify_path(chain, fabric.trust())
    assert caught.value.document_type == "certificate"
    return caught.value


def bridging(fabric: Fabric) -> CertificateAuthority:
    """An authority whose certificate allows others below it; the next bundle names it alone."""
    key = seeded_key(CLUSTER, 0, "bridge")
    own = CertificateAuthority(key, fabric.authority.certificate)
    period = (fabric.issued_at_s - DAY_S, fabric.issued_at_s + 900 * DAY_S)
    constraints = x509.BasicConstraints(ca=True, path_length=2)
    certificate = issue(
        own, key.public_key(), "bridge", period, purposes=(), constraints=constraints, key_usage=x509.KeyUsage(
            False, False, False, False, False, True, True, False, False
        ),
    )  # fmt: skip
    authority = CertificateAuthority(key, certificate)
    fabric.trusting(authority)
    return authority


def test_the_name_of_a_node_is_one_uri() -> None:
    assert node_uri(CLUSTER, "node-17") == URI


def test_a_certificate_of_the_clusters_authority_is_read() -> None:
    fabric = Fabric(CLUSTER)
    peer = fabric.peer("node-17")
    path = verify_path(peer.chain, fabric.trust())
    facts = path.leaf.facts
    spki = peer.private_key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert (path.leaf.cluster_id, path.leaf.node_id, facts.subject_uri) == (CLUSTER, "node-17", URI)
    assert (facts.fingerprint, facts.key_sha256) == (
        hashlib.sha256(peer.certificate).digest(),
        hashlib.sha256(spki).digest(),
    )
    assert path.leaf.purposes == {usage.dotted_string for usage in BOTH}
    assert path.anchor_sha256 == hashlib.sha256(fabric.authority.certificate).digest()
    assert (
        path.periods[0]
        == (facts.not_before_s, facts.not_after_s)
        == (
            fabric.issued_at_s - DAY_S,
            fabric.issued_at_s + 90 * DAY_S,
        )
    )
    assert len(path.periods) == 2


def test_a_chain_over_two_authorities_is_read_in_whatever_order_they_are_shown() -> None:
    fabric = Fabric(CLUSTER)
    upper = fabric.intermediate("upper", authority=bridging(fabric))
    lower = fabric.intermediate("lower", authority=upper)
    peer = fabric.peer("node-17", authorities=[lower, upper])
    assert len(peer.chain) == 3
    assert len(verify_path(peer.chain, fabric.trust()).periods) == 4
    assert verify_path([peer.chain[0], peer.chain[2], peer.chain[1]], fabric.trust()).leaf.node_id == "node-17"


def test_the_authority_itself_may_be_shown_too() -> None:
    fabric = Fabric(CLUSTER)
    peer = fabric.peer("node-17")
    assert verify_path([*peer.chain, fabric.authority.certificate], fabric.trust()).leaf.node_id == "node-17"


def test_of_several_authorities_any_will_do() -> None:
    fabric = Fabric(CLUSTER)
    other = certificate_authority("other", 5, fabric.issued_at_s)
    fabric.trusting(fabric.authority, other)
    for authorities in ([], [other]):
        chain = fabric.peer("node-17", authorities=authorities).chain[:1]
        assert verify_path(chain, fabric.trust()).leaf.node_id == "node-17"


def test_an_authority_that_cannot_be_read_keeps_no_other_from_vouching() -> None:
    """Mutation: without catching what reading an authority raises."""
    fabric = Fabric(CLUSTER)
    strange = CertificateAuthority(fabric.authority.private_key, with_unknown_curve(fabric.authority.certificate))
    fabric.trusting(strange)
    assert type(refusal(fabric.peer("node-17").chain, fabric)) is UnknownSigner
    fabric.trusting(strange, fabric.authority)
    assert verify_path(fabric.peer("node-17").chain, fabric.trust()).leaf.node_id == "node-17"


Wrong = Callable[[Fabric], Sequence[bytes]]


def chain_of(**wrong: Any) -> Wrong:
    return lambda fabric: fabric.peer("node-17", **wrong).chain


def below(**wrong: Any) -> Wrong:
    """A chain over an authority below a bridging one, with something wrong about it."""

    def make(fabric: Fabric) -> Sequence[bytes]:
        middle = fabric.intermediate("middle", authority=bridging(fabric), **wrong)
        return fabric.peer("node-17", authorities=[middle]).chain

    return make


def too_many_below(fabric: Fabric) -> Sequence[bytes]:
    return fabric.peer("node-17", authorities=[fabric.intermediate("below")]).chain


def under_a_node(fabric: Fabric) -> Sequence[bytes]:
    """A certificate that another node, which is no authority, issued."""
    node = fabric.peer("node-1")
    return fabric.peer("node-17", authorities=[CertificateAuthority(node.private_key, node.certificate)]).chain


def under_another_curve(fabric: Fabric) -> Sequence[bytes]:
    authority = certificate_authority(CLUSTER, 3, fabric.issued_at_s, curve=ec.SECP384R1())
    fabric.trusting(authority)
    return fabric.peer("node-17", authorities=[authority]).chain[:1]


def swapped_authority(fabric: Fabric) -> Sequence[bytes]:
    return Fabric(CLUSTER, seed=1).peer("node-17").chain


def not_together(fabric: Fabric) -> Sequence[bytes]:
    """The authority between ended before the node's certificate began."""
    middle = fabric.intermediate("middle", authority=bridging(fabric), expires_at_s=fabric.issued_at_s)
    return fabric.peer("node-17", authorities=[middle], starts_at_s=fabric.issued_at_s + 1).chain


def flipped(fabric: Fabric) -> Sequence[bytes]:
    (data,) = fabric.peer("node-17").chain
    return [data[:-1] + bytes([data[-1] ^ 1])]


def twice(fabric: Fabric) -> Sequence[bytes]:
    """Two extensions whose numbers are made the same."""
    first, second = bytes.fromhex("06032a0304"), bytes.fromhex("06032a0305")
    others = [
        x509.Extension(oid, False, x509.UnrecognizedExtension(oid, b"\5\0"))
        for oid in map(x509.ObjectIdentifier, ("1.2.3.4", "1.2.3.5"))
    ]
    (data,) = fabric.peer("node-17", others=others).chain
    assert first in data and second in data
    return [data.replace(second, first)]


def with_unknown_curve(data: bytes) -> bytes:
    curve = bytes.fromhex("2a8648ce3d030107")
    assert curve in data
    return data.replace(curve, curve[:-1] + b"\x7f")


def on_unknown_curve(fabric: Fabric) -> Sequence[bytes]:
    return [with_unknown_curve(fabric.peer("node-17").certificate)]


def under_a_long_name(fabric: Fabric) -> Sequence[bytes]:
    key = seeded_key(CLUSTER, 0, "long")
    names = x509.Name([x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, f"{number:02d}" * 30) for number in range(20)])
    start = datetime.fromtimestamp(fabric.issued_at_s - DAY_S, UTC)
    builder = x509.CertificateBuilder(names, names, key.public_key(), 1, start, start + timedelta(days=900))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    certificate = builder.add_extension(SIGNS_CERTIFICATES, critical=True).sign(key, hashes.SHA256()).public_bytes(Encoding.DER)
    authority = CertificateAuthority(key, certificate)
    fabric.trusting(authority)
    return fabric.peer("node-17", authorities=[authority]).chain[:1]


UNKNOWN_NAME = x509.Extension(
    x509.SubjectAlternativeName.oid, False, x509.UnrecognizedExtension(x509.SubjectAlternativeName.oid, bytes.fromhex("3002a300"))
)
CRITICAL = x509.Extension(
    x509.ObjectIdentifier("1.2.3.4"), True, x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\5\0")
)
NO_AUTHORITY = x509.BasicConstraints(ca=False, path_length=None)

REFUSED: dict[str, tuple[type[RefusedError], str, Wrong]] = {
    "nothing is shown": (Malformed, "without the check for an empty chain", lambda fabric: ()),
    "five are shown": (TooLarge, "without the limit of the chain", lambda fabric: fabric.peer("node-17").chain * 5),
    "it is too large": (TooLarge, "without the limit of the size", lambda fabric: [bytes(CERTIFICATE_BYTES_MAX + 1)]),
    "another one of the chain is too large": (
        TooLarge,
        "when only the first is measured",
        lambda fabric: [*fabric.peer("node-17").chain, bytes(CERTIFICATE_BYTES_MAX + 1)],
    ),
    "it is no certificate": (Malformed, "without catching what parsing raises", lambda fabric: [b"\x30\x03\x02\x01\x01"]),
    "another one of the chain is no certificate": (
        Malformed,
        "without catching what parsing raises",
        lambda fabric: [*fabric.peer("node-17").chain, b"junk"],
    ),
    "it says a thing twice": (Malformed, "without catching what two extensions of a kind raise", twice),
    "its name is of an unknown kind": (
        Malformed,
        "without catching what an unknown kind of name raises",
        chain_of(uris=(), others=[UNKNOWN_NAME]),
    ),
    "its key is of an unknown curve": (Malformed, "without catching what an unknown curve raises", on_unknown_curve),
    "its issuer's name is very long": (Malformed, "without the limit of the issuer's name", under_a_long_name),
    "its key is on another curve": (
        UnsupportedKey,
        "without the check of the curve",
        chain_of(key=ec.derive_private_key(7, ec.SECP384R1())),
    ),
    "its key is Ed25519": (
        UnsupportedKey,
        "without the check of the key's type",
        chain_of(key=ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32))),
    ),
    "it is signed with SHA-384": (UnsupportedKey, "without the check of the signature", chain_of(digest=hashes.SHA384())),
    "the authority above it is on another curve": (UnknownSigner, "without the check of authorities' keys", under_another_curve),
    "it has no name": (WrongName, "when no name passes", chain_of(uris=())),
    "it has two names": (WrongName, "when the first of several is taken", chain_of(uris=(URI, "rap://eu-west-1/node/node-18"))),
    "its name has another scheme": (WrongName, "when only the end of the name counts", chain_of(uris=("spiffe" + URI[3:],))),
    "its name says another kind": (WrongName, "when the kind is not compared", chain_of(uris=("rap://eu-west-1/user/node-17",))),
    "its name goes on behind the node": (WrongName, "with match for fullmatch", chain_of(uris=(f"{URI}/x",))),
    "its name has no node": (WrongName, "when an empty node passes", chain_of(uris=("rap://eu-west-1/node/",))),
    "it is of another cluster": (
        WrongCluster,
        "without comparing the cluster",
        chain_of(uris=("rap://other/node/node-17",)),
    ),
    "it is of a cluster that this one begins with": (
        WrongCluster,
        "with a comparison of beginnings",
        chain_of(uris=("rap://eu-west/node/node-17",)),
    ),
    "it is an authority's": (
        Malformed,
        "without the check of basic constraints",
        chain_of(constraints=x509.BasicConstraints(ca=True, path_length=None)),
    ),
    "an impostor of the same name issued it": (UnknownSigner, "without checking signatures", swapped_authority),
    "its signature is wrong": (UnknownSigner, "without checking signatures", flipped),
    "it has an unknown critical extension": (
        UnknownSigner,
        "when critical extensions are passed over",
        chain_of(others=[CRITICAL]),
    ),
    "the authority allows none below it": (UnknownSigner, "when path lengths are not kept", too_many_below),
    "a node issued it": (UnknownSigner, "without asking authorities for basic constraints", under_a_node),
    "what issued it is no authority": (
        UnknownSigner,
        "without the check that basic constraints say so",
        below(constraints=NO_AUTHORITY),
    ),
    "what issued it says only in passing that it is an authority": (
        UnknownSigner,
        "with basic constraints that are not critical",
        below(
            constraints=None,
            others=[x509.Extension(x509.BasicConstraints.oid, False, x509.BasicConstraints(ca=True, path_length=None))],
        ),
    ),
    "what issued it may not sign certificates": (
        UnknownSigner,
        "without the check of key usage",
        below(key_usage=SIGNS_DATA),
    ),
    "what issued it has no key usage": (UnknownSigner, "when key usage may be missing", below(key_usage=None)),
    "an authority had ended before it began": (UnknownSigner, "without a time for the path", not_together),
}


@pytest.mark.parametrize("wrong", REFUSED)
def test_each_rule_refuses_what_breaks_it(wrong: str) -> None:
    """Mutation: the one that stands beside each case, and lets it pass."""
    kind, _mutation, make = REFUSED[wrong]
    fabric = Fabric(CLUSTER)
    assert type(refusal(make(fabric), fabric)) is kind


def test_a_chain_of_the_longest_length_passes() -> None:
    fabric = Fabric(CLUSTER)
    chain = fabric.peer("node-17").chain
    assert CHAIN_LENGTH_MAX == 4
    assert verify_path([*chain, *[fabric.authority.certificate] * 3], fabric.trust()).leaf.node_id == "node-17"


def test_rsa_is_refused() -> None:
    """Mutation: without the check of the key's type."""
    fabric = Fabric(CLUSTER)
    key = rsa.generate_private_key(65537, 2048)
    assert type(refusal(fabric.peer("node-17", key=key).chain, fabric)) is UnsupportedKey


def revoke(fabric: Fabric, kind: RevocationKind, subject: bytes | str) -> None:
    fabric.revoke(kind, subject)


def key_digest(peer: PeerIdentity | CertificateAuthority) -> bytes:
    spki = peer.private_key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(spki).digest()


@pytest.mark.parametrize("whose", ["node", "middle", "top"])
@pytest.mark.parametrize("by", ["certificate", "kid"])
def test_what_is_revoked_anywhere_on_the_path_is_refused(whose: str, by: str) -> None:
    """Mutation: without the look-up by certificate, or by key, or for the node's own certificate alone.

    A revoked authority's certificate is not even tried, and so its cases end with an unknown signer.
    """
    fabric = Fabric(CLUSTER)
    top = bridging(fabric)
    middle = fabric.intermediate("middle", authority=top)
    peer = fabric.peer("node-17", authorities=[middle])
    assert verify_path(peer.chain, fabric.trust()).leaf.node_id == "node-17"
    owner: PeerIdentity | CertificateAuthority = peer if whose == "node" else {"middle": middle, "top": top}[whose]
    if by == "kid":
        revoke(fabric, RevocationKind.KID, key_digest(owner))
    else:
        revoke(fabric, RevocationKind.CERTIFICATE, hashlib.sha256(owner.certificate).digest())
    expected = UnknownSigner if (whose, by) == ("top", "certificate") else Revoked
    assert type(refusal(peer.chain, fabric)) is expected


def test_a_node_that_is_revoked_is_refused_and_one_whose_name_begins_alike_is_not() -> None:
    """Mutation: without the look-up by node."""
    fabric = Fabric(CLUSTER)
    revoke(fabric, RevocationKind.IDENTITY, "node:node-1")
    assert type(refusal(fabric.peer("node-1").chain, fabric)) is Revoked
    assert verify_path(fabric.peer("node-17").chain, fabric.trust()).leaf.node_id == "node-17"


def test_what_a_revoked_key_excepts_are_documents() -> None:
    """Mutation: with the exceptions of a revocation taken for certificates."""
    fabric = Fabric(CLUSTER)
    peer = fabric.peer("node-17")
    fingerprint = hashlib.sha256(peer.certificate).digest()
    fabric.revoke(RevocationKind.KID, key_digest(peer), except_content_ids=[fingerprint, key_digest(peer)])
    assert type(refusal(peer.chain, fabric)) is Revoked


def test_a_bundle_without_authorities_vouches_for_nobody() -> None:
    fabric = Fabric(CLUSTER)
    fabric.trusting()
    assert type(refusal(fabric.peer("node-17").chain, fabric)) is UnknownSigner


def test_whatever_bit_is_flipped_the_answer_is_a_value_or_a_refusal() -> None:
    """Mutation: without one of the errors that reading may raise.

    Outside the signed part there is nothing that a flip could change and still pass.
    """
    fabric = Fabric(CLUSTER)
    trust, (data,) = fabric.trust(), fabric.peer("node-17").chain
    passed = []
    with warnings.catch_warnings():
        # Numbers that are no certificate's are read with a warning first.
        warnings.simplefilter("ignore")
        for bit in range(len(data) * 8):
            changed = bytearray(data)
            changed[bit // 8] ^= 1 << bit % 8
            try:
                verify_path([bytes(changed)], trust)
            except RefusedError:
                continue
            passed.append(bit)
    assert passed == []


def test_whatever_is_cut_off_the_answer_is_a_refusal() -> None:
    fabric = Fabric(CLUSTER)
    trust, (data,) = fabric.trust(), fabric.peer("node-17").chain
    for length in range(len(data)):
        with pytest.raises(Malformed):
            verify_path([data[:length]], trust)
    with pytest.raises(Malformed):
        verify_path([data + b"\0"], trust)
