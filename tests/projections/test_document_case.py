"""What a document claims, and who signed it, is judged in steps of which each refuses by its own rule."""

from collections.abc import Callable

import pytest

from rap_projections.document_case import DocumentCase
from rap_projections.documents import DocumentType, RevocationKind, Scope
from rap_projections.refusals import AUTHENTICITY, RefusedError
from rap_projections.testing import Fabric
from tests.projections.documents_support import CLUSTER


def told(fabric: Fabric, data: bytes, scope: Scope | None = None) -> str:
    """The rule and the step of the first refusal, or "" where the document is authentic."""
    case = DocumentCase(data, fabric.trust(), DocumentType.SNAPSHOT, scope)
    for step in AUTHENTICITY:
        try:
            getattr(case, f"check_{step}")()
        except RefusedError as refusal:
            return f"{refusal.rule} by {step}"
    assert (case.scope, sorted(case.keys)) == (Scope.PEERS, [fabric.key("peers").kid])
    return ""


def revoked(fabric: Fabric, data: bytes) -> bytes:
    fabric.revoke(RevocationKind.CONTENT, fabric.content_id(data))
    return data


BROKEN: dict[str, Callable[[Fabric, bytes], bytes]] = {
    "": lambda fabric, data: data,
    "size": lambda fabric, data: data + bytes(64 * 1024 * 1024),
    "structure": lambda fabric, data: data[:-1],
    "claims": lambda fabric, data: Fabric("other").peers(["node-1"]),
    "keys": revoked,
    "signature": lambda fabric, data: data[:-1] + bytes([data[-1] ^ 1]),
}


@pytest.mark.parametrize("rule", BROKEN)
def test_each_step_refuses_by_its_rule(rule: str) -> None:
    """Mutation: leave one of the steps out."""
    fabric = Fabric(CLUSTER)
    data = fabric.peers(["node-1"])
    assert told(fabric, BROKEN[rule](fabric, data)) == (rule and f"{rule} by {rule}")


def test_a_document_of_another_scope_than_the_expected_one_is_refused_by_its_claims() -> None:
    """Mutation: take whichever scope it claims."""
    fabric = Fabric(CLUSTER)
    data = fabric.peers(["node-1"])
    assert told(fabric, data, Scope.ROUTES) == "claims by claims"
    assert told(fabric, data, Scope.PEERS) == ""
