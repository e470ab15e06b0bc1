"""The events of the snapshots class: what each carries, and that what is staged claims nothing."""

import pytest

from rap_projections import snapshot_events
from rap_projections.event_kinds import SNAPSHOTS, kind_of_type
from rap_projections.snapshot_events import IncrementApplied, SnapshotActivated, SnapshotFacts, SnapshotFellBack, SnapshotStaged
from tests.projections.frozen_kinds import kinds_in, kinds_of, unwrapped

FROZEN = """
30.1 SnapshotStaged observation strict: scope, form, source (name), stored (document)
31.1 SnapshotActivated decision strict: scope, version, content_id (digest), issued_at_s, refresh_after_s, expires_at_s, minimum,
    audience (name), signer_kids (digest), verified_at_s, bundle_version, stored (document), previous_max, limits
32.1 SnapshotPendingDropped eviction strict: scope, file_id (digest), reason
33.1 SnapshotRefused refusal strict: source (name), scope, reason, rule, times, digest (digest)
34.1 PreviousDropped eviction strict: scope, content_id (digest), file_id (digest), reason
35.1 AppliedReported decision strict: scope, version, content_id (digest)
36.1 EquivocationSeen refusal strict: scope, version, known_content_id (digest), other_content_id (digest), evidence_file_id
    (digest)
37.1 SnapshotFellBack decision strict: scope, version, content_id (digest), given_up_content_id (digest), reason
38.1 IncrementApplied decision strict: scope, version, content_id (digest), issued_at_s, refresh_after_s, expires_at_s, minimum,
    audience (name), signer_kids (digest), verified_at_s, bundle_version, stored (document), previous_max, limits, base_content_id
    (digest)
39.1 HeadApplied decision strict: version, content_id (digest), issued_at_s, expires_at_s, bundle_version, entries, signer_kids
    (digest), stored (document)
120.1 SnapshotFloorRaised lifecycle strict: scope, version, content_id (digest), origin
121.1 SnapshotWithdrawn decision strict: scope, content_id (digest), reason
"""
"""What stands on disks: a number is never reused, and another order of fields would be another meaning."""


def test_the_kinds_are_the_ones_that_stand_on_disks() -> None:
    assert kinds_of(snapshot_events) == unwrapped(FROZEN)


def test_all_are_strict_events_of_the_snapshots_class_numbered_30_to_39_and_from_120_on() -> None:
    kinds = kinds_in(snapshot_events)
    assert [kind.number for kind in kinds] == [*range(30, 40), 120, 121]
    assert {kind.state_class for kind in kinds} == {SNAPSHOTS}


def test_what_is_staged_is_only_bytes() -> None:
    """Its event says for what and by whom they were offered; nothing of what they say, and no content id that would vouch for them."""
    assert SnapshotStaged._fields == ("scope", "form", "source", "stored")


@pytest.mark.parametrize("event", [SnapshotActivated, IncrementApplied])
def test_what_makes_a_document_active_begins_with_its_own_facts_in_one_order(event: type[SnapshotActivated]) -> None:
    assert event._fields[: len(SnapshotFacts._fields)] == SnapshotFacts._fields
    assert event._fields[len(SnapshotFacts._fields) :][:3] == ("stored", "previous_max", "limits")
    sensitivity = kind_of_type(event).sensitivity
    assert {name: sensitivity[name] for name in SnapshotFacts._fields} == {
        name: kind_of_type(SnapshotActivated).sensitivity[name] for name in SnapshotFacts._fields
    }


def test_an_increment_names_the_document_it_was_applied_to() -> None:
    assert IncrementApplied._fields == (*SnapshotActivated._fields, "base_content_id")


def test_facts_are_a_part_of_events_and_none_themselves() -> None:
    with pytest.raises(KeyError):
        kind_of_type(SnapshotFacts)


def test_a_fall_back_names_what_serves_and_what_was_given_up_and_no_floor() -> None:
    assert SnapshotFellBack._fields == ("scope", "version", "content_id", "given_up_content_id", "reason")


def test_whoever_is_named_in_an_audience_is_a_name() -> None:
    assert kind_of_type(SnapshotActivated).sensitivity["audience"] == "name"
