"""The table of state classes: every class stands in it once, with the functions of its own module."""

from types import ModuleType
from typing import Any

import pytest

from rap_projections import agent, health, identity, peers, routes, services, snapshots, telemetry, trust, updates
from rap_projections.class_table import AGENT_FOLDS, CLUSTER_FOLDS
from rap_projections.event_kinds import AGENT_CLASSES, CLUSTER_CLASSES
from rap_projections.folding import ClassFolds, FoldedState
from tests.projections.class_log import Bodies

MODULES: dict[str, ModuleType] = {
    "identity": identity, "trust": trust, "snapshots": snapshots, "updates": updates, "services": services, "health": health,
    "peers": peers, "routes": routes, "telemetry": telemetry, "agent": agent,
}  # fmt: skip
ROWS = [*CLUSTER_FOLDS, *AGENT_FOLDS]
every_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.spec.name)


def test_the_classes_of_a_cluster_stand_in_it_strictest_first_and_the_agent_has_one() -> None:
    assert tuple(row.spec for row in CLUSTER_FOLDS) == CLUSTER_CLASSES
    assert tuple(row.spec for row in AGENT_FOLDS) == AGENT_CLASSES
    durabilities = [row.spec.durability for row in CLUSTER_FOLDS]
    assert durabilities == sorted(durabilities, reverse=True)


@every_row
def test_a_row_has_the_functions_of_its_class_and_of_no_other(row: ClassFolds) -> None:
    module: Any = MODULES[row.spec.name]
    assert row == ClassFolds(row.spec, module.empty, module.FOLDS, module.to_value, module.from_value, module.view)


@every_row
def test_an_empty_class_can_be_kept_restored_and_shown(row: ClassFolds) -> None:
    value = row.to_value(row.empty())
    restored = row.from_value(value)
    assert row.to_value(restored) == value
    assert row.view(restored) == row.view(row.empty())


def test_two_empty_states_share_nothing_that_could_be_changed() -> None:
    for row in ROWS:
        assert row.empty() is not row.empty()


def test_a_state_of_all_classes_is_made_of_the_table() -> None:
    state = FoldedState(CLUSTER_FOLDS, Bodies({}))
    assert [state.value(row.spec.number) for row in CLUSTER_FOLDS] == [row.to_value(row.empty()) for row in CLUSTER_FOLDS]
