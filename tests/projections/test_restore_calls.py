"""What a restored node asks, which answers it takes, and what an answer does."""

from typing import Any

import pytest

from rap_journal.deterministic_cbor import decode
from rap_journal.errors import MisuseError
from rap_projections import NodeStore, Operation
from rap_projections.documents import RestoreVerdict, Revocation, RevocationKind, Scope, ScopeFloor, Version
from rap_projections.event_kinds import event_of
from rap_projections.refusals import (
    BadSignature,
    BundleTooOld,
    Expired,
    NotAllowed,
    RefusedError,
    Revoked,
    ThresholdNotMet,
    TicketMismatch,
    WrongCluster,
)
from rap_projections.testing import Fabric
from rap_projections.trust_events import RestoreValidated, TrustRefused
from tests.projections.restore_kit import NEW_ROOT, Restored, answer, enrolled, restored
from tests.projections.store_kit import CLUSTER, Ready, crashed_at_every_operation, furnished


def events_of(other: Restored, kind: type) -> list[Any]:
    return [event for event in map(event_of, other.cluster._core.history_after(0)) if isinstance(event, kind)]


def refused(other: Restored, ticket: bytes, error: type[RefusedError]) -> RefusedError:
    """The refusal of a ticket, which must have changed nothing but the record of refusals."""
    nonce = other.cluster.restore_request().nonce
    with pytest.raises(error) as caught:
        other.cluster.validate_restore(ticket)
    assert other.cluster.restore_request().nonce == nonce
    assert not other.cluster.allows(Operation.START_SERVICE).ok
    assert events_of(other, TrustRefused)[-1].scope == "restore-ticket"
    return caught.value


def test_a_request_names_everything_that_a_ticket_repeats() -> None:
    other = restored()
    request = other.cluster.restore_request()
    identity = other.cluster.view().identity
    assert identity.key is not None
    assert (request.cluster_id, request.node_id, request.membership_id) == (CLUSTER, "node-1", "m-1")
    assert request.identity_key_sha256 == identity.key.key_sha256
    assert request.journal_id != other.it.cluster._core.journal.keys.marker.journal_id
    assert [len(part) for part in (request.nonce, request.incarnation, request.backup_digest)] == [32, 16, 32]
    assert {floor.scope for floor in request.floors} == set(Scope)
    assert decode(request.to_bytes())[:3] == ["rap-restore-request", 1, CLUSTER]
    assert other.cluster.restore_request() == request


def test_an_accepting_ticket_ends_the_doubt() -> None:
    other = restored()
    other.it.fabric.issued_at_s += 600
    ticket = other.ticket()
    receipt = other.cluster.validate_restore(ticket)
    assert receipt.changed and receipt.durable
    assert other.cluster.status()["trust"]["restore_state"] == "normal"
    assert other.cluster.allows(Operation.START_SERVICE).ok
    assert [event.verdict for event in events_of(other, RestoreValidated)] == ["accept"]
    assert other.cluster.validate_restore(ticket).changed is False


def test_it_stays_ended_over_a_kill() -> None:
    other = restored()
    other.cluster.validate_restore(other.ticket())
    kit = other.it.kit
    kit.filesystem = kit.filesystem.kill()
    store = NodeStore.open(NEW_ROOT, keys=kit.keys, clock=kit.clock, filesystem=kit.filesystem, background=False)
    assert store.cluster(CLUSTER).status()["trust"]["restore_state"] == "normal"


WRONG: dict[str, Any] = {
    "journal_id": bytes(16), "node_id": "node-2", "membership_id": "m-2", "nonce": bytes(32), "incarnation": bytes(16),
    "backup_digest": bytes(32), "identity_key_sha256": bytes(32), "revocation_digest": bytes(32),
}  # fmt: skip


@pytest.mark.parametrize("field", WRONG)
def test_every_field_is_compared(field: str) -> None:
    """Mutation: the field is taken from the list of compared ones."""
    other = restored()
    refusal = refused(other, other.ticket(**{field: WRONG[field]}), TicketMismatch)
    assert isinstance(refusal, TicketMismatch) and refusal.field == field


@pytest.mark.parametrize("version", [Version(1, 0), Version(1, 1)], ids=["lower", "other content"])
def test_a_ticket_that_knows_less_than_this_node_is_refused(version: Version) -> None:
    """Mutation: floors are not compared, or their content is not."""
    other = restored()
    floor = ScopeFloor(Scope.ROUTES, Version(1, 1) if version == Version(1, 1) else version, b"x" * 32)
    if version == Version(1, 0):
        other = restored(_with_routes())
        floor = ScopeFloor(Scope.ROUTES, Version(1, 1), b"x" * 32)
    refusal = refused(other, other.ticket(floors=(floor,)), TicketMismatch)
    assert isinstance(refusal, TicketMismatch) and refusal.field == "floors"


def _with_routes() -> Ready:
    it = enrolled()
    it.cluster.activate(it.fabric.routes([("node-1", [])]))
    return it


def test_floors_of_the_ticket_raise_ours_and_bar_what_is_below_them() -> None:
    """Fails when the ticket's floors are not taken over, or the gate does not look at them."""
    other = restored()
    other.it.fabric.issued_at_s += 600
    floor = ScopeFloor(Scope.ROUTES, Version(1, 9), b"x" * 32)
    other.cluster.validate_restore(other.ticket(floors=(floor,)))
    assert other.cluster.view().snapshots.scope("routes").floor == (Version(1, 9), b"x" * 32)
    assert other.cluster.allows(Operation.START_SERVICE)[:2] == (False, "below_floor")


def test_a_ticket_of_another_cluster_is_for_somebody_else() -> None:
    other = restored()
    fields = answer(other.cluster.restore_request())
    refused(other, Fabric("elsewhere").restore_ticket(**fields), WrongCluster)


def test_fewer_roots_than_the_threshold_are_not_enough() -> None:
    """Fails when a ticket's signatures are not counted against the root threshold."""
    other = restored()
    refused(other, other.ticket(sign_with=["root-1"]), ThresholdNotMet)


def test_everyday_keys_sign_no_ticket() -> None:
    other = restored()
    with pytest.raises(RefusedError):
        other.cluster.validate_restore(other.ticket(sign_with=["peers", "routes"]))


def test_a_changed_ticket_does_not_verify() -> None:
    other = restored()
    ticket = bytearray(other.ticket())
    ticket[-1] ^= 1
    refused(other, bytes(ticket), BadSignature)


def test_a_ticket_past_its_end_is_refused() -> None:
    """Fails when a ticket's end is not judged."""
    other = restored()
    issued = other.it.fabric.issued_at_s
    refused(other, other.ticket(issued_at_s=issued - 7200, expires_at_s=issued - 3600), Expired)


def test_a_newer_bundle_is_fetched_first_where_the_ticket_demands_it() -> None:
    """Mutation: the minimum bundle version is not compared with the bundle in force."""
    other = restored()
    newer = other.it.fabric.next_bundle()
    refused(other, other.ticket(minimum_bundle_version=2), BundleTooOld)
    other.cluster.trust.update(newer)
    assert other.cluster.validate_restore(other.ticket()).changed


def test_a_ticket_under_an_older_bundle_than_was_accepted_is_refused() -> None:
    """Mutation: the minimum bundle version may be below this node's floor."""
    it = enrolled()
    it.cluster.trust.update(it.fabric.next_bundle())
    other = restored(it)
    refusal = refused(other, other.ticket(minimum_bundle_version=1), TicketMismatch)
    assert isinstance(refusal, TicketMismatch) and refusal.field == "minimum_bundle_version"


def test_old_roots_validate_nothing_once_they_are_gone() -> None:
    """Spec 11: no replay of old trust roots."""
    it = enrolled()
    old = it.fabric
    it.cluster.trust.update(old.next_bundle(roots=["root-4", "root-5", "root-6"]))
    other = restored(it)
    with pytest.raises(RefusedError):
        other.cluster.validate_restore(other.ticket(sign_with=["root-1", "root-2"]))
    assert other.cluster.validate_restore(other.ticket()).changed


def test_a_revoked_identity_is_not_accepted_again() -> None:
    """Mutation: the identity that a ticket accepts is not looked up among the revocations."""
    it = enrolled()
    other = restored(it)
    entry = Revocation(RevocationKind.IDENTITY, "node:node-1", (), None)
    other.cluster.trust.update(it.fabric.next_bundle(revocations=(entry,)))
    refused(other, other.ticket(), Revoked)
    assert other.cluster.validate_restore(other.ticket(verdict=RestoreVerdict.REENROLL)).changed


def test_the_nonce_serves_one_restore() -> None:
    """Fails when a restore does not make a nonce of its own."""
    it = enrolled()
    other = restored(it)
    ticket = other.ticket()
    other.cluster.validate_restore(ticket)
    from rap_projections.cluster_building import mark_restored

    mark_restored(other.cluster._core, reason="copy", backup_digest=b"")
    refusal = refused(other, ticket, TicketMismatch)
    assert isinstance(refusal, TicketMismatch) and refusal.field == "nonce"


def test_a_copy_of_the_restored_root_cannot_use_the_ticket() -> None:
    """Fails when the incarnation is not compared: a clone has the same journal and nonce."""
    other = restored()
    kit = other.it.kit
    ticket = other.ticket()
    clone = kit.filesystem.image()
    store = NodeStore.open(NEW_ROOT, keys=kit.keys, clock=kit.clock, filesystem=clone, background=False)
    with pytest.raises(TicketMismatch) as caught:
        store.cluster(CLUSTER).validate_restore(ticket)
    assert caught.value.field == "incarnation"
    assert other.cluster.validate_restore(ticket).changed


def test_reenroll_ends_the_identity_and_bars_high_risk_work_until_there_is_a_new_one() -> None:
    """Fails when the identity class is not reset, or the gate does not wait for a certificate."""
    other = restored()
    fabric = other.it.fabric
    fabric.issued_at_s += 600
    other.cluster.validate_restore(other.ticket(verdict=RestoreVerdict.REENROLL))
    assert other.cluster.identity.status().enrollment.value == "none"
    assert other.cluster.allows(Operation.START_SERVICE)[:2] == (False, "reenroll")
    with pytest.raises(NotAllowed):
        other.cluster.require(Operation.START_SERVICE)
    request = other.cluster.identity.request(node_id="node-1", membership_id="m-2")
    other.cluster.identity.enroll(certificate=fabric.certificate(request))
    assert other.cluster.allows(Operation.START_SERVICE).ok


def test_a_sound_state_has_nothing_to_ask() -> None:
    it = furnished()
    with pytest.raises(MisuseError) as caught:
        it.cluster.restore_request()
    assert caught.value.reason == "not_restored"
    with pytest.raises(MisuseError):
        it.cluster.validate_restore(it.fabric.restore_ticket())


def test_a_node_that_never_enrolled_can_be_validated_too() -> None:
    other = restored(furnished())
    assert other.cluster.restore_request().node_id == "unenrolled"
    assert other.cluster.validate_restore(other.ticket()).changed


def doubtful() -> Ready:
    """A store whose witness lost a slot that nothing explains: it must be validated, without any backup."""
    it = enrolled()
    it.kit.wound("witness-flip")
    return it


def test_a_witness_in_doubt_is_validated_like_a_restore() -> None:
    it = doubtful()
    request = it.cluster.restore_request()
    assert (request.reason, request.backup_digest) == ("witness_behind", bytes(32))
    assert it.cluster.validate_restore(it.fabric.restore_ticket(**answer(request))).changed


def test_a_power_cut_while_validating_leaves_it_validated_or_not() -> None:
    states = set()
    for crash in crashed_at_every_operation(
        doubtful, lambda it: it.cluster.validate_restore(it.fabric.restore_ticket(**answer(it.cluster.restore_request())))
    ):
        crash.it.kit.open()
        state = crash.it.cluster.status()["trust"]["restore_state"]
        states.add(state)
        assert state == "normal" or not crash.finished
        if state != "normal":
            ticket = crash.it.fabric.restore_ticket(**answer(crash.it.cluster.restore_request()))
            assert crash.it.cluster.validate_restore(ticket).changed
    assert states == {"normal", "restored-not-validated"}
