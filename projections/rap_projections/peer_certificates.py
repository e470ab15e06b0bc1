"""Who a peer is, by the certificates that it showed: the rules of trust, 14, as pure code.

Rules this file keeps:

- Bytes, trust in force and trusted time in; a `VerifiedPeer` or a refusal out. Which rule refuses first is the order of `RULES`.
- The certificate is for the side of the connection that the peer takes, and names the node that was asked for.
- Trusted time decides. Past its end a certificate is refused. Where its start lies ahead of what signatures prove, the answer is
  "uncertain": good for low-risk work, and only until the safe-operation deadline (trust, 16).

Example::

    peer = verify_peer_chain([der], trust, trusted_s=now.trusted_s, seconds_left=600, node_id="node-17", purposes=BOTH_SIDES)
    peer.node_id, peer.validity
"""

import ssl
from collections.abc import Collection, Sequence
from dataclasses import KW_ONLY, InitVar, dataclass, field
from typing import NoReturn

from rap_journal.errors import MisuseError
from rap_projections.certificates import KIND, VerifiedPath, verify_path
from rap_projections.node_time import Validity
from rap_projections.refusals import Expired, TimeUncertain, WrongPeer, WrongPurpose
from rap_projections.trust_in_force import TrustInForce

BOTH_SIDES = (ssl.Purpose.SERVER_AUTH, ssl.Purpose.CLIENT_AUTH)
"""A peer that may answer connections and open them."""

_MINT = object()


@dataclass(frozen=True, slots=True)
class VerifiedPeer:
    """A node of this cluster that showed its certificate. Only `verify_peer_chain` makes one.

    That the peer holds the certificate's key is what the connection proved, and not these rules.

    Attributes:
        cluster_id: the cluster, which is that of the trust in force.
        node_id: the node.
        fingerprint: SHA-256 of its certificate (DER).
        key_sha256: SHA-256 of its public key (SubjectPublicKeyInfo, DER).
        serial: serial number of the certificate, big-endian.
        not_after_s: end of validity, seconds since 1970.
        anchor_sha256: SHA-256 of the certificate of the authority that vouches for it.
        validity: VALID; or UNCERTAIN, which is not enough for high-risk work.
        trust_version: version of the bundle it was verified under.
    """

    _: KW_ONLY
    mint: InitVar[object]
    cluster_id: str
    node_id: str
    fingerprint: bytes = field(repr=False)
    key_sha256: bytes = field(repr=False)
    serial: bytes = field(repr=False)
    not_after_s: int
    anchor_sha256: bytes = field(repr=False)
    validity: Validity
    trust_version: int

    def __post_init__(self, mint: object) -> None:
        """Raise `MisuseError` unless the verification makes the value."""
        if mint is not _MINT:
            raise MisuseError(
                "a VerifiedPeer is made by verification alone; nothing was done. Verify its certificates.", reason="not_verified"
            )

    def __reduce__(self) -> NoReturn:
        """Refuse to be copied or pickled: what comes from elsewhere must be verified again."""
        raise MisuseError(
            "a VerifiedPeer cannot be copied or pickled; nothing was done. Verify its certificates again.", reason="not_verified"
        )


def verify_peer_chain(
    chain: Sequence[bytes],
    trust: TrustInForce,
    *,
    trusted_s: int,
    seconds_left: int,
    node_id: str | None = None,
    purposes: Collection[ssl.Purpose] = BOTH_SIDES,
) -> VerifiedPeer:
    """The peer that showed `chain` (DER, its own certificate first).

    Args:
        chain: at most 4 certificates of at most 16 KiB.
        trust: authorities and revocations.
        trusted_s: low end of trusted time, seconds since 1970.
        seconds_left: seconds until the safe-operation deadline; 0 or less where it is past.
        node_id: the node it must be; None for any node of the cluster.
        purposes: the sides of a connection that the certificate must be for, all of them.

    Raises a `RefusedError`: `TooLarge`, `Malformed`, `UnsupportedKey`, `WrongName`, `WrongCluster`, `UnknownSigner`, `Revoked`,
    `WrongPurpose`, `Expired`, `TimeUncertain` or `WrongPeer`.
    """
    path = verify_path(chain, trust)
    leaf = path.leaf
    if not {purpose.oid for purpose in purposes} <= leaf.purposes:
        raise WrongPurpose("it is not for this side of a connection", document_type=KIND)
    validity = _judge_time(path, trusted_s, seconds_left)
    if node_id is not None and leaf.node_id != node_id:
        raise WrongPeer("it is another node's", document_type=KIND)
    facts = leaf.facts
    return VerifiedPeer(
        mint=_MINT,
        cluster_id=leaf.cluster_id,
        node_id=leaf.node_id,
        fingerprint=facts.fingerprint,
        key_sha256=facts.key_sha256,
        serial=facts.serial,
        not_after_s=facts.not_after_s,
        anchor_sha256=path.anchor_sha256,
        validity=validity,
        trust_version=trust.version,
    )


def _judge_time(path: VerifiedPath, trusted_s: int, seconds_left: int) -> Validity:
    verdicts = {Validity.of(starts_s, ends_s, trusted_s) for starts_s, ends_s in path.periods}
    if Validity.EXPIRED in verdicts:
        raise Expired("it, or one above it, is past its end", document_type=KIND)
    if Validity.UNCERTAIN not in verdicts:
        return Validity.VALID
    if seconds_left <= 0:
        raise TimeUncertain("nothing signed says that it is valid already, and the deadline is past", document_type=KIND)
    return Validity.UNCERTAIN
