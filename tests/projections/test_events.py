"""No event and no field gives local state an authority that belongs to the cluster (architecture, section 4; spec 2)."""

import re
from typing import Any, get_args, get_type_hints

import pytest

from rap_journal.records import Category
from rap_projections.event_kinds import EventKind, all_kinds

KINDS = {
    # life of the journal and of the store
    "PolicyInForce", "RecoveryDone", "Note", "HistoryRetired", "ClassReset", "CheckpointWritten", "Opened", "Closed",
    # identity: what was asked for and what was given
    "EnrollmentRequested", "CertificateInstalled", "RenewalRequested", "CertificateConfirmed", "CertificateRenewed", "IdentityRevoked",
    "RevocationChecked", "IdentityLost", "IdentityRefused", "IdentityRepaired",
    # trust: what signed bundles say
    "TrustPinned", "BundleActivated", "RevocationsMerged", "TrustRefused", "BundleEquivocationSeen", "RestoreMarked", "RestoreValidated",
    "SignedInstantSeen", "TrustFloorRaised", "TrustRepaired",
    # snapshots: signed documents
    "SnapshotStaged", "SnapshotActivated", "SnapshotPendingDropped", "SnapshotRefused", "PreviousDropped", "AppliedReported",
    "EquivocationSeen", "SnapshotFellBack", "IncrementApplied", "HeadApplied", "SnapshotFloorRaised", "SnapshotWithdrawn",
    # updates: signed references and what became of them
    "UpdateStaged", "ArtifactVerified", "UpdateActivated", "UpdateConfirmed", "UpdateRolledBack", "UpdateDropped", "UpdateRefused",
    "OffersApplied", "CurrentVersionSeen", "CandidateDropped", "UpdateMinimumRaised",
    # services: signed assignments, and what workloads say
    "AssignmentsApplied", "ServiceReported", "ServiceCommanded", "CommandTaken", "ServiceRefused", "SecretAllowed", "ServiceRemoved",
    # health: what this node sees of itself
    "ContactObserved", "DegradedEntered", "DegradedLeft", "HeartbeatSent", "PressureObserved", "PartitionFlagged", "DeadlineRenewed",
    "UptimeDebited", "ServicesSummarised", "QuarantineEvicted",
    # health: how this node keeps its journal
    "FailClosedEntered", "FailClosedLeft", "SpaceGaveWay", "LedgerShortened", "DamageFound", "ScrubDone",
    # caches: signed directories and candidates, and hints of this node
    "PeersObserved", "DirectoryApplied", "PeersExpired", "PeersEvicted", "CandidatesApplied", "RoutesSelected", "RoutesExpired",
    "RouteResult", "RoutesEvicted", "TelemetryRecorded", "TelemetryAcknowledged", "TelemetryDropped", "HintPut", "HintsExpired",
    "HintsEvicted",
    # the installation
    "AgentInstalled", "ClusterJoined", "ClusterLeft", "FeatureFlagSet", "DiagnosticNoted", "UpdateEngineSeen",
    "AnchorNumbered", "AnchorSeen", "AnchorDoubtSettled",
}  # fmt: skip
"""Every kind there is. A new one is written here by somebody who has asked whether it gives authority."""

AUTHORITY = re.compile(
    r"approv|grant|issue(?!r\b|d_at)|assign(?!ments?\b)|promot|elect(?!ed)|organi[sz]ation|enroll(?!ment_)|delegat|admit|vote|quorum"
    r"|authori|mutat|member(?!ship_id)|role|cross_cluster|foreign",
    re.IGNORECASE,
)
"""Words of authority, but for the few names that speak of what was given from outside."""

ASKED_OR_GIVEN = {"EnrollmentRequested", "AssignmentsApplied"}
"""Kinds whose names hold such a word all the same: the first asks, the second takes over a signed snapshot."""


def fields() -> list[tuple[EventKind, str, Any]]:
    return [(kind, name, hint) for kind in all_kinds() for name, hint in get_type_hints(kind.type).items()]


def test_the_kinds_are_those_that_were_looked_at() -> None:
    assert {kind.name for kind in all_kinds()} == KINDS


def test_no_kind_speaks_of_authority() -> None:
    assert {kind.name for kind in all_kinds() if AUTHORITY.search(kind.name)} == ASKED_OR_GIVEN


def test_no_field_speaks_of_authority() -> None:
    assert [(kind.name, name) for kind, name, _ in fields() if AUTHORITY.search(name)] == []


@pytest.mark.parametrize(
    "name",
    [
        "EnrollmentApproved",
        "CertificateIssued",
        "RoleAssigned",
        "PolicyMutated",
        "OrganisationChanged",
        "PartitionPromoted",
        "TrustGranted",
    ],
)
def test_the_words_would_be_found(name: str) -> None:
    assert AUTHORITY.search(name)


def test_what_is_in_force_is_named_by_content_id_and_was_signed() -> None:
    """Roots, policy, roles, assignments and candidates change by applying a signed document, and its content id stands in the event."""
    applying = {kind.name for kind, name, _ in fields() if name == "content_id"}
    assert applying == {
        *("BundleActivated", "SnapshotActivated", "IncrementApplied", "HeadApplied", "SnapshotFellBack", "SnapshotWithdrawn"),
        *("AppliedReported", "PreviousDropped", "SnapshotFloorRaised", "UpdateStaged", "OffersApplied", "AssignmentsApplied"),
        *("DirectoryApplied", "CandidatesApplied"),
    }


def test_no_field_names_a_key_or_a_secret_but_by_reference_or_digest() -> None:
    secretive = re.compile(r"key|secret|password|token|credential|private", re.IGNORECASE)
    named = {(kind.name, name) for kind, name, _ in fields() if secretive.search(name)}
    assert {name for _, name in named} == {"key_reference", "key_algorithm", "key_sha256", "key", "keys"}
    # The last two are names of hints.
    assert {kind for kind, name in named if name in ("key", "keys")} == {"HintPut", "HintsExpired", "HintsEvicted"}


def test_no_field_is_a_float_or_a_map() -> None:
    def parts(hint: Any) -> set[Any]:
        return {hint} | {part for argument in get_args(hint) for part in parts(argument)}

    assert [(kind.name, name) for kind, name, hint in fields() if parts(hint) & {float, dict}] == []


def test_refusals_and_evictions_have_kinds_in_every_class_that_can_refuse_or_evict() -> None:
    def classes(category: Category) -> set[str]:
        return {kind.state_class.name for kind in all_kinds() if kind.category is category and kind.state_class}

    assert classes(Category.REFUSAL) == {"identity", "trust", "snapshots", "updates", "services"}
    assert classes(Category.EVICTION) == {"snapshots", "updates", "services", "health", "peers", "routes", "telemetry"}


def test_only_contacts_pressure_heartbeats_summaries_and_checkpoints_of_a_sync_class_are_batched() -> None:
    batched = {kind.name for kind in all_kinds() if kind.state_class and kind.durability < kind.state_class.durability}
    assert batched == {"ContactObserved", "PressureObserved", "HeartbeatSent", "ServicesSummarised", "CheckpointWritten"}
