"""Applying increments: the result is exactly what the issuer promised, and passes every check that a full document passes."""

from collections.abc import Callable
from typing import Any

import pytest

from rap_projections.document_schema import read_snapshot, write_increment
from rap_projections.documents import Audience, DocumentType, Floor, RevocationKind, Scope, SnapshotPayload, Version
from rap_projections.increments import apply_increment, repeated_result, verify_kept, verify_result
from rap_projections.refusals import (
    BelowMinimum,
    Equivocation,
    Expired,
    HeadMismatch,
    HeadRequired,
    NotForThisNode,
    RefusedError,
    Revoked,
    Rollback,
    UnknownSigner,
    WrongBase,
)
from rap_projections.signed_document import open_document
from rap_projections.testing import Fabric
from rap_projections.testing.entries import make_peer
from rap_projections.verification import Recipient, verify_head, verify_increment
from rap_projections.verified import VerifiedIncrement, VerifiedResult
from tests.projections.documents_support import CLUSTER, NODE, NOW_S

ABC = tuple(make_peer(name) for name in ("node-a", "node-b", "node-c"))
ACD = (ABC[0], make_peer("node-c")._replace(endpoints=()), make_peer("node-d"))


def payload_of(document: bytes) -> SnapshotPayload:
    return read_snapshot(open_document(document, DocumentType.SNAPSHOT).envelope.payload, Scope.PEERS)


def opened(fabric: Fabric, document: bytes) -> VerifiedIncrement:
    return verify_increment(document, fabric.trust(), trusted_s=NOW_S, recipient=NODE)


def result(fabric: Fabric, base: bytes, increment: bytes, **options: Any) -> VerifiedResult:
    """What `verify_result` makes of an increment of `base`."""
    options = dict[str, Any](trusted_s=NOW_S, recipient=NODE) | options
    return verify_result(opened(fabric, increment), payload_of(base), fabric.content_id(base), fabric.trust(), **options)


def issued(**options: Any) -> tuple[Fabric, bytes, bytes]:
    fabric = Fabric(CLUSTER)
    base = fabric.snapshot(Scope.PEERS, ABC)
    return fabric, base, fabric.increment(base, ACD, **options)


def test_what_changed_replaces_its_entry_what_is_new_is_added_and_what_is_removed_is_gone() -> None:
    fabric, base, increment = issued()
    verified = result(fabric, base, increment)
    assert verified.snapshot.body == ACD
    assert verified.snapshot.version == Version(1, 2)
    assert (verified.base_content_id, verified.data, verified.unchanged) == (fabric.content_id(base), increment, False)


def test_the_header_is_that_of_the_result() -> None:
    fabric, base, increment = issued(refresh_after_s=NOW_S + 60, expires_at_s=NOW_S + 3600, minimum=Version(1, 2))
    payload = result(fabric, base, increment).snapshot
    assert (payload.refresh_after_s, payload.expires_at_s, payload.minimum) == (NOW_S + 60, NOW_S + 3600, Version(1, 2))


def test_an_increment_for_another_base_is_refused() -> None:
    """Mutation: without comparing the base, it would be applied to whatever is active."""
    fabric, _base, increment = issued()
    other = fabric.snapshot(Scope.PEERS, ABC[:2])
    with pytest.raises(WrongBase, match="not the one it starts from") as caught:
        result(fabric, other, increment)
    assert (caught.value.scope, caught.value.document_type, caught.value.cluster) == ("peers", "increment", CLUSTER)


def test_a_removed_entry_must_have_been_there() -> None:
    """Mutation: drop the check in `apply_increment`."""
    fabric, base, increment = issued()
    odd = opened(fabric, increment).increment._replace(removed=("node-x",))
    with pytest.raises(WrongBase, match="removes an entry"):
        apply_increment(payload_of(base), odd)


def test_a_result_that_is_not_the_promised_content_is_refused() -> None:
    """Mutation: without comparing content ids, two nodes would run by different documents of one version."""
    fabric, base, increment = issued()
    said = opened(fabric, increment).increment
    lying = fabric.sign(DocumentType.INCREMENT, "peers", write_increment(said._replace(removed=())))
    with pytest.raises(WrongBase, match="does not give the content"):
        result(fabric, base, lying)


def test_a_result_whose_content_is_revoked_is_refused() -> None:
    """Mutation: without asking for the result's content id, a revoked document comes in by pieces."""
    fabric, base, increment = issued()
    content_id = opened(fabric, increment).increment.result_content_id
    fabric.revoke(RevocationKind.CONTENT, content_id)
    with pytest.raises(Revoked, match="what it leads to is revoked"):
        result(fabric, base, increment)


@pytest.mark.parametrize(
    ("refusal", "options"),
    [
        (Rollback, {"floors": {Scope.PEERS: Floor(Version(1, 3), b"x" * 32)}}),
        (Equivocation, {"floors": {Scope.PEERS: Floor(Version(1, 2), b"x" * 32)}}),
        (Expired, {"trusted_s": NOW_S + 365 * 86_400}),
    ],
)
def test_the_result_passes_the_checks_of_a_full_document(refusal: type[RefusedError], options: dict[str, Any]) -> None:
    """Mutation: without the floor, or the time, of the result."""
    fabric, base, increment = issued()
    verified = opened(fabric, increment)
    given: dict[str, Any] = {"trusted_s": NOW_S, "recipient": NODE} | options
    with pytest.raises(refusal):
        verify_result(verified, payload_of(base), fabric.content_id(base), fabric.trust(), **given)


def test_a_result_for_other_nodes_is_refused() -> None:
    """Mutation: without the audience of the result."""
    fabric, base, increment = issued(audience=Audience(False, nodes=("node-other",)))
    other = verify_increment(increment, fabric.trust(), trusted_s=NOW_S, recipient=NODE._replace(node_id="node-other"))
    with pytest.raises(NotForThisNode):
        verify_result(other, payload_of(base), fabric.content_id(base), fabric.trust(), trusted_s=NOW_S, recipient=NODE)


def test_a_result_must_be_the_one_that_the_head_lists() -> None:
    """Mutation: without the head, increments mix and match."""
    fabric = Fabric(CLUSTER, requires_head=True)
    base = fabric.snapshot(Scope.PEERS, ABC)
    old_head = verify_head(fabric.head(), fabric.trust(), trusted_s=NOW_S)
    increment = fabric.increment(base, ACD)
    new_head = verify_head(fabric.head(), fabric.trust(), trusted_s=NOW_S)
    with pytest.raises(HeadRequired):
        result(fabric, base, increment)
    with pytest.raises(HeadMismatch):
        result(fabric, base, increment, head=old_head)
    assert result(fabric, base, increment, head=new_head).snapshot.body == ACD


def test_the_same_result_once_more_is_unchanged() -> None:
    fabric, base, increment = issued()
    first = result(fabric, base, increment)
    floor = Floor(first.snapshot.version, first.content_id)
    assert result(fabric, base, increment, floors={Scope.PEERS: floor}).unchanged
    assert repeated_result(opened(fabric, increment), first.snapshot).unchanged


def chain(count: int) -> tuple[Fabric, bytes, list[bytes], SnapshotPayload]:
    """A full document, increments that each add one peer, and what they lead to."""
    fabric = Fabric(CLUSTER)
    base = full = fabric.snapshot(Scope.PEERS, ABC[:1])
    increments = []
    for number in range(count):
        body = (*ABC[:1], *[make_peer(f"node-z{each}") for each in range(number + 1)])
        increments.append(fabric.increment(full, body))
        full = fabric.snapshot(Scope.PEERS, body, version=Version(1, number + 2))
    return fabric, base, increments, payload_of(full)


def test_a_kept_document_is_judged_with_all_its_increments() -> None:
    fabric, base, increments, last = chain(3)
    kept = verify_kept(base, increments, fabric.trust(), recipient=NODE, scope=Scope.PEERS)
    assert (kept.snapshot, kept.unchanged) == (last, True)
    assert verify_kept(base, [], fabric.trust(), recipient=NODE, scope=Scope.PEERS).snapshot == payload_of(base)


def missing_step(fabric: Fabric, base: bytes, increments: list[bytes]) -> tuple[bytes, list[bytes]]:
    return base, [increments[0], increments[2]]


def foreign_step(fabric: Fabric, base: bytes, increments: list[bytes]) -> tuple[bytes, list[bytes]]:
    stranger = fabric.sign(
        DocumentType.INCREMENT, "peers", open_document(increments[1], DocumentType.INCREMENT).envelope.payload,
        sign_with="stranger",
    )  # fmt: skip
    return base, [increments[0], stranger, increments[2]]


def revoked_base(fabric: Fabric, base: bytes, increments: list[bytes]) -> tuple[bytes, list[bytes]]:
    fabric.revoke(RevocationKind.CONTENT, fabric.content_id(base))
    return base, increments


@pytest.mark.parametrize(("harm", "refusal"), [(missing_step, WrongBase), (foreign_step, UnknownSigner), (revoked_base, Revoked)])
def test_a_kept_document_counts_only_if_every_part_of_it_does(
    harm: Callable[[Fabric, bytes, list[bytes]], tuple[bytes, list[bytes]]], refusal: type[RefusedError]
) -> None:
    """Mutation: without judging the base, or a step in between."""
    fabric, base, increments, _last = chain(3)
    base, increments = harm(fabric, base, increments)
    with pytest.raises(refusal):
        verify_kept(base, increments, fabric.trust(), recipient=NODE, scope=Scope.PEERS)


def test_the_steps_on_the_way_may_be_below_the_minimum_but_not_the_end() -> None:
    """Mutation: without the generation and minimum of the result."""
    fabric, base, increments, last = chain(3)

    def raise_minimum(version: int) -> None:
        rules = tuple(
            rule._replace(minimum_version=version) if rule.scope is Scope.PEERS else rule for rule in fabric.draft.scopes
        )
        fabric.next_bundle(scopes=rules)

    raise_minimum(4)
    assert verify_kept(base, increments, fabric.trust(), recipient=NODE, scope=Scope.PEERS).snapshot == last
    raise_minimum(5)
    with pytest.raises(BelowMinimum):
        verify_kept(base, increments, fabric.trust(), recipient=NODE, scope=Scope.PEERS)


def test_a_kept_chain_must_end_at_something_for_this_node() -> None:
    """Mutation: without the audience of the result, judged again because the roles may have changed."""
    fabric, base, increment = issued(audience=Audience(False, role="edge"))
    assert verify_kept(base, [increment], fabric.trust(), recipient=NODE, scope=Scope.PEERS).snapshot.body == ACD
    with pytest.raises(NotForThisNode):
        verify_kept(base, [increment], fabric.trust(), recipient=Recipient("node-1"), scope=Scope.PEERS)
