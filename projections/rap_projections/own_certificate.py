"""Whether a certificate is this node's own, and may be kept as its identity.

Rules this file keeps:

- It passes what peers will ask of it, so that nothing is kept that they refuse: an authority of the bundle in force signed it
  directly, nothing about it is revoked, and it is for at least one side of a connection.
- It names this node, and this node's membership is not revoked.
- Whether its key is the requested one, and whether it is still valid, is judged where its event is decided.

Example::

    facts = read_own_certificate(data, trust, node_id="node-17", membership_id="m-1")
"""

from rap_projections.certificates import KIND, verify_path
from rap_projections.identity import CertificateFacts
from rap_projections.peer_certificates import BOTH_SIDES
from rap_projections.refusals import NotForThisNode, Revoked, WrongPurpose
from rap_projections.trust_in_force import TrustInForce


def read_own_certificate(data: bytes, trust: TrustInForce, *, node_id: str, membership_id: str) -> CertificateFacts:
    """What the certificate `data` (DER) says, if it was issued to this node. Raises a `RefusedError` that says what is wrong."""
    leaf = verify_path([data], trust).leaf
    if trust.is_identity_revoked(node_id=node_id, membership_id=membership_id):
        raise Revoked("this node is revoked", document_type=KIND)
    if leaf.purposes.isdisjoint(purpose.oid for purpose in BOTH_SIDES):
        raise WrongPurpose("it is for no side of a connection", document_type=KIND)
    if leaf.node_id != node_id:
        raise NotForThisNode("its name is of another node", document_type=KIND)
    return leaf.facts
