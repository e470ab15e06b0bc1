"""All classes of a journal folded together: each record to its class, unknown kinds by their number, broken classes left alone."""

from typing import Any

import pytest

from rap_journal.deterministic_cbor import decode, encode_arrays
from rap_journal.errors import DamageError, FormatTooNew
from rap_journal.records import FIRST_IGNORABLE_KIND, Record
from rap_journal.values import ClassSpec
from rap_projections.class_table import AGENT_FOLDS, CLUSTER_FOLDS
from rap_projections.documents import SnapshotPayload
from rap_projections.event_kinds import CLUSTER_CLASSES, HEALTH, SERVICES, TRUST, Event, kind_of
from rap_projections.folding import ClassFolds, FoldedState
from rap_projections.health_events import UptimeDebited
from rap_projections.lifecycle import ClassReset, Note
from rap_projections.trust_events import SignedInstantSeen
from tests.projections.store_kit import furnished, written


class NoDocuments:
    """Documents of which none can be read."""

    def snapshot(self, content_id: bytes) -> SnapshotPayload:
        """Nothing is there."""
        raise DamageError("gone", reason="document_lost")


def empty_state() -> FoldedState:
    """The state of a cluster before its first record."""
    return FoldedState(CLUSTER_FOLDS, NoDocuments())


def record(lsn: int, event: Event, *, spec: ClassSpec | None = None, node_us: int = 1, rows: int = 1) -> Record:
    """`event` as a record of its own class, or of `spec`."""
    kind = kind_of(event)
    owner = spec or kind.state_class
    body = decode(encode_arrays(tuple(event)))
    return raw(lsn, kind.number, kind.version, owner.number if owner else 0, body, node_us=node_us, rows=rows)


def raw(lsn: int, kind: int, version: int, state_class: int, body: Any, *, node_us: int = 1, rows: int = 1) -> Record:
    """A record of any kind at all."""
    return Record(lsn, kind, version, 1, state_class, rows, 0, 0, node_us, b"", (), None, "", None, body)


def reset(lsn: int, spec: ClassSpec) -> Record:
    """A record that starts a class anew."""
    return record(lsn, ClassReset(spec.number, 0, 0, "test"), spec=spec)


def breaking(*, broken: ClassSpec) -> FoldedState:
    """A state in which a remark needs a document that cannot be read, for the class `broken`."""

    def needs_a_document(state: Any, event: Any, record: Record, documents: Any) -> None:
        documents.snapshot(b"")

    def broken_folds(folds: ClassFolds) -> ClassFolds:
        return folds._replace(folds={**folds.folds, Note: needs_a_document}) if folds.spec == broken else folds

    return FoldedState([broken_folds(folds) for folds in CLUSTER_FOLDS], NoDocuments())


NOTE = Note("a remark")
INSTANT = SignedInstantSeen(b"kid", 100, 0)


def test_the_tables_hold_every_class_once_strictest_first() -> None:
    assert tuple(folds.spec for folds in CLUSTER_FOLDS) == CLUSTER_CLASSES
    assert [folds.spec.name for folds in AGENT_FOLDS] == ["agent"]


def test_a_record_changes_its_own_class_and_no_other() -> None:
    state = empty_state()
    before = dict(state.class_digests())
    state.apply([record(1, INSTANT)])
    after = dict(state.class_digests())
    assert [number for number in before if before[number] != after[number]] == [TRUST.number]
    assert state.view(TRUST).trusted_s(0) == 100


def test_the_state_stands_at_the_last_row_of_the_last_record() -> None:
    state = empty_state()
    state.apply([])
    assert (state.lsn, state.node_us) == (0, 0)
    state.apply([record(1, NOTE, node_us=7), record(2, NOTE, node_us=9, rows=5)])
    assert (state.lsn, state.node_us) == (6, 9)
    state.apply([record(7, NOTE, node_us=8)])
    assert (state.lsn, state.node_us) == (7, 9)


@pytest.mark.parametrize("kind", [FIRST_IGNORABLE_KIND + 900, 60_000])
def test_an_unknown_kind_that_may_be_ignored_is_skipped(kind: int) -> None:
    state = empty_state()
    before = state.digest()
    state.apply([raw(1, kind, 1, HEALTH.number, ["whatever"])])
    assert (state.digest(), state.lsn) == (before, 1)


UNKNOWN = {
    "a kind of a later release": (FIRST_IGNORABLE_KIND - 1, 1, HEALTH.number),
    "a later version of a kind": (kind_of(INSTANT).number, 99, TRUST.number),
    "a class of a later release": (kind_of(INSTANT).number, 1, 99),
    "a kind in a class that does not fold it": (kind_of(INSTANT).number, 1, HEALTH.number),
}


@pytest.mark.parametrize("unknown", UNKNOWN)
def test_an_unknown_critical_kind_stops_folding_and_names_itself(unknown: str) -> None:
    kind, version, state_class = UNKNOWN[unknown]
    state = empty_state()
    with pytest.raises(FormatTooNew, match=f"record 2 is of kind {kind} version {version}") as caught:
        state.apply([record(1, NOTE), raw(2, kind, version, state_class, []), record(3, NOTE)])
    assert (caught.value.lsn, caught.value.reason) == (2, "unknown_kind")
    assert len(state.view(HEALTH).notes) == 1


def test_a_class_without_its_document_is_broken_and_costs_no_other_class() -> None:
    state = breaking(broken=HEALTH)
    health = state.class_digest(HEALTH.number)
    state.apply([record(1, NOTE), record(2, INSTANT), record(3, UptimeDebited(5, b"", 0))])
    assert (set(state.broken), state.lsn) == ({HEALTH.number}, 3)
    assert state.class_digest(HEALTH.number) == health
    assert state.view(TRUST).trusted_s(0) == 100
    with pytest.raises(DamageError) as caught:
        state.require_whole()
    assert caught.value is state.broken[HEALTH.number]


def test_the_reset_of_a_broken_class_mends_it_and_that_of_another_does_not() -> None:
    state = breaking(broken=HEALTH)
    state.apply([record(1, NOTE), reset(2, TRUST)])
    assert set(state.broken) == {HEALTH.number}
    state.apply([reset(3, HEALTH), record(4, UptimeDebited(5, b"", 0))])
    assert (state.broken, state.view(HEALTH).uptime.used_s) == ({}, 5)
    state.require_whole()


def test_a_checkpoint_restores_every_class_and_its_digest() -> None:
    state, again = empty_state(), empty_state()
    state.apply([record(1, NOTE), record(2, INSTANT), reset(3, SERVICES)])
    assert again.digest() != state.digest()
    for spec in CLUSTER_CLASSES:
        again.restore(spec.number, decode(encode_arrays(state.value(spec.number))))
    assert (again.class_digests(), again.digest()) == (state.class_digests(), state.digest())
    for spec in CLUSTER_CLASSES:
        again.restore(spec.number, None)
    assert again.digest() == empty_state().digest()


def test_equal_digests_mean_equal_states_however_the_records_were_split() -> None:
    it = furnished()
    records, shelf = written(it), it.cluster._core.shelf
    whole, piecewise = FoldedState(CLUSTER_FOLDS, shelf), FoldedState(CLUSTER_FOLDS, shelf)
    whole.apply(records)
    for one in records:
        piecewise.apply([one])
    assert whole.digest() == piecewise.digest() == it.cluster.digest()
    assert (whole.lsn, whole.node_us) == (piecewise.lsn, piecewise.node_us)
    assert whole.broken == piecewise.broken == {}


def test_the_digest_of_a_state_covers_every_class() -> None:
    state = empty_state()
    assert [number for number, _digest in state.class_digests()] == [spec.number for spec in CLUSTER_CLASSES]
    assert len(state.digest()) == 64 and len(state.class_digest(TRUST.number)) == 32
