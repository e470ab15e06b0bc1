"""The events of the updates class: what each carries, and that everything pending came from a signed reference."""

from rap_projections import update_events
from rap_projections.documents import ArtifactReference
from rap_projections.event_kinds import UPDATES, kind_of_type
from rap_projections.update_events import CurrentVersionSeen, UpdateActivated, UpdateStaged
from tests.projections.frozen_kinds import hints_in, kinds_in, kinds_of, unwrapped

FROZEN = """
40.1 UpdateStaged decision strict: subject (name), version, sequence, sha256 (digest), size, location (address), rollout (name),
    minimum_sequence, content_id (digest), stored (document)
41.1 ArtifactVerified decision strict: subject (name), sequence, sha256 (digest)
42.1 UpdateActivated decision strict: subject (name), version, sequence, sha256 (digest)
43.1 UpdateConfirmed decision strict: subject (name), sequence
44.1 UpdateRolledBack decision strict: subject (name), given_up_sequence, version, sequence, sha256 (digest), reason
45.1 UpdateDropped eviction strict: subject (name), sequence, reason
46.1 UpdateRefused refusal strict: source (name), subject (name), reason, times, digest (digest)
47.1 OffersApplied decision strict: content_id (digest)
48.1 CurrentVersionSeen observation strict: subject (name), version, sequence, sha256 (digest)
49.1 CandidateDropped eviction strict: subject (name), sequence, reason
140.1 UpdateMinimumRaised lifecycle strict: subject (name), minimum_sequence, origin
"""
"""What stands on disks: a number is never reused, and another order of fields would be another meaning."""


def test_the_kinds_are_the_ones_that_stand_on_disks() -> None:
    assert kinds_of(update_events) == unwrapped(FROZEN)


def test_all_are_strict_events_of_the_updates_class_numbered_40_to_49_and_from_140_on() -> None:
    assert [(kind.number, kind.state_class) for kind in kinds_in(update_events)] == [
        (number, UPDATES) for number in (*range(40, 50), 140)
    ]


def test_what_is_staged_is_a_signed_reference_and_names_the_document_that_holds_it() -> None:
    assert UpdateStaged._fields == (*ArtifactReference._fields, "content_id", "stored")


def test_the_bytes_count_by_their_digest_and_stand_in_no_event() -> None:
    hints = hints_in(update_events)
    assert {place.partition(".")[2] for place, parts in hints.items() if bytes in parts} == {"sha256", "content_id", "digest"}


def test_every_step_of_a_release_says_of_which_sequence_it_is() -> None:
    """The version is a name for people; a sequence number orders the releases."""
    without = [kind.name for kind in kinds_in(update_events) if "sequence" not in kind.sensitivity]
    assert without == ["UpdateRefused", "OffersApplied", "UpdateMinimumRaised"]


def test_a_release_that_this_store_did_not_install_is_told_like_one_that_it_did() -> None:
    assert CurrentVersionSeen._fields == UpdateActivated._fields


def test_where_an_artifact_may_be_fetched_is_an_address() -> None:
    assert kind_of_type(UpdateStaged).sensitivity["location"] == "address"
