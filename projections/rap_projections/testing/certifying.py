"""The part of a cluster's issuer that certifies: nodes, peers, and authorities below its own.

Rules this file keeps:

- What is issued by default passes every rule; wrong certificates are asked for by keyword.
- Whether a node may enroll is not decided here.

Example::

    issuer = CertificateIssuer(ClusterId("eu-west-1"), seed=0, issued_at_s=1_800_000_000)
    issuer.peer("node-17", purposes=[]).chain
"""

from collections.abc import Sequence
from typing import Any

from cryptography import x509

from rap_journal.values import ClusterId
from rap_projections.certificates import node_uri
from rap_projections.testing.authorities import (
    SIGNS_CERTIFICATES,
    SIGNS_DATA,
    CertificateAuthority,
    PeerIdentity,
    asked_for,
    certificate_authority,
    issue,
    seeded_key,
)

DAY_S = 86_400


class CertificateIssuer:
    """Issues certificates for one cluster.

    Attributes:
        cluster_id: the cluster.
        issued_at_s: the issuer's time, whole seconds since 1970.
        authority: the cluster's authority.
    """

    def __init__(self, cluster_id: ClusterId, seed: int, issued_at_s: int) -> None:
        self.cluster_id = cluster_id
        self.issued_at_s = issued_at_s
        self._seed = seed
        self.authority: CertificateAuthority = certificate_authority(cluster_id, seed, issued_at_s)

    def certificate(
        self,
        request: bytes,
        *,
        expires_at_s: int | None = None,
        starts_at_s: int | None = None,
        uri: str | None = None,
        authority: CertificateAuthority | None = None,
        **wrong: Any,
    ) -> bytes:
        """The certificate of a node, for its signing request, valid from a day ago for 90 days.

        `uri` is what it names instead of what was asked for, `authority` who issues it instead; `wrong` is what `issue` takes.
        """
        public_key, subject, uris = asked_for(request)
        right: dict[str, Any] = {"uris": uris if uri is None else (uri,), "key_usage": SIGNS_DATA}
        return issue(authority or self.authority, public_key, subject, self._period(starts_at_s, expires_at_s), **right | wrong)

    def peer(
        self,
        node_id: str,
        *,
        expires_at_s: int | None = None,
        starts_at_s: int | None = None,
        authorities: Sequence[CertificateAuthority] = (),
        key: Any = None,
        **wrong: Any,
    ) -> PeerIdentity:
        """Another node of the cluster: its key, and the certificates it shows, valid from a day ago for 90 days.

        `authorities`: those between it and the cluster's, nearest first, of which it shows the certificates. `key`: its private key instead
        of one that seed and name make. `wrong` is what `issue` takes, such as `uris` or `purposes`.
        """
        private_key = key if key is not None else seeded_key(self.cluster_id, self._seed, f"peer {node_id}")
        issuer = authorities[0] if authorities else self.authority
        right: dict[str, Any] = {"uris": (node_uri(self.cluster_id, node_id),), "key_usage": SIGNS_DATA}
        leaf = issue(issuer, private_key.public_key(), node_id, self._period(starts_at_s, expires_at_s), **right | wrong)
        return PeerIdentity(private_key, (leaf, *(authority.certificate for authority in authorities)))

    def intermediate(
        self,
        name: str,
        *,
        authority: CertificateAuthority | None = None,
        expires_at_s: int | None = None,
        starts_at_s: int | None = None,
        **wrong: Any,
    ) -> CertificateAuthority:
        """An authority below the cluster's, or below `authority`. The Fabric's own certificate allows none below itself."""
        private_key = seeded_key(self.cluster_id, self._seed, f"authority {name}")
        period = self._period(starts_at_s, expires_at_s)
        above = x509.BasicConstraints(ca=True, path_length=None)
        right: dict[str, Any] = {"purposes": (), "constraints": above, "key_usage": SIGNS_CERTIFICATES}
        return CertificateAuthority(
            private_key, issue(authority or self.authority, private_key.public_key(), name, period, **right | wrong)
        )

    def _period(self, starts_at_s: int | None, expires_at_s: int | None) -> tuple[int, int]:
        starts = self.issued_at_s - DAY_S if starts_at_s is None else starts_at_s
        return starts, self.issued_at_s + 90 * DAY_S if expires_at_s is None else expires_at_s
