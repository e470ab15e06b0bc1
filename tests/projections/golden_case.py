"""A golden document, how it is judged, and who issues all of them.

Example::

    refused_case("bad-usage", fabric.peers([], sign_with="routes"), "keys", "wrong_usage")
"""

from typing import Any, NamedTuple

from rap_projections.documents import DocumentType
from rap_projections.signed_document import Claims, open_document
from rap_projections.testing import Fabric
from tests.projections.documents_support import CLUSTER

PEERS = Claims("snapshot", CLUSTER, "peers")


class Golden(NamedTuple):
    """A golden document and how it is judged.

    Attributes:
        name: name of the file, without its ending.
        call: bootstrap, next-bundle, snapshot, increment, head, artifact or restore-ticket.
        data: the document.
        trust: names of the golden bundles that are in force, first to last; none for a bootstrap.
        verdict: ("verified", content id in hex) or (rule, reason).
        more: what differs from the defaults: floors, scope, head, expect; of an increment the golden snapshot it is applied to (base).
    """

    name: str
    call: str
    data: bytes
    trust: tuple[str, ...]
    verdict: tuple[str, str]
    more: dict[str, Any]


def new_fabric() -> Fabric:
    """The issuer of all golden documents."""
    return Fabric(CLUSTER, roles={"edge": ["node-1", "node-2"]})


def verified_case(
    name: str, call: str, data: bytes, content_type: DocumentType, trust: tuple[str, ...] = ("bundle-1",), **more: Any
) -> Golden:
    """A document that must be verified."""
    content_id = open_document(data, content_type).content_id().hex()
    return Golden(name, call, data, trust, ("verified", content_id), more)


def refused_case(
    name: str, data: bytes, rule: str, reason: str, *, trust: tuple[str, ...] = ("bundle-1",), **more: Any
) -> Golden:
    """A document that must be refused."""
    return Golden(name, more.pop("call", "snapshot"), data, trust, (rule, reason), more)


def floor_of(fabric: Fabric, document: bytes, scope: str, generation: int, version: int) -> dict[str, Any]:
    """The floor at which this document was accepted."""
    return {scope: {"generation": generation, "version": version, "content_id": fabric.content_id(document).hex()}}
