"""Every rule for a document has a test that fails when the rule is dropped; the docstring names that mutation."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rap_journal.deterministic_cbor import decode, encode
from rap_projections.bundle_verification import verify_bootstrap
from rap_projections.documents import Audience, DocumentType, Floor, RevocationKind, Scope, UsageThreshold, Version
from rap_projections.refusals import (
    RULES,
    BadSchema,
    BadSignature,
    BelowMinimum,
    Equivocation,
    Expired,
    HeadMismatch,
    HeadRequired,
    Malformed,
    NotForThisNode,
    RefusedError,
    Revoked,
    Rollback,
    ThresholdNotMet,
    TooLarge,
    UnknownSigner,
    WrongCluster,
    WrongDocumentType,
    WrongGeneration,
    WrongScope,
    WrongUsage,
)
from rap_projections.signed_document import FORMS
from rap_projections.testing import Fabric
from rap_projections.testing.entries import make_peer
from rap_projections.testing.issuing import tampered
from rap_projections.trust_in_force import TrustInForce
from rap_projections.verification import (
    Recipient,
    check_snapshot,
    verify_artifact,
    verify_head,
    verify_increment,
    verify_kept_snapshot,
    verify_restore_ticket,
    verify_snapshot,
)
from rap_projections.verified import VerifiedSnapshot
from tests.projections.documents_support import CLUSTER, NODE, NOW_S, payload_of, refused


def fabric(**settings: Any) -> Fabric:
    return Fabric(CLUSTER, roles={"edge": ["node-1"]}, **settings)


def verify(data: bytes, issuer: Fabric, **options: Any) -> VerifiedSnapshot:
    return verify_snapshot(data, issuer.trust(), **(dict[str, Any](trusted_s=NOW_S, recipient=NODE) | options))


def floor_of(data: bytes, issuer: Fabric, version: Version) -> dict[Scope, Floor]:
    return {Scope.PEERS: Floor(version, issuer.content_id(data))}


# ------------------------------------------------------------------ what passes


def test_snapshot_that_keeps_every_rule_is_verified() -> None:
    issuer = fabric()
    data = issuer.peers(["node-2", "node-1"])
    verified = verify(data, issuer)
    assert verified.snapshot.body == (make_peer("node-1"), make_peer("node-2"))
    assert verified.snapshot.version == Version(1, 1)
    assert (verified.data, verified.cluster_id, verified.scope) == (data, CLUSTER, "peers")
    assert verified.content_id == issuer.content_id(data)
    assert verified.signers == (issuer.key("peers").kid,)
    assert (verified.trust_version, verified.unchanged) == (1, False)


@pytest.mark.parametrize("scope", Scope)
def test_every_scope_has_its_snapshot(scope: Scope) -> None:
    issuer = fabric()
    data = {
        Scope.POLICY: lambda: issuer.policy(fallback_allowed=True),
        Scope.PEERS: lambda: issuer.peers(["node-1"]),
        Scope.ROUTES: lambda: issuer.routes([("node-2", ["node-3"])]),
        Scope.SERVICES: lambda: issuer.services(["svc-a"]),
        Scope.UPDATES: lambda: issuer.updates(["agent"]),
    }[scope]()
    assert verify(data, issuer, scope=scope).snapshot.scope is scope


# ------------------------------------------------------------------ size, structure, claims


def test_size_is_judged_first() -> None:
    """Mutation: drop the size check."""
    too_large = bytes(FORMS[DocumentType.SNAPSHOT].bytes_max + 1)
    refusal = refused(verify, too_large, fabric())
    assert isinstance(refusal, TooLarge)
    assert refusal.facts()["document_type"] == "snapshot"


def test_structure_is_judged_before_claims() -> None:
    """Mutation: parse leniently. This document is for another cluster, too."""
    issuer = fabric()
    assert isinstance(refused(verify, issuer.peers([], cluster_id="us-east-1") + b"\0", issuer), Malformed)


def test_other_cluster_is_told_from_a_bad_signature() -> None:
    """Mutation: drop the comparison of the cluster, or verify first. The signature here is bad as well."""
    issuer = fabric()
    foreign = tampered(issuer.peers(["node-1"], cluster_id="us-east-1"))
    refusal = refused(verify, foreign, issuer)
    assert isinstance(refusal, WrongCluster)
    assert "us-east-1" in str(refusal)
    assert isinstance(refused(verify, Fabric("us-east-1").peers([]), issuer), WrongCluster)


def test_other_scope_than_asked_for_is_told_from_a_bad_signature() -> None:
    """Mutation: drop the comparison of the scope."""
    issuer = fabric()
    refusal = refused(verify, tampered(issuer.routes([])), issuer, scope=Scope.PEERS)
    assert isinstance(refusal, WrongScope)
    assert refusal.scope == "peers"
    assert verify(issuer.routes([]), issuer, scope=None).scope == "routes"


def test_other_document_type_is_refused() -> None:
    """Mutation: drop the comparison of typ and type."""
    issuer = fabric()
    assert isinstance(refused(verify, issuer.head(), issuer), WrongDocumentType)
    assert isinstance(refused(verify_head, issuer.peers([]), issuer.trust(), trusted_s=NOW_S), WrongDocumentType)


# ------------------------------------------------------------------ keys, threshold, signature


def test_key_that_is_not_in_the_bundle_signs_nothing() -> None:
    """Mutation: take the key from the document, or skip unknown ones."""
    issuer = fabric()
    assert isinstance(refused(verify, issuer.peers([], sign_with="stranger"), issuer), UnknownSigner)
    assert isinstance(refused(verify, issuer.peers([], sign_with="root-1"), issuer), UnknownSigner)


def test_key_of_another_scope_signs_nothing_here() -> None:
    """Mutation: drop the check of the usage."""
    issuer = fabric()
    assert isinstance(refused(verify, issuer.peers([], sign_with="routes"), issuer), WrongUsage)
    assert isinstance(refused(verify, issuer.peers([], sign_with="head"), issuer), WrongUsage)


def test_revoked_key_signs_nothing_but_what_is_excepted() -> None:
    """Mutation: drop the check of revoked signers, or of the exceptions."""
    issuer = fabric()
    kept, gone = issuer.peers(["node-1"]), issuer.peers(["node-2"])
    issuer.revoke_key("peers", except_content_ids=[issuer.content_id(kept)])
    assert verify(kept, issuer).snapshot.version.version == 1
    assert isinstance(refused(verify, gone, issuer), Revoked)


def test_revoked_content_is_refused_whoever_signed_it() -> None:
    """Mutation: drop the check of revoked content."""
    issuer = fabric()
    data = issuer.peers(["node-1"], version=1)
    again = issuer.peers(["node-1"], version=1, sign_with="spare")
    issuer.revoke(RevocationKind.CONTENT, issuer.content_id(data))
    for document in (data, again):
        assert isinstance(refused(verify, document, issuer), Revoked)


def test_usage_with_a_threshold_above_one_is_closed_for_one_signature() -> None:
    """Mutation: drop the threshold check."""
    issuer = fabric()
    thresholds = tuple(UsageThreshold(item.usage, 2 if item.usage.scope == "peers" else 1) for item in issuer.draft.thresholds)
    issuer.next_bundle(thresholds=thresholds)
    assert isinstance(refused(verify, issuer.peers([]), issuer), ThresholdNotMet)
    assert verify(issuer.routes([]), issuer).scope == "routes"


@pytest.mark.parametrize("where", ["signature", "payload", "header"])
def test_signature_must_verify(where: str) -> None:
    """Mutation: drop the verification of the signature."""
    issuer = fabric()
    data = issuer.peers(["node-1"])
    at = {"signature": -1, "payload": data.index(b"node-1") + 5, "header": data.index(b"peers") + 4}[where]
    refusal = refused(verify, tampered(data, at=at), issuer)
    assert isinstance(refusal, WrongScope if where == "header" else BadSignature)


def test_nothing_is_parsed_that_is_not_signed() -> None:
    """Mutation: decode the payload before the signature was verified."""
    issuer = fabric()
    assert isinstance(refused(verify, issuer.sign("snapshot", "peers", b"\xff", sign_with="stranger"), issuer), UnknownSigner)
    assert isinstance(refused(verify, tampered(issuer.sign("snapshot", "peers", b"\xff")), issuer), BadSignature)
    assert isinstance(refused(verify, issuer.sign("snapshot", "peers", b"\xff"), issuer), BadSchema)


# ------------------------------------------------------------------ floor


def test_lower_version_than_the_floor_is_rollback() -> None:
    """Mutation: drop the comparison with the floor."""
    issuer = fabric()
    old, new = issuer.peers(["node-1"]), issuer.peers(["node-2"])
    refusal = refused(verify, old, issuer, floors=floor_of(new, issuer, Version(1, 2)))
    assert isinstance(refusal, Rollback)
    assert "1.1" in refusal.what and "1.2" in refusal.what


def test_same_version_with_the_same_content_is_unchanged_whoever_signed_it() -> None:
    """Mutation: compare envelopes instead of content ids."""
    issuer = fabric()
    data = issuer.peers(["node-1"])
    again = issuer.peers(["node-1"], version=1, sign_with="spare")
    assert again != data
    for document in (data, again):
        assert verify(document, issuer, floors=floor_of(data, issuer, Version(1, 1))).unchanged


def test_same_version_with_other_content_is_equivocation() -> None:
    """Mutation: compare versions only."""
    issuer = fabric()
    one, other = issuer.peers(["node-1"]), issuer.peers(["node-2"], version=1)
    refusal = refused(verify, other, issuer, floors=floor_of(one, issuer, Version(1, 1)))
    assert isinstance(refusal, Equivocation)
    assert (refusal.known_content_id, refusal.other_content_id) == (issuer.content_id(one), issuer.content_id(other))


def test_equivocation_needs_a_document_that_verifies() -> None:
    issuer = fabric()
    one = issuer.peers(["node-1"])
    forged = tampered(issuer.peers(["node-2"], version=1))
    assert isinstance(refused(verify, forged, issuer, floors=floor_of(one, issuer, Version(1, 1))), BadSignature)


def test_floor_of_another_scope_says_nothing() -> None:
    issuer = fabric()
    floors = {Scope.ROUTES: Floor(Version(1, 9), bytes(32))}
    assert not verify(issuer.peers([]), issuer, floors=floors).unchanged


def test_generation_is_the_one_the_bundle_sets() -> None:
    """Mutation: drop the comparison of the generation, or allow a higher one."""
    issuer = fabric()
    assert isinstance(refused(verify, issuer.peers([], version=Version(2, 1)), issuer), WrongGeneration)
    old = issuer.peers(["node-1"], version=9)
    issuer.raise_generation(Scope.PEERS)
    assert isinstance(refused(verify, old, issuer), WrongGeneration)
    new = issuer.peers(["node-2"])
    assert verify(new, issuer, floors=floor_of(old, issuer, Version(1, 9))).snapshot.version == Version(2, 1)


def test_minimum_of_the_bundle_is_kept() -> None:
    """Mutation: drop the comparison with the minimum."""
    issuer = fabric()
    issuer.next_bundle(scopes=tuple(rule._replace(minimum_version=3) for rule in issuer.draft.scopes))
    assert isinstance(refused(verify, issuer.peers([], version=2), issuer), BelowMinimum)
    assert verify(issuer.peers([], version=3), issuer).snapshot.version.version == 3


# ------------------------------------------------------------------ head


def test_head_is_needed_where_the_bundle_demands_it() -> None:
    """Mutation: ignore `requires_head`, or take an expired head."""
    issuer = fabric(requires_head=True)
    data = issuer.peers(["node-1"])
    assert isinstance(refused(verify, data, issuer), HeadRequired)
    head = verify_head(issuer.head(), issuer.trust(), trusted_s=NOW_S)
    assert verify(data, issuer, head=head).scope == "peers"
    brief = verify_head(issuer.head(expires_at_s=NOW_S), issuer.trust(), trusted_s=NOW_S - 1)
    assert isinstance(refused(verify, data, issuer, head=brief), HeadRequired)


def test_head_must_list_exactly_the_document() -> None:
    """Mutation: compare only some of version, content id and size; or let a scope be missing from the head."""
    issuer = fabric(requires_head=True)
    data = issuer.peers(["node-1"])
    trust, listed = issuer.trust(), verify_head(issuer.head(), issuer.trust(), trusted_s=NOW_S).head
    (entry,) = listed.entries
    for changed in (
        entry._replace(version=Version(1, 2)),
        entry._replace(content_id=bytes(32)),
        entry._replace(size=entry.size + 1),
        entry._replace(scope=Scope.ROUTES),
    ):
        head = verify_head(issuer.head(entries=(changed,)), trust, trusted_s=NOW_S)
        assert isinstance(refused(verify, data, issuer, head=head), HeadMismatch)


def test_head_of_a_later_bundle_or_another_cluster_does_not_count() -> None:
    """Mutation: drop the comparison of the bundle's version, or of the cluster."""
    issuer = fabric(requires_head=True)
    data = issuer.peers(["node-1"])
    later = verify_head(issuer.head(bundle_version=2), issuer.trust(), trusted_s=NOW_S)
    assert isinstance(refused(verify, data, issuer, head=later), HeadMismatch)
    other = Fabric("us-east-1", requires_head=True)
    other.peers(["node-1"])
    foreign = verify_head(other.head(), other.trust(), trusted_s=NOW_S)
    assert isinstance(refused(verify, data, issuer, head=foreign), HeadRequired)


def test_head_is_not_asked_for_where_the_bundle_does_not_demand_it() -> None:
    issuer = fabric()
    stale = issuer.head()
    data = issuer.peers(["node-1"])
    assert verify(data, issuer, head=verify_head(stale, issuer.trust(), trusted_s=NOW_S)).scope == "peers"


# ------------------------------------------------------------------ time, audience, schema


def test_end_of_validity_is_judged_by_trusted_time() -> None:
    """Mutation: drop the time check, or compare with < instead of <=."""
    issuer = fabric()
    data = issuer.peers([], expires_at_s=NOW_S)
    assert isinstance(refused(verify, data, issuer), Expired)
    assert isinstance(refused(verify, data, issuer, trusted_s=NOW_S + 1), Expired)
    assert verify(data, issuer, trusted_s=NOW_S - 1).snapshot.expires_at_s == NOW_S


def test_time_of_issue_refuses_nothing_because_this_clock_may_be_behind() -> None:
    issuer = fabric()
    data = issuer.peers(["node-1"], issued_at_s=NOW_S + 10**6)
    assert verify(data, issuer).snapshot.issued_at_s == NOW_S + 10**6
    assert verify(data, issuer, trusted_s=0).scope == "peers"


@pytest.mark.parametrize(
    ("audience", "recipient", "is_for_it"),
    [
        (Audience(True), Recipient("node-9"), True),
        (Audience(False, nodes=("node-1", "node-2")), Recipient("node-2"), True),
        (Audience(False, nodes=("node-1", "node-2")), Recipient("node-3"), False),
        (Audience(False, nodes=("edge",)), Recipient("node-3", frozenset({"edge"})), False),
        (Audience(False, role="edge"), Recipient("node-3", frozenset({"core", "edge"})), True),
        (Audience(False, role="edge"), Recipient("node-3", frozenset({"core"})), False),
        (Audience(False, role="edge"), Recipient("edge"), False),
    ],
)
def test_audience_must_name_the_node_or_a_role_of_it(audience: Audience, recipient: Recipient, is_for_it: bool) -> None:
    """Mutation: drop the audience check, or mix up nodes and roles."""
    issuer = fabric()
    data = issuer.peers([], audience=audience)
    if is_for_it:
        assert verify(data, issuer, recipient=recipient).snapshot.audience == audience
    else:
        assert isinstance(refused(verify, data, issuer, recipient=recipient), NotForThisNode)


def test_body_must_fit_the_schema_of_its_scope() -> None:
    """Mutation: drop the schema. A body of routes, signed as peers by the key for peers."""
    issuer = fabric()
    routes = payload_of(issuer.routes([("node-2", [])]))
    refusal = refused(verify, issuer.sign("snapshot", "peers", routes), issuer)
    assert isinstance(refusal, BadSchema)
    assert refusal.facts()["place"] == "body[0]"


# ------------------------------------------------------------------ order, and check


def breaking(last: str) -> tuple[bytes, Fabric, dict[str, Any]]:
    """A snapshot that breaks the rule `last` and every later one that can be broken at the same time."""
    issuer = fabric(requires_head=RULES.index(last) <= RULES.index("head"))
    seen = issuer.peers(["node-8"], version=7)
    fields: dict[int, Any] = decode(payload_of(issuer.peers([], version=3)))
    fields[6] = "no body"
    if RULES.index("audience") >= RULES.index(last):
        fields[4] = [1, ["node-7"]]
    if RULES.index("time") >= RULES.index(last):
        fields[3] = fields[2] = NOW_S
    options: dict[str, Any] = {"head": None}
    if RULES.index("floor") >= RULES.index(last):
        options["floors"] = floor_of(seen, issuer, Version(1, 7))
    signer = "stranger" if last in ("claims", "keys") else "peers"
    cluster = "us-east-1" if last in ("structure", "claims") else CLUSTER
    data = issuer.sign("snapshot", "peers", encode(fields), sign_with=signer, cluster_id=cluster)
    if RULES.index(last) <= RULES.index("signature"):
        data = tampered(data)
    if last == "size":
        data += bytes(FORMS[DocumentType.SNAPSHOT].bytes_max)
    elif last == "structure":
        data += b"\0"
    return data, issuer, options


@pytest.mark.parametrize(
    "rule", ["size", "structure", "claims", "keys", "signature", "floor", "head", "time", "audience", "schema"]
)
def test_first_broken_rule_is_the_one_reported(rule: str) -> None:
    """Mutation: swap two rules of the order."""
    data, issuer, options = breaking(rule)
    assert refused(verify, data, issuer, **options).rule == rule


def outcomes(data: bytes, issuer: Fabric, **options: Any) -> dict[str, str]:
    report = check_snapshot(data, issuer.trust(), **(dict[str, Any](trusted_s=NOW_S, recipient=NODE) | options))
    assert [result.rule for result in report.rules] == list(RULES)
    assert report.ok == (report.refusal is None)
    return {result.rule: result.outcome for result in report.rules}


def test_check_of_a_good_snapshot_lists_every_rule_as_passed_and_gives_it() -> None:
    issuer = fabric()
    data = issuer.peers(["node-1"])
    assert set(outcomes(data, issuer).values()) == {"passed"}
    report = check_snapshot(data, issuer.trust(), trusted_s=NOW_S, recipient=NODE)
    assert report.snapshot is not None and report.snapshot.content_id == issuer.content_id(data)


def test_check_after_the_signature_tries_every_rule() -> None:
    data, issuer, options = breaking("floor")
    told = outcomes(data, issuer, **options)
    assert [rule for rule in RULES if told[rule] == "failed"] == ["floor", "head", "time", "audience", "schema"]
    assert [rule for rule in RULES if told[rule] == "passed"] == ["size", "structure", "claims", "keys", "threshold", "signature"]


@pytest.mark.parametrize("rule", ["size", "structure", "claims", "keys", "signature"])
def test_check_reaches_nothing_behind_a_document_that_is_not_authentic(rule: str) -> None:
    """Mutation: drop the call of `check_document_size` in `check_size`."""
    data, issuer, options = breaking(rule)
    told = outcomes(data, issuer, **options)
    place = RULES.index(rule)
    assert [told[name] for name in RULES] == ["passed"] * place + ["failed"] + ["not reached"] * (len(RULES) - place - 1)


def test_check_of_a_payload_without_a_header_blames_the_schema() -> None:
    issuer = fabric()
    told = outcomes(issuer.sign("snapshot", "peers", encode({0: 1})), issuer)
    assert {rule for rule in RULES if told[rule] == "not reached"} == {"floor", "time", "audience"}
    assert told["schema"] == "failed"


@given(st.binary(max_size=120))
def test_any_bytes_are_refused_with_a_reason(data: bytes) -> None:
    issuer = fabric()
    trust = issuer.trust()
    for call in (verify_snapshot, verify_increment, verify_artifact):
        assert isinstance(refused(call, data, trust, trusted_s=NOW_S, recipient=NODE), Malformed)
    for call_for_all in (verify_head, verify_restore_ticket):
        assert isinstance(refused(call_for_all, data, trust, trusted_s=NOW_S), Malformed)
    assert isinstance(refused(verify_bootstrap, data, cluster_id=CLUSTER, expect="00" * 32, trusted_s=None), Malformed)


GOOD_ISSUER = fabric()
GOOD = GOOD_ISSUER.peers(["node-1"])
GOOD_TRUST = GOOD_ISSUER.trust()


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_any_byte_changed_is_refused(offset: int, change: int) -> None:
    data = GOOD[:offset] + bytes([GOOD[offset] ^ change]) + GOOD[offset + 1 :]
    assert isinstance(refused(verify_snapshot, data, GOOD_TRUST, trusted_s=NOW_S, recipient=NODE), RefusedError)


# ------------------------------------------------------------------ kept snapshots


def test_kept_snapshot_may_be_below_the_floor_and_needs_no_head() -> None:
    issuer = fabric(requires_head=True)
    data = issuer.peers(["node-1"])
    kept = verify_kept_snapshot(data, issuer.trust(), trusted_s=NOW_S, recipient=NODE, scope=Scope.PEERS)
    assert kept.unchanged


@pytest.mark.parametrize("wrong", ["scope", "revoked", "expired", "audience", "generation", "minimum", "signature"])
def test_kept_snapshot_is_held_to_every_other_rule(wrong: str) -> None:
    """Mutation: skip rules for documents that were accepted before."""
    issuer = fabric()
    audience = Audience(False, nodes=("node-7",)) if wrong == "audience" else Audience(True)
    data = issuer.peers(["node-1"], audience=audience, expires_at_s=NOW_S if wrong == "expired" else None)
    if wrong == "revoked":
        issuer.revoke_key("peers")
    elif wrong == "generation":
        issuer.raise_generation("peers")
    elif wrong == "minimum":
        issuer.next_bundle(scopes=tuple(rule._replace(minimum_version=2) for rule in issuer.draft.scopes))
    elif wrong == "signature":
        data = tampered(data)
    kinds = {
        "scope": WrongScope,
        "revoked": Revoked,
        "expired": Expired,
        "audience": NotForThisNode,
        "generation": WrongGeneration,
        "minimum": BelowMinimum,
        "signature": BadSignature,
    }
    scope = Scope.ROUTES if wrong == "scope" else Scope.PEERS
    refusal = refused(verify_kept_snapshot, data, issuer.trust(), trusted_s=NOW_S, recipient=NODE, scope=scope)
    assert type(refusal) is kinds[wrong]


# ------------------------------------------------------------------ the other documents


def test_head_lists_the_newest_of_every_scope_and_is_refused_when_expired() -> None:
    """Mutation: drop the time check of heads."""
    issuer = fabric()
    issuer.peers(["node-1"])
    newest = issuer.peers(["node-2"])
    verified = verify_head(issuer.head(), issuer.trust(), trusted_s=NOW_S)
    (entry,) = verified.head.entries
    assert entry == (Scope.PEERS, Version(1, 2), issuer.content_id(newest), len(payload_of(newest)))
    assert isinstance(refused(verify_head, issuer.head(), issuer.trust(), trusted_s=issuer.issued_at_s + 86_400), Expired)


@pytest.mark.parametrize("signer", ["peers", "root-1", "stranger"])
def test_head_is_signed_by_its_own_key_only(signer: str) -> None:
    """Mutation: take any key of the bundle."""
    issuer = fabric()
    refusal = refused(verify_head, issuer.head(sign_with=signer), issuer.trust(), trusted_s=NOW_S)
    assert isinstance(refusal, (WrongUsage, UnknownSigner))


def test_increment_states_the_way_to_its_result() -> None:
    issuer = fabric()
    base = issuer.peers(["node-1", "node-2"])
    increment = issuer.increment(base, (make_peer("node-2"), make_peer("node-3")))
    verified = verify_increment(increment, issuer.trust(), trusted_s=NOW_S, recipient=NODE)
    assert verified.increment.changed == (make_peer("node-3"),)
    assert verified.increment.removed == ("node-1",)
    assert verified.increment.base_content_id == issuer.content_id(base)
    assert verified.increment.version == Version(1, 2)


def test_increment_is_judged_by_generation_time_and_audience() -> None:
    """Mutation: drop one of the three."""
    issuer = fabric()
    base, body = issuer.peers(["node-1"]), (make_peer("node-2"),)
    nobody = Audience(False, nodes=("node-7",))
    for options, kind in (
        ({"version": Version(2, 1)}, WrongGeneration),
        ({"expires_at_s": NOW_S}, Expired),
        ({"audience": nobody}, NotForThisNode),
    ):
        data = issuer.increment(base, body, **options)
        assert isinstance(refused(verify_increment, data, issuer.trust(), trusted_s=NOW_S, recipient=NODE), kind)


def test_artifact_is_judged_by_key_time_and_audience() -> None:
    """Mutation: drop one of the three."""
    issuer = fabric()
    trust = issuer.trust()
    verified = verify_artifact(issuer.artifact("agent"), trust, trusted_s=NOW_S, recipient=NODE)
    assert verified.artifact.reference.subject == "agent"
    payload = payload_of(issuer.artifact("agent"), DocumentType.ARTIFACT)
    for data, kind in (
        (issuer.artifact("agent", expires_at_s=NOW_S), Expired),
        (issuer.artifact("agent", audience=Audience(False, role="core")), NotForThisNode),
        (issuer.sign("artifact", "updates", payload, sign_with="updates"), WrongUsage),
    ):
        assert isinstance(refused(verify_artifact, data, trust, trusted_s=NOW_S, recipient=NODE), kind)


def test_restore_ticket_needs_a_threshold_of_roots_and_an_unexpired_hour() -> None:
    """Mutation: drop the threshold, or the time check."""
    issuer = fabric()
    trust = issuer.trust()
    verified = verify_restore_ticket(issuer.restore_ticket(node_id="node-1"), trust, trusted_s=NOW_S)
    assert verified.ticket.node_id == "node-1"
    one = issuer.restore_ticket(sign_with="root-1")
    assert isinstance(refused(verify_restore_ticket, one, trust, trusted_s=NOW_S), ThresholdNotMet)
    everyday = issuer.restore_ticket(sign_with=["peers", "head"])
    assert isinstance(refused(verify_restore_ticket, everyday, trust, trusted_s=NOW_S), UnknownSigner)
    late = issuer.issued_at_s + 3600
    assert isinstance(refused(verify_restore_ticket, issuer.restore_ticket(), trust, trusted_s=late), Expired)


def test_trust_of_another_cluster_judges_nothing_of_this_one() -> None:
    issuer, other = fabric(), Fabric("us-east-1")
    trust = TrustInForce.of(other.verified_bundle())
    assert isinstance(refused(verify_snapshot, issuer.peers([]), trust, trusted_s=NOW_S, recipient=NODE), WrongCluster)
    assert isinstance(refused(verify_head, issuer.head(), trust, trusted_s=NOW_S), WrongCluster)
