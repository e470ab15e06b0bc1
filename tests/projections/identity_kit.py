"""Nodes with an identity, in whatever state a test wants it.

Example::

    it = working()
    it.cluster.identity.signer().sign(b"challenge")
"""

from rap_journal.testing import MemoryFileSystem
from rap_projections import Operation
from rap_projections.documents import Revocation, RevocationKind
from tests.projections.store_kit import CLUSTER, FOLDER, Ready, files, names, ready

NODE = "node-17"
MEMBERSHIP = "m-1"
URI = f"rap://{CLUSTER}/node/{NODE}"


def requested(it: Ready | None = None) -> Ready:
    """A node that has asked for its certificate."""
    it = it or ready()
    it.cluster.identity.request(node_id=NODE, membership_id=MEMBERSHIP)
    return it


def enrolled(it: Ready | None = None) -> Ready:
    """A node that has its certificate, which is valid."""
    it = requested(it)
    it.cluster.identity.enroll(certificate=it.fabric.certificate(asked(it)))
    return it


def renewing() -> Ready:
    """A node that has asked for a second certificate."""
    it = enrolled()
    it.cluster.identity.renew()
    return it


def waiting() -> Ready:
    """A node whose renewed certificate waits for confirmation."""
    it = renewing()
    it.cluster.identity.enroll(certificate=renewed_certificate(it))
    return it


def working(it: Ready | None = None) -> Ready:
    """A node with an identity that may begin sessions."""
    it = enrolled(it)
    permit(it)
    return it


def permit(it: Ready) -> None:
    """Activate a policy that allows new sessions, of a later instant than the bundle's."""
    it.fabric.issued_at_s += 60
    it.cluster.activate(it.fabric.policy(high_risk_operations=("new_session", "resolve_secret")))
    assert it.cluster.allows(Operation.NEW_SESSION).ok


def asked(it: Ready) -> bytes:
    """The signing request that was handed out first."""
    return it.cluster.identity.request(node_id=NODE, membership_id=MEMBERSHIP)


def renewed_certificate(it: Ready) -> bytes:
    """What the cluster answers to the request of a renewal: a certificate that ends later."""
    return it.fabric.certificate(it.cluster.identity.renew(), expires_at_s=it.fabric.issued_at_s + 180 * 86_400)


def key_files(filesystem: MemoryFileSystem) -> list[str]:
    """Paths of the documents in the identity folder whose header says that they are keys."""
    found = names(filesystem, f"{FOLDER}/identity", part="document-")
    return [path for path in found if files(filesystem, path)[path][10] == 3]


def named_keys(it: Ready) -> list[str]:
    """Paths of the keys that the identity names, sorted."""
    view = it.cluster.view().identity
    keys = [key.reference.removeprefix("sealed:") for key in (view.key, view.next_key) if key is not None]
    return sorted(f"{FOLDER}/identity/document-{file_id}" for file_id in keys)


def take(it: Ready, *entries: tuple[RevocationKind, bytes | str]) -> None:
    """Let a bundle with these revocations be in force, as an update of the bundle does, before anything is written down about it."""
    fabric = it.fabric
    revocations = tuple(sorted((Revocation(kind, subject, (), None) for kind, subject in entries), key=lambda entry: entry[:2]))
    fabric.next_bundle(revocations=revocations)
    it.cluster._context.take_trust(fabric.verified_bundle())
