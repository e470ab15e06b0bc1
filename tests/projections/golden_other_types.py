"""The bad golden documents of the types other than snapshot: increments, heads, artifacts, restore tickets, and more bundles.

Example::

    names = [case.name for case in cases_of_other_types()]
"""

from collections.abc import Callable
from typing import Any

from rap_journal.deterministic_cbor import decode, encode
from rap_projections.bundle_schema import write_bundle
from rap_projections.document_schema import read_increment, write_increment
from rap_projections.documents import Audience, DocumentType, Increment, RevocationKind, Scope, Version
from rap_projections.signed_document import FORMS, open_document
from rap_projections.testing import Fabric
from rap_projections.testing.entries import make_peer, make_reference
from rap_projections.testing.issuing import tampered
from tests.projections.documents_support import NOW_S, payload_of
from tests.projections.golden_case import Golden, floor_of, new_fabric, refused_case, verified_case

ELSEWHERE = "us-east-1"
NOBODY = Audience(False, nodes=("node-7",))
RESULT = (make_peer("node-2"), make_peer("node-3"))


def cases_of_other_types() -> list[Golden]:
    """In the order of the list."""
    return [*_increments(), *_results(), *_heads(), *_artifacts(), *_tickets(), *_bundles(), *_later_bundles()]


def _refuser(call: str, kind: str) -> Callable[..., Golden]:
    """`refused_case` for one call, with the type of document in the name."""

    def case(name: str, data: bytes, rule: str, reason: str, **more: Any) -> Golden:
        return refused_case(f"bad-{kind}-{name}", data, rule, reason, call=call, **more)

    return case


def _issued(**options: Any) -> tuple[Fabric, bytes, bytes]:
    """A fabric, the golden snapshot "peers", and an increment from it."""
    fabric = new_fabric()
    base = fabric.peers(["node-1", "node-2"])
    return fabric, base, fabric.increment(base, RESULT, **options)


def _changed(fabric: Fabric, increment: bytes, **changes: Any) -> bytes:
    """An increment that says something else, signed truly."""
    says = read_increment(payload_of(increment, DocumentType.INCREMENT), Scope.PEERS)
    return fabric.sign("increment", "peers", write_increment(says._replace(**changes)))


def _increments() -> list[Golden]:
    bad = _refuser("increment", "increment")
    fabric, _base, good = _issued()
    payload = payload_of(good, DocumentType.INCREMENT)
    says: Increment = read_increment(payload, Scope.PEERS)
    short = {label: value for label, value in decode(payload).items() if label != 9}
    first: Any = says.changed[0]
    both = _changed(fabric, good, removed=(first[0],))

    def signed(**options: Any) -> bytes:
        return fabric.sign("increment", "peers", payload, **options)

    return [
        bad("is-a-snapshot", fabric.peers([]), "claims", "wrong_document_type"),
        bad("other-cluster", signed(cluster_id=ELSEWHERE), "claims", "wrong_cluster"),
        bad("of-policy", signed(claimed_scope="policy"), "claims", "wrong_scope"),
        bad("stranger", signed(sign_with="stranger"), "keys", "unknown_signer"),
        bad("usage", signed(sign_with="spare"), "keys", "wrong_usage"),
        bad("tampered", tampered(good), "signature", "bad_signature"),
        bad("generation", _issued(version=Version(2, 1))[2], "floor", "wrong_generation"),
        bad("minimum", good, "floor", "below_minimum", trust=("bundle-1", "bundle-2-sets-minimums")),
        bad("expired", _issued(expires_at_s=NOW_S)[2], "time", "expired"),
        bad("audience", _issued(audience=NOBODY)[2], "audience", "not_for_this_node"),
        bad("changed-and-removed", both, "schema", "bad_schema"),
        bad("to-its-own-base", _changed(fabric, good, result_content_id=says.base_content_id), "schema", "bad_schema"),
        bad("key-missing", fabric.sign("increment", "peers", encode(short)), "schema", "bad_schema"),
    ]


def _results() -> list[Golden]:
    """What is wrong only once the increment is applied to the golden snapshot `base`."""
    bad = _refuser("increment", "increment")
    fabric, _base, good = _issued()
    other = fabric.peers(["node-9"], version=2)
    newer = fabric.peers(["node-9"], version=3)
    demanding = ("bundle-1", "bundle-2-requires-a-head")
    promised = _changed(fabric, good, result_content_id=bytes(32))
    gone = _changed(fabric, good, removed=("node-8",))
    revoking, _, voided = _issued()
    result = read_increment(payload_of(voided, DocumentType.INCREMENT), Scope.PEERS).result_content_id
    revoking.revoke(RevocationKind.CONTENT, result)
    revoked = ("bundle-1", "bundle-2-revokes-a-result")
    return [
        verified_case("peers-increment-applied", "increment", good, DocumentType.INCREMENT, base="peers"),
        bad("other-base", good, "floor", "wrong_base", base="peers-eddsa"),
        bad("other-result", promised, "floor", "wrong_base", base="peers"),
        bad("removes-what-is-not-there", gone, "floor", "wrong_base", base="peers"),
        bad("older-version", good, "floor", "rollback", base="peers", floors=floor_of(fabric, newer, "peers", 1, 3)),
        bad("equivocation", good, "floor", "equivocation", base="peers", floors=floor_of(fabric, other, "peers", 1, 2)),
        bad("head-missing", good, "head", "head_required", base="peers", trust=demanding),
        bad("head-lists-another", good, "head", "head_mismatch", base="peers", trust=demanding, head="head-for-bundle-2"),
        verified_case("bundle-2-revokes-a-result", "next-bundle", revoking.bundles[1], DocumentType.BUNDLE),
        bad("to-revoked-content", voided, "keys", "revoked", base="peers", trust=revoked),
    ]


def _heads() -> list[Golden]:
    bad = _refuser("head", "head")
    fabric = new_fabric()
    fabric.peers(["node-1"])
    good = fabric.head()
    says: dict[int, Any] = decode(payload_of(good, DocumentType.HEAD))

    def signed(changes: dict[int, Any], **options: Any) -> bytes:
        return fabric.sign("head", "cluster", encode(says | changes), **options)

    return [
        bad("too-large", good + bytes(FORMS[DocumentType.HEAD].bytes_max + 1 - len(good)), "size", "too_large"),
        bad("as-sign", b"\xd8\x62" + good[1:], "structure", "malformed"),
        bad("other-cluster", signed({}, cluster_id=ELSEWHERE), "claims", "wrong_cluster"),
        bad("of-a-scope", signed({}, claimed_scope="peers"), "claims", "wrong_scope"),
        bad("usage", signed({}, sign_with="peers"), "keys", "wrong_usage"),
        bad("tampered", tampered(good), "signature", "bad_signature"),
        bad("scope-twice", signed({4: says[4] * 2}), "schema", "bad_schema"),
        bad("unknown-scope", signed({4: [says[4][0] | {0: "secrets"}]}), "schema", "bad_schema"),
        bad("ends-before-its-issue", signed({2: says[1] - 1}), "schema", "bad_schema"),
    ]


def _artifacts() -> list[Golden]:
    bad = _refuser("artifact", "artifact")
    fabric = new_fabric()
    reference = make_reference("agent", 7)
    good = fabric.artifact(reference)
    payload = payload_of(good, DocumentType.ARTIFACT)
    password = reference._replace(location="https://user:secret@artifacts.example/agent")
    return [
        bad("other-cluster", fabric.sign("artifact", "updates", payload, cluster_id=ELSEWHERE), "claims", "wrong_cluster"),
        bad("other-scope", fabric.sign("artifact", "updates", payload, claimed_scope="peers"), "claims", "wrong_scope"),
        bad("usage", fabric.sign("artifact", "updates", payload, sign_with="updates"), "keys", "wrong_usage"),
        bad("tampered", tampered(good), "signature", "bad_signature"),
        bad("expired", fabric.artifact(reference, expires_at_s=NOW_S), "time", "expired"),
        bad("audience", fabric.artifact(reference, audience=NOBODY), "audience", "not_for_this_node"),
        bad("below-its-own-minimum", fabric.artifact(reference._replace(minimum_sequence=8)), "schema", "bad_schema"),
        bad("password-in-location", fabric.artifact(password), "schema", "bad_schema"),
        bad("empty", fabric.artifact(reference._replace(size=0)), "schema", "bad_schema"),
    ]


def _tickets() -> list[Golden]:
    bad = _refuser("restore-ticket", "ticket")
    fabric = new_fabric()
    good = fabric.restore_ticket()
    payload = payload_of(good, DocumentType.RESTORE_TICKET)
    says: dict[int, Any] = decode(payload)

    def signed(changes: dict[int, Any], **options: Any) -> bytes:
        return fabric.sign("restore-ticket", "cluster", encode(says | changes), **options)

    return [
        bad("as-sign1", b"\xd2" + good[2:], "structure", "malformed"),
        bad("other-cluster", signed({}, cluster_id=ELSEWHERE), "claims", "wrong_cluster"),
        bad("strangers", signed({}, sign_with=["x", "y"]), "keys", "unknown_signer"),
        bad("everyday-keys", signed({}, sign_with=["head", "peers"]), "keys", "unknown_signer"),
        bad("one-root-twice", signed({}, sign_with=["root-1", "root-1"]), "threshold", "threshold_not_met"),
        bad("tampered", tampered(good), "signature", "bad_signature"),
        bad("expired", fabric.restore_ticket(issued_at_s=NOW_S - 60, expires_at_s=NOW_S), "time", "expired"),
        bad("for-two-hours", signed({11: says[10] + 7200}), "schema", "bad_schema"),
        bad("unknown-verdict", signed({12: 2}), "schema", "bad_schema"),
        bad("short-nonce", signed({3: bytes(31)}), "schema", "bad_schema"),
    ]


def _bundles() -> list[Golden]:
    """First bundles that are wrong by themselves, each signed by all its roots."""
    bad = _refuser("bootstrap", "bundle")
    fabric = new_fabric()
    draft, good = fabric.draft, fabric.bootstrap
    names = ("root-1", "root-2", "root-3")

    def signed(**changes: Any) -> bytes:
        return fabric.sign("bundle", "cluster", write_bundle(draft._replace(**changes)), sign_with=names)

    root_as_key = tuple(
        sorted([draft.keys[0]._replace(kid=draft.roots[0].kid, public_key=draft.roots[0].public_key), *draft.keys[1:]])
    )
    other_kid = tuple(sorted([draft.roots[0]._replace(kid=bytes(32)), *draft.roots[1:]]))
    schema = {
        "unsorted-roots": signed(roots=draft.roots[::-1]),
        "kid-of-another-key": signed(roots=other_kid),
        "root-as-everyday-key": signed(keys=root_as_key),
        "usage-without-threshold": signed(thresholds=draft.thresholds[1:]),
        "threshold-above-roots": signed(root_threshold=4),
        "scope-missing": signed(scopes=draft.scopes[1:]),
        "ends-before-its-issue": signed(expires_at_s=draft.issued_at_s - 1),
        "anchor-under-another-digest": signed(trust_anchors=(draft.trust_anchors[0]._replace(sha256=bytes(32)),)),
    }
    cases = [
        bad("truncated", good[:-1], "structure", "malformed", trust=()),
        bad("other-cluster", Fabric(ELSEWHERE).bootstrap, "claims", "wrong_cluster", trust=()),
        bad("tampered", tampered(good), "signature", "bad_signature", trust=()),
    ]
    return cases + [bad(name, data, "schema", "bad_schema", trust=()) for name, data in schema.items()]


def _later_bundles() -> list[Golden]:
    bad = _refuser("next-bundle", "bundle")
    new_root = new_fabric()
    new_root.next_bundle(roots=("root-2", "root-3", "root-4"))
    payload = payload_of(new_root.bundles[1], DocumentType.BUNDLE)
    revoking = new_fabric()
    revoking.revoke_key("peers")
    (entry,) = revoking.draft.revocations
    weaker = revoking.bundle(3, revocations=(entry._replace(except_content_ids=(bytes(32),)),))
    rootless = new_fabric()
    rootless.revoke_key("root-3", not_after_s=rootless.issued_at_s)
    forgets = rootless.bundle(3, revocations=(), sign_with=["root-1", "root-2"])
    voiding = new_fabric()
    third = voiding.bundle(3)
    voiding.revoke(RevocationKind.BUNDLE, open_document(third, DocumentType.BUNDLE).content_id())
    chain = "bundle-2-revokes-a-root", "bundle-2-revokes-bundle-3"
    return [
        bad(
            "signed-by-new-roots-only",
            new_root.sign("bundle", "cluster", payload, sign_with=["root-4", "x"]),
            "keys",
            "unknown_signer",
        ),
        bad("weaker-revocation", weaker, "revocations", "revocation_dropped", trust=("bundle-1", "bundle-2-revokes-a-key")),
        verified_case(chain[0], "next-bundle", rootless.bundles[1], DocumentType.BUNDLE),
        bad("forgets-a-root-revocation", forgets, "revocations", "revocation_dropped", trust=("bundle-1", chain[0])),
        verified_case(chain[1], "next-bundle", voiding.bundles[1], DocumentType.BUNDLE),
        bad("revoked-itself", third, "keys", "revoked", trust=("bundle-1", chain[1])),
    ]
