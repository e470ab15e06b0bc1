"""What is retired is told by the ledger first; pins hold the floor; and a crash anywhere loses no entry and no state."""

import hashlib

import pytest

from rap_journal.layout import checkpoint_name
from rap_journal.ledger import LEDGER_CATEGORIES, list_ledger
from rap_journal.records import Category, Record
from rap_projections.event_kinds import event_of
from rap_projections.history import History
from rap_projections.policy import Policy
from rap_projections.testing.memory_store import ROOT
from rap_projections.upkeep_events import DamageFound, LedgerShortened
from tests.projections.store_kit import (
    CLUSTER,
    FOLDER,
    Ready,
    crashed_at_every_operation,
    files,
    flip_bit,
    folder,
    frames,
    names,
    ready,
    write_file,
    written,
)

FORGETFUL = Policy(history_all_h=0, incident_days=0)
HOUR_S = 3600


def sets_made_by(it: Ready, count: int, hours: float = 0) -> list[int]:
    """So many checkpoint sets so many hours apart, each behind a flag, which is a decision, and a note, which is none."""
    sets = []
    for number in range(count):
        it.kit.clock.advance(seconds=int(hours * HOUR_S))
        it.cluster.health.partition(f"flag-{number % 2}", on=number % 4 < 2)
        it.cluster.note(f"note {number}")
        sets.append(it.cluster.checkpoint().lsn)
    return sets


def floor(it: Ready) -> int:
    with History.open(ROOT, keys=it.kit.keys, filesystem=it.kit.filesystem) as history:
        return history.cluster(CLUSTER).horizon.oldest_lsn


def told(it: Ready) -> list[Record]:
    """Everything that can still be told: the ledger first, then the segments."""
    with History.open(ROOT, keys=it.kit.keys, filesystem=it.kit.filesystem) as history:
        cluster = history.cluster(CLUSTER)
        return [*(entry.record for entry in cluster.ledger()), *cluster.records()]


def ledger_names(it: Ready) -> list[str]:
    return names(it.kit.filesystem, f"{FOLDER}/journal/", part="ledger-")


def test_decisions_outlive_their_segments_and_notes_do_not() -> None:
    it = ready(policy=FORGETFUL)
    before = written(it)
    sets_made_by(it, 1)
    everything = {record.lsn: record for record in written(it)}
    sets_made_by(it, 3)
    first_lsn = floor(it) + 1
    found = told(it)
    gone = [record for record in found if record.lsn < first_lsn]
    assert {record.category for record in gone} <= LEDGER_CATEGORIES and len(gone) >= len(before)
    for record in gone:
        if record.lsn in everything:
            assert record == everything[record.lsn]
    notes = [record for record in everything.values() if record.category == Category.NOTE]
    assert notes and not {record.lsn for record in notes} & {record.lsn for record in found}
    lsns = [record.lsn for record in found]
    assert lsns == sorted(set(lsns))


def test_without_ledger_days_nothing_is_kept_of_it() -> None:
    it = ready(policy=Policy(history_all_h=0, ledger_days=0))
    sets_made_by(it, 4)
    assert floor(it) > 0 and ledger_names(it) == []


def test_with_sets_written_often_the_floor_moves_all_the_same() -> None:
    it = ready(policy=Policy(history_all_h=4, incident_days=0))
    sets = sets_made_by(it, 12, hours=1)
    oldest = floor(it)
    assert oldest in sets
    hours_kept = len(sets) - 1 - sets.index(oldest)
    assert 4 <= hours_kept <= 6
    assert len(list_ledger(folder(it.kit.filesystem, f"{FOLDER}/journal"))) >= 2


def test_the_half_hour_before_an_incident_stays_for_its_days() -> None:
    it = ready(policy=Policy(history_all_h=1, incident_days=2))
    sets = sets_made_by(it, 4, hours=1)
    it.cluster.health.enter_degraded("no_contact")
    it.cluster.health.leave_degraded("no_contact")
    sets += sets_made_by(it, 40, hours=1)
    # The set made with the incident is behind the half hour before it, the one an hour before is not.
    assert floor(it) <= sets[2] and floor(it) > 0
    sets += sets_made_by(it, 12, hours=1)
    assert floor(it) > sets[4]
    assert it.cluster.view().health.upkeep.incidents == ()


def test_what_is_too_old_for_the_ledger_goes_with_an_event_first() -> None:
    it = ready(policy=Policy(history_all_h=0, incident_days=0, ledger_days=1))
    sets_made_by(it, 4)
    old = ledger_names(it)
    assert len(old) >= 2
    sets_made_by(it, 2, hours=11)
    assert set(old) < set(ledger_names(it))
    it.kit.clock.advance(seconds=3 * HOUR_S)
    before, seen = ledger_names(it), len(it.kit.filesystem.operations)
    sets_made_by(it, 1)
    gone = set(before) - set(ledger_names(it))
    assert not set(old) & set(ledger_names(it)) and ledger_names(it)
    done = it.kit.filesystem.operations[seen:]
    first = next(at for at, operation in enumerate(done) if operation.name == "unlink" and "ledger-" in operation.path)
    assert any(operation.name == "sync" and "/journal/0" in operation.path for operation in done[:first])
    shortened = [event for event in map(event_of, written(it, floor(it))) if isinstance(event, LedgerShortened)]
    assert [event.file_count for event in shortened] == [len(gone)]
    assert it.cluster.status()["store"]["ledger_gone_lsn"] == shortened[0].last_lsn


def test_the_ledger_is_bounded_in_bytes() -> None:
    it = ready(policy=Policy(history_all_h=0, incident_days=0, ledger_bytes_max=6000))
    for _ in range(12):
        sets_made_by(it, 1)
        sizes = [len(content) for path, content in files(it.kit.filesystem, f"{FOLDER}/journal/ledger-").items()]
        assert sum(sizes) <= 6000
    assert sizes


def test_history_that_cannot_be_read_is_kept_and_reported() -> None:
    it = ready(policy=FORGETFUL)
    sets_made_by(it, 1)
    path = frames(it.kit.filesystem)[0].path
    # Rot in the closed segment costs its records, and what is left of it is told. A seal that is broken is tampering, and evidence.
    place = next(each for each in frames(it.kit.filesystem) if each.path == path and not each.is_strict)
    content = files(it.kit.filesystem)[path]
    forged = _with_right_digest(content, place.offset, place.end)
    write_file(it.kit.filesystem, path, forged)
    before = floor(it)
    sets_made_by(it, 3)
    assert floor(it) == before and path in files(it.kit.filesystem)
    assert [entry["reason"] for entry in it.cluster.status()["store"]["damage"]] == ["seal_broken"]


def _with_right_digest(segment: bytes, offset: int, end: int) -> bytes:
    """A segment in which one frame's payload is another, and its digest right, and the chain behind it broken."""
    frame = bytearray(segment[offset:end])
    stored = int.from_bytes(frame[8:12], "little")
    frame[80] ^= 1
    frame[-16:] = hashlib.sha256(frame[: 80 + stored]).digest()[:16]
    return segment[:offset] + bytes(frame) + segment[end:]


def test_nothing_goes_while_the_set_that_is_to_be_the_oldest_does_not_read_back() -> None:
    it = ready(policy=Policy(history_all_h=1, incident_days=0))
    sets = sets_made_by(it, 2)
    flip_bit(it.kit.filesystem, f"{FOLDER}/trust/{checkpoint_name(sets[-1])}")
    it.kit.clock.advance(seconds=2 * HOUR_S)
    before = list(files(it.kit.filesystem, f"{FOLDER}/journal/0"))
    sets_made_by(it, 1)
    assert set(before) <= set(files(it.kit.filesystem, f"{FOLDER}/journal/0"))
    damage = [event for event in map(event_of, written(it)) if isinstance(event, DamageFound)]
    assert [event.file for event in damage] == [f"trust/{checkpoint_name(sets[-1])}"]


def about_to_retire() -> Ready:
    """A store in which the next checkpoint retires history, and shortens the ledger."""
    it = ready(policy=Policy(history_all_h=0, incident_days=0))
    sets_made_by(it, 2)
    it.cluster.health.partition("last", on=True)
    return it


@pytest.mark.parametrize("again", [False, True], ids=["power cut", "and retired again"])
def test_a_crash_at_any_operation_of_retiring_loses_no_entry_and_no_state(again: bool) -> None:
    it = about_to_retire()
    expected = {record.lsn: record for record in told(it) if record.category in LEDGER_CATEGORIES}
    flags = it.cluster.view().health.partition_flags
    counted = 0
    for crash in crashed_at_every_operation(about_to_retire, lambda it: it.cluster.checkpoint()):
        crash.it.kit.open()
        if again:
            sets_made_by(crash.it, 1)
        else:
            assert crash.it.cluster.view().health.partition_flags == flags
        assert crash.it.cluster.status()["fail_closed"] is None and not crash.it.cluster.recovery.is_damage
        crash.it.kit.store.close()
        found = told(crash.it)
        lsns = [record.lsn for record in found]
        assert lsns == sorted(set(lsns)), crash.at
        assert {record.lsn: record for record in found if record.lsn in expected} == expected, crash.at
        counted += 1
    assert counted > 60
