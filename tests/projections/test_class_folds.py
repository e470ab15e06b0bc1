"""What holds for every strict and sync class, over any history."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rap_journal.deterministic_cbor import decode, encode_arrays
from rap_journal.errors import FormatTooNew
from rap_journal.records import Category, Record
from rap_projections import agent, health, identity, services, snapshots, trust, updates
from rap_projections.event_kinds import (
    AGENT,
    HEALTH,
    IDENTITY,
    SERVICES,
    SNAPSHOTS,
    TRUST,
    UPDATES,
    Event,
    all_kinds,
    event_of,
    kind_of,
)
from rap_projections.folding import ClassFolds, FoldedState
from rap_projections.lifecycle import ClassReset
from tests.projections.arbitrary_events import BODIES, histories
from tests.projections.class_log import Bodies, ClassLog

CLASSES = [
    (IDENTITY, identity),
    (TRUST, trust),
    (SNAPSHOTS, snapshots),
    (UPDATES, updates),
    (SERVICES, services),
    (HEALTH, health),
    (AGENT, agent),
]
MODULES = [module for _, module in CLASSES]
NAMES = [spec.name for spec, _ in CLASSES]
every_class = pytest.mark.parametrize("module", MODULES, ids=NAMES)


def folded(module: Any, events: list[Event]) -> ClassLog:
    log = ClassLog(module, BODIES.get(module))
    for number, event in enumerate(events):
        log.append(event, node_us=number * 1000)
    return log


@every_class
@given(data=st.data())
def test_a_checkpoint_reads_back_as_the_state_it_was_made_of(module: Any, data: st.DataObject) -> None:
    log = folded(module, data.draw(histories(module)))
    value = log.value()
    read = module.from_value(decode(encode_arrays(value)))
    assert read.view == log.state.view
    assert module.to_value(read) == value


@every_class
@given(data=st.data())
def test_replay_from_any_checkpoint_gives_the_same_bytes_as_replay_from_the_start(module: Any, data: st.DataObject) -> None:
    events = data.draw(histories(module))
    cut = data.draw(st.integers(0, len(events)))
    whole, half = folded(module, events), folded(module, events[:cut])
    half.reload()
    for number, event in enumerate(events[cut:], cut):
        half.append(event, node_us=number * 1000)
    assert encode_arrays(half.value()) == encode_arrays(whole.value())


@every_class
@given(data=st.data())
def test_provenance_is_the_lsn_of_the_event_that_last_changed_a_field(module: Any, data: st.DataObject) -> None:
    log, last = ClassLog(module, BODIES.get(module)), {}
    for event in data.draw(histories(module)):
        before = log.state.view
        (lsn,) = log.append(event)
        after = log.state.view
        for name in (name for name in after._fields if name != "provenance"):
            if isinstance(event, ClassReset) or getattr(before, name) != getattr(after, name):
                last[name] = lsn
    assert dict(log.state.view.provenance) == last


@every_class
@given(data=st.data())
def test_since_a_reset_nothing_before_it_counts(module: Any, data: st.DataObject) -> None:
    past, rest = data.draw(histories(module)), data.draw(histories(module))
    reset = ClassReset(1, 1, 1, "gap")
    with_past = folded(module, past)
    without_past = ClassLog(module, BODIES.get(module), last_lsn=with_past.last_lsn)
    for log in (with_past, without_past):
        log.append(reset, *rest)
    assert encode_arrays(with_past.value()) == encode_arrays(without_past.value())


@every_class
@given(data=st.data())
def test_a_view_that_was_handed_out_never_changes(module: Any, data: st.DataObject) -> None:
    log = ClassLog(module, BODIES.get(module))
    handed_out = []
    for event in data.draw(histories(module)):
        handed_out.append((log.state.view, log.value()))
        log.append(event)
    assert all(module.to_value(type(log.state)(view)) == value for view, value in handed_out)


@every_class
@given(data=st.data())
def test_unknown_ignorable_kinds_among_the_events_change_nothing(module: Any, data: st.DataObject) -> None:
    events = data.draw(histories(module))
    strange = data.draw(st.lists(st.integers(0, 30), max_size=5))
    spec = dict(zip(MODULES, [spec for spec, _ in CLASSES], strict=True))[module]
    plain, mixed = (FoldedState([table_row(spec, module)], Bodies(BODIES.get(module, {}))) for _ in range(2))
    for lsn, event in enumerate(events, 1):
        plain.apply([record_of(event, lsn, spec.number)])
        if lsn in strange:
            mixed.apply([record_of(event, lsn, spec.number)._replace(kind=1000 + lsn, body=["news"])])
        mixed.apply([record_of(event, lsn, spec.number)])
    assert plain.value(spec.number) == mixed.value(spec.number)


@every_class
def test_an_unknown_critical_kind_stops_the_fold(module: Any) -> None:
    spec = dict(zip(MODULES, [spec for spec, _ in CLASSES], strict=True))[module]
    state = FoldedState([table_row(spec, module)], Bodies({}))
    with pytest.raises(FormatTooNew):
        state.apply([Record(1, 999, 1, Category.DECISION, spec.number, 1, 0, 0, 0, b"", (), None, "", None, [])])


@pytest.mark.parametrize(("spec", "module"), CLASSES, ids=NAMES)
def test_every_kind_of_a_class_has_a_fold_and_no_other_has(spec: Any, module: Any) -> None:
    kinds = {kind.type for kind in all_kinds() if kind.state_class == spec}
    assert module.FOLDS.keys() == kinds | {ClassReset}


@every_class
def test_every_field_of_a_view_and_its_entries_starts_at_the_empty_state(module: Any) -> None:
    view = module.view(module.empty())
    assert view == type(view)() and dict(view.provenance) == {}


def table_row(spec: Any, module: Any) -> ClassFolds:
    return ClassFolds(spec, module.empty, module.FOLDS, module.to_value, module.from_value, module.view)


def record_of(event: Event, lsn: int, state_class: int) -> Record:
    kind = kind_of(event)
    body = decode(encode_arrays(event))
    record = Record(lsn, kind.number, kind.version, kind.category, state_class, 1, 0, 0, lsn, b"", (), None, "", None, body)
    assert event_of(record) is not None
    return record
