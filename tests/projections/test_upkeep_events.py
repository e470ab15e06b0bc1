"""The events of a journal's upkeep: what each carries, and that none names a cluster."""

from rap_projections import upkeep_events
from rap_projections.event_kinds import HEALTH
from tests.projections.frozen_kinds import kinds_in, kinds_of, unwrapped

FROZEN = """
130.1 FailClosedEntered lifecycle sync: reason
131.1 FailClosedLeft lifecycle sync: reason
132.1 SpaceGaveWay eviction sync: step, byte_count, file_count, disk_bytes, disk_bytes_max
133.1 LedgerShortened eviction sync: last_lsn, file_count, byte_count
134.1 DamageFound lifecycle sync: file (name), offset, reason, class_mask, action
135.1 ScrubDone lifecycle sync: file_count, byte_count, repaired_count, standing (name)
"""
"""What stands on disks: a number is never reused, and another order of fields would be another meaning."""


def test_the_kinds_are_the_ones_that_stand_on_disks() -> None:
    assert kinds_of(upkeep_events) == unwrapped(FROZEN)


def test_all_are_events_of_the_health_class_numbered_from_130_on_and_durable() -> None:
    kinds = kinds_in(upkeep_events)
    assert [kind.number for kind in kinds] == list(range(130, 130 + len(kinds)))
    assert {(kind.state_class, kind.durability) for kind in kinds} == {(HEALTH, HEALTH.durability)}


def test_what_is_given_up_is_told_with_its_files_and_bytes() -> None:
    given_up = [kind for kind in kinds_in(upkeep_events) if kind.category.name == "EVICTION"]
    assert [kind.name for kind in given_up] == ["SpaceGaveWay", "LedgerShortened"]
    assert all({"byte_count", "file_count"} <= kind.sensitivity.keys() for kind in given_up)


def test_files_are_names_and_no_field_is_for_the_name_of_a_cluster() -> None:
    named = {
        f"{kind.name}.{field}" for kind in kinds_in(upkeep_events) for field, level in kind.sensitivity.items() if level == "name"
    }
    assert named == {"DamageFound.file", "ScrubDone.standing"}
    assert not [kind.name for kind in kinds_in(upkeep_events) if "cluster" in kind.sensitivity]
