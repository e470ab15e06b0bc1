"""The door to the projections: every journal's other side has what it asks for, and is called in its order."""

import inspect

import pytest

from rap_journal.projections import Projections, RecoveringProjections
from rap_journal.testing import MemoryFileSystem
from rap_projections.journaled_state import JournaledState
from tests.journal.workbench import HEALTH, PEERS, Ledger, create_journal, open_journal, record_of

ASKED = ("restore", "apply", "floors", "waiting", "give_back", "committed")


def test_the_door_asks_for_nothing_else() -> None:
    asked = {name for door in (Projections, RecoveringProjections) for name in vars(door) if not name.startswith("_")}
    assert asked == set(ASKED)


@pytest.mark.parametrize("name", ASKED)
@pytest.mark.parametrize("side", [Ledger, JournaledState])
def test_whoever_folds_records_takes_what_the_door_hands_on(side: type, name: str) -> None:
    asked = inspect.signature(getattr(RecoveringProjections, name))
    assert len(inspect.signature(getattr(side, name)).parameters) == len(asked.parameters)


def test_a_frame_is_gathered_folded_and_told_in_this_order() -> None:
    filesystem, calls = MemoryFileSystem(), list[str]()
    create_journal(filesystem)
    opened = open_journal(filesystem)
    for name in ASKED:
        call = getattr(opened.ledger, name)

        def noted(*given: object, name: str = name, call: object = call) -> object:
            calls.append(name)
            assert callable(call)
            return call(*given)

        setattr(opened.ledger, name, noted)
    opened.ledger.riding += [record_of(PEERS, ["riding", 1])]
    opened.append(HEALTH, ["health"])
    assert calls == ["waiting", "apply", "floors", "committed"]
    calls.clear()
    opened.append(HEALTH, ["no new segment, so nothing to witness yet"])
    assert calls == ["waiting", "apply", "committed"]
