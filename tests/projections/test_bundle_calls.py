"""Newer bundles: in force in one frame with what must end and what comes anew, refused without a trace but the record."""

from collections.abc import Callable

import pytest

from rap_journal.errors import FailClosed, MisuseError
from rap_projections import signed_document
from rap_projections.documents import Audience, RevocationKind, RoleMembers, Scope, Version
from rap_projections.event_kinds import SNAPSHOTS, TRUST, event_of
from rap_projections.refusals import (
    BadSignature,
    Equivocation,
    Expired,
    NotForThisNode,
    RefusedError,
    RevocationDropped,
    Revoked,
    Rollback,
    ThresholdNotMet,
    UnknownSigner,
    VersionGap,
)
from rap_projections.trust import EVIDENCE_MAX
from tests.projections.store_kit import Ready, crashed_at_every_operation, furnished, ready, written


def version(it: Ready) -> int:
    return int(it.cluster.status()["trust"]["bundle_version"])


def active(it: Ready, scope: str) -> Version | None:
    held = it.cluster.snapshots.scope(scope).active
    return held.facts.version if held is not None else None


def but_refusals(it: Ready) -> object:
    """Everything the state says, without the log of refusals and what it was stamped with."""
    view = it.cluster.view()
    trust = view.trust._replace(refusals=(), equivocations=(), provenance={})
    return trust, [getattr(view, name) for name in ("identity", "snapshots", "updates", "services", "peers", "routes")]


def names(it: Ready, after: int) -> list[str]:
    return [
        type(event_of(record)).__name__ for record in written(it, after) if record.state_class in (TRUST.number, SNAPSHOTS.number)
    ]


def test_the_next_bundle_is_in_force_and_stays_so() -> None:
    it = ready()
    receipt = it.cluster.trust.update(it.fabric.next_bundle())
    assert (receipt.changed, receipt.durable, version(it)) == (True, True, 2)
    digest = it.cluster.digest()
    it.kit.kill()
    assert (it.cluster.digest(), version(it), it.cluster._context.fail_closed_reason) == (digest, 2, None)
    assert it.cluster._context.require_trust().version == 2


def test_a_bundle_in_force_already_changes_nothing() -> None:
    it = ready()
    bundle = it.fabric.next_bundle()
    it.cluster.trust.update(bundle)
    lsn = it.cluster._core.journal.durable_lsn
    assert not it.cluster.trust.update(bundle).changed
    assert not it.cluster.trust.update(it.fabric.bundles).changed
    assert it.cluster._core.journal.durable_lsn == lsn


def test_one_call_catches_up_through_several_and_all_are_kept() -> None:
    it = ready()
    bundles = [it.fabric.next_bundle() for _number in range(4)]
    it.cluster.trust.update(bundles)
    assert version(it) == 5
    assert [kept.version for kept in it.cluster.view().trust.chain] == [1, 2, 3, 4, 5]
    it.kit.kill()
    assert it.cluster._context.require_trust().version == 5


def test_more_bundles_than_one_call_takes_are_a_misuse() -> None:
    it = ready()
    with pytest.raises(MisuseError, match="65 bundles in one call"):
        it.cluster.trust.update([it.fabric.next_bundle() for _number in range(65)])


def gap(it: Ready) -> bytes:
    it.fabric.next_bundle()
    return it.fabric.next_bundle()


def forged(it: Ready) -> bytes:
    return it.fabric.next_bundle()[:-1] + b"\0"


def one_root(it: Ready) -> bytes:
    return it.fabric.bundle(2, sign_with=("root-1",))


def strangers(it: Ready) -> bytes:
    return it.fabric.bundle(2, sign_with=("stranger-1", "stranger-2"))


def expired(it: Ready) -> bytes:
    it.fabric.issued_at_s -= 3600
    return it.fabric.next_bundle(expires_at_s=it.fabric.issued_at_s + 1800)


def older(it: Ready) -> bytes:
    newer = it.fabric.next_bundle()
    it.cluster.trust.update(newer)
    return it.fabric.bundles[0]


def lowered(it: Ready) -> bytes:
    it.cluster.trust.update(it.fabric.raise_generation(Scope.ROUTES))
    rules = tuple(rule._replace(generation=1) for rule in it.fabric.draft.scopes)
    return it.fabric.next_bundle(scopes=rules)


def forgiving(it: Ready) -> bytes:
    it.cluster.trust.update(it.fabric.revoke_key("spare"))
    return it.fabric.next_bundle(revocations=())


def double(it: Ready) -> bytes:
    it.cluster.trust.update(it.fabric.next_bundle())
    return it.fabric.bundle(2, clock_step_s_max=77)


@pytest.mark.parametrize(
    ("offer", "refusal"),
    [
        (gap, VersionGap), (forged, BadSignature), (one_root, ThresholdNotMet), (strangers, UnknownSigner), (expired, Expired),
        (older, Rollback), (lowered, Rollback), (forgiving, RevocationDropped), (double, Equivocation),
    ],
)  # fmt: skip
def test_a_refused_bundle_changes_nothing_and_is_recorded_once(
    offer: Callable[[Ready], bytes], refusal: type[RefusedError]
) -> None:
    """Mutation: without the rule that raises the refusal the bundle comes into force."""
    it = furnished()
    bundle = offer(it)
    before = but_refusals(it)
    for _time in range(3):
        with pytest.raises(refusal) as caught:
            it.cluster.trust.update(bundle, source="mirror")
    assert (caught.value.cluster, caught.value.document_type) == ("lab", "bundle")
    assert but_refusals(it) == before
    (logged,) = it.cluster.view().trust.refusals
    assert (logged.source, logged.subject, logged.reason, logged.times) == ("mirror", "bundle", refusal.word, 1)


def test_several_bundles_of_which_one_is_refused_leave_all_out() -> None:
    it = ready()
    good, bad = it.fabric.next_bundle(), it.fabric.next_bundle()[:-1] + b"\0"
    with pytest.raises(BadSignature):
        it.cluster.trust.update([good, bad])
    assert version(it) == 1


def test_the_same_bad_bytes_cost_no_signature_a_second_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mutation: drop the negative cache."""
    it = ready()
    bundle, document = forged(it), it.fabric.peers(["node-1"])[:-1] + b"\0"
    for call in (lambda: it.cluster.trust.update(bundle), lambda: it.cluster.activate(document)):
        with pytest.raises(BadSignature):
            call()
    monkeypatch.setattr(signed_document, "verify_signature", lambda *_, **__: pytest.fail("a signature was checked again"))
    for call in (lambda: it.cluster.trust.update(bundle), lambda: it.cluster.activate(document)):
        with pytest.raises(BadSignature):
            call()


def test_roots_rotate_with_the_threshold_of_the_old_and_of_the_new() -> None:
    """Mutation: ask the threshold of only the old roots, or of only the new ones."""
    it = ready()
    fresh = ("root-4", "root-5", "root-6")
    rotated = it.fabric.next_bundle(roots=fresh)
    roots = it.fabric.draft.roots
    for signers in (("root-1", "root-2", "root-4"), ("root-4", "root-5", "root-6")):
        with pytest.raises((ThresholdNotMet, UnknownSigner)):
            it.cluster.trust.update(it.fabric.bundle(sign_with=signers))
    it.cluster.trust.update(rotated)
    assert it.cluster._context.require_trust().roots.keys() == {root.kid for root in roots}
    with pytest.raises(UnknownSigner):
        it.cluster.trust.update(it.fabric.bundle(3, sign_with=("root-1", "root-2", "root-3")))
    assert version(it) == 2


def test_what_a_revoked_key_signed_ends_in_the_frame_of_the_bundle() -> None:
    it = furnished()
    lsn = it.cluster._core.journal.durable_lsn
    it.cluster.trust.update(it.fabric.revoke_key("routes"))
    assert (version(it), active(it, "routes"), it.cluster.snapshots.scope("routes").withdrawn_reason) == (2, None, "revoked")
    assert it.cluster.routes.best("node-1", channel="interactive") is None
    bundle, withdrawn = [
        record for record in written(it, lsn) if type(event_of(record)).__name__ in ("BundleActivated", "SnapshotWithdrawn")
    ]
    assert (bundle.kind, withdrawn.kind) == (21, 121)
    assert active(it, "peers") == Version(1, 1)


@pytest.mark.parametrize("anew", [False, True])
def test_a_crash_at_any_operation_leaves_the_old_trust_or_all_of_the_new(anew: bool) -> None:
    """Mutation: write the bundle in one frame and what ends in another."""

    def prepare() -> Ready:
        it = furnished()
        it.fabric.issued_at_s += 60
        return it

    def work(it: Ready) -> None:
        bundle = it.fabric.revoke_key("routes")
        again = it.fabric.routes([("node-2", [])], sign_with="spare")
        it.cluster.trust.update(bundle, documents=[again] if anew else [])

    seen = set()
    for crash in crashed_at_every_operation(prepare, work):
        crash.it.kit.open()
        seen.add((version(crash.it), active(crash.it, "routes")))
        assert crash.it.cluster._context.fail_closed_reason is None
        if crash.finished:
            assert version(crash.it) == 2
    assert seen == {(1, Version(1, 1)), (2, Version(1, 2) if anew else None)}


def test_documents_signed_anew_come_into_force_with_the_bundle() -> None:
    it = furnished()
    bundle = it.fabric.revoke_key("routes")
    again = it.fabric.routes([("node-2", [])], sign_with="spare")
    it.cluster.trust.update(bundle, documents=[again])
    scope = it.cluster.snapshots.scope("routes")
    assert (active(it, "routes"), scope.previous, scope.withdrawn_reason) == (Version(1, 2), (), "")
    assert it.cluster.routes.best("node-2", channel="interactive") is not None


def test_the_same_content_signed_anew_by_another_key_stays_active() -> None:
    it = furnished()
    known = it.cluster.snapshots.scope("routes").active
    assert known is not None
    original = it.cluster._core.shelf.documents(known.facts.content_id)[0]
    bundle = it.fabric.revoke_key("routes")
    again = it.fabric.routes([("node-1", []), ("node-1", ["node-2"]), ("node-2", [])], version=1, sign_with="spare")
    assert it.fabric.content_id(again) == it.fabric.content_id(original) == known.facts.content_id
    it.cluster.trust.update(bundle, documents=[again])
    held = it.cluster.snapshots.scope("routes").active
    assert held is not None and held.facts.content_id == known.facts.content_id
    assert held.facts.signer_kids == (it.fabric.key("spare").kid,)
    it.kit.kill()
    assert active(it, "routes") == Version(1, 1)


def test_a_document_that_comes_with_a_bundle_and_is_refused_keeps_the_bundle_out() -> None:
    it = furnished()
    bundle = it.fabric.revoke_key("routes")
    with pytest.raises(Revoked):
        it.cluster.trust.update(bundle, documents=[it.fabric.routes([("node-2", [])])])
    assert (version(it), active(it, "routes")) == (1, Version(1, 1))


def test_a_previous_document_serves_where_policy_allows_it_and_it_still_counts() -> None:
    it = furnished()
    it.fabric.issued_at_s += 60
    it.cluster.activate(it.fabric.routes([("node-2", [])], sign_with="spare"))
    it.cluster.trust.update(it.fabric.revoke_key("spare"))
    scope = it.cluster.snapshots.scope("routes")
    assert (active(it, "routes"), scope.fallen_back) == (Version(1, 1), True)
    # The floor stays: what was accepted once is the least there may ever be.
    assert scope.floor.version == Version(1, 2)


def test_a_policy_never_falls_back_and_what_it_allowed_ends_with_it() -> None:
    """Mutation: judge the fallback of others by the policy that was revoked."""
    it = furnished()
    it.fabric.issued_at_s += 60
    it.cluster.activate(it.fabric.routes([("node-2", [])], sign_with="spare"))
    it.fabric.revoke_key("spare")
    it.fabric.revoke_key("policy")
    it.cluster.trust.update(it.fabric.bundles[1:])
    assert (active(it, "policy"), active(it, "routes")) == (None, None)
    assert it.cluster.policy.fallback_allowed is False


def test_documents_that_a_revocation_excepts_stay() -> None:
    it = furnished()
    held = it.cluster.snapshots.scope("routes").active
    assert held is not None
    it.cluster.trust.update(it.fabric.revoke_key("routes", except_content_ids=[held.facts.content_id]))
    assert active(it, "routes") == Version(1, 1)
    with pytest.raises(Revoked):
        it.cluster.activate(it.fabric.routes([("node-2", [])]))


def test_a_raised_generation_ends_what_is_of_the_one_before() -> None:
    it = furnished()
    it.cluster.trust.update(it.fabric.raise_generation(Scope.ROUTES))
    assert it.cluster.snapshots.scope("routes").withdrawn_reason == "wrong_generation"
    it.fabric.issued_at_s += 60
    it.cluster.activate(it.fabric.routes([("node-2", [])]))
    assert active(it, "routes") == Version(2, 1)


def test_a_node_that_loses_a_role_loses_the_documents_for_it() -> None:
    it = ready()
    it.cluster.identity.request(node_id="node-1", membership_id="m-1")
    it.cluster.trust.update(it.fabric.next_bundle(roles=(RoleMembers("relay", ("node-1",)),)))
    it.fabric.issued_at_s += 60
    it.cluster.activate(it.fabric.services(["svc-a"], audience=Audience(False, role="relay")))
    assert len(it.cluster.services.assigned()) == 1
    it.cluster.trust.update(it.fabric.next_bundle(roles=()))
    assert it.cluster.snapshots.scope("services").withdrawn_reason == NotForThisNode.word
    assert it.cluster.services.assigned() == ()


def test_what_was_verified_under_one_bundle_is_not_activated_under_another() -> None:
    """Mutation: drop the comparison of trust versions in commit."""
    it = furnished()
    it.fabric.issued_at_s += 60
    with it.cluster.activation("routes") as step:
        step.stage(it.fabric.routes([("node-2", [])]))
        step.verify()
        it.cluster.trust.update(it.fabric.revoke_key("routes"))
        with pytest.raises(Revoked):
            step.commit()
    assert active(it, "routes") is None


def test_two_bundles_of_one_version_are_evidence_that_is_kept() -> None:
    it = ready()
    it.cluster.trust.update(it.fabric.next_bundle())
    for number in range(EVIDENCE_MAX + 2):
        with pytest.raises(Equivocation):
            it.cluster.trust.update(it.fabric.bundle(2, clock_step_s_max=100 + number))
    seen = it.cluster.view().trust.equivocations
    assert (len(seen), len({it.other_content_id for it in seen})) == (EVIDENCE_MAX, EVIDENCE_MAX)
    it.kit.kill()
    assert it.cluster.view().trust.equivocations == seen


def test_a_bundle_moves_trusted_time_and_renews_the_deadline() -> None:
    it = furnished()
    before = it.cluster.status()["trusted_time_s"]
    it.fabric.issued_at_s += 3600
    it.cluster.trust.update(it.fabric.next_bundle())
    status = it.cluster.status()
    assert status["trusted_time_s"] == before + 3600
    assert it.cluster.view().health.deadline.signed_s == it.fabric.issued_at_s


def test_a_revoked_root_takes_its_share_of_trusted_time_with_it_and_no_more() -> None:
    """Mutation: note the instant for one of the signers only."""
    it = ready()
    it.fabric.issued_at_s += 3600
    it.cluster.trust.update(it.fabric.next_bundle())
    before = it.cluster.status()["trusted_time_s"]
    it.cluster.trust.update(it.fabric.revoke(RevocationKind.KID, it.fabric.key("root-1").kid))
    assert it.cluster.status()["trusted_time_s"] == before
    assert it.fabric.key("root-1").kid not in it.cluster.view().trust.instants


def test_a_cluster_that_fails_closed_takes_no_bundle() -> None:
    it = ready()
    it.cluster._context.fail_closed("trust_damaged")
    with pytest.raises(FailClosed):
        it.cluster.trust.update(it.fabric.next_bundle())
