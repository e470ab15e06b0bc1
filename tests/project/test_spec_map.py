"""Every bullet of sections 4 to 12 of the specification is answered by a call that exists."""

import re
from collections.abc import Mapping
from functools import cache, cached_property
from typing import Any

import pytest

from rap_tools.command_line import COMMANDS
from tests.project.call_paths import Unresolved, member_type, public_names, require_member, resolve_place
from tests.project.spec_answers import Answer
from tests.project.spec_map import SPEC_MAP
from tests.projections.store_kit import furnished
from tests.shared_data import shared_spec

HEADING = re.compile(r"## (\d+)\. ")
BULLET = re.compile(r"(?:- |\d+\. )(.+)")


def bullets(specification: str) -> list[tuple[int, str]]:
    """Section and words of each bullet of sections 4 to 12, in order."""
    section, found = 0, []
    for line in specification.splitlines():
        if heading := HEADING.match(line):
            section = int(heading[1])
        elif 4 <= section <= 12 and (bullet := BULLET.match(line)):
            found.append((section, bullet[1]))
    return found


def root_class(root: str) -> type:
    """The class that `store`, `cluster` or `workload` stands for."""
    store: type = resolve_place("rap_projections:NodeStore")
    if root == "store":
        return store
    cluster = member_type(store, "cluster")
    return cluster if root == "cluster" else member_type(cluster, "workload")


@cache
def shown(call: str) -> Any:
    """What `cluster.status` or `store.report` says of a store with something in every scope."""
    it = furnished()
    return it.cluster.status() if call == "cluster.status" else it.kit.store.report()


def require_shown(value: Any, keys: list[str], call: str) -> None:
    """Raise `Unresolved` unless `value` has a value at `keys`, of which `*` is any key."""
    for key in keys:
        if not isinstance(value, dict) or not value or key not in (*value, "*"):
            raise Unresolved(f"{call}: there is no {key}")
        value = next(iter(value.values())) if key == "*" else value[key]


def require_call(call: str) -> None:
    """Raise `Unresolved`, or fail, unless `call` exists."""
    subject, verb, words = call.partition(" shows ") if " shows " in call else call.partition(" offers only ")
    root, _, rest = call.partition(".")
    if verb == " shows ":
        require_shown(shown(subject), words.split("."), call)
    elif verb:
        assert public_names(root_class(subject)) == set(words.split(", "))
    elif " leaves out " in call:
        place, _, names = call.partition(" leaves out ")
        assert public_names(resolve_place(place)).isdisjoint(names.split(", "))
    elif " holds " in call:
        place, _, name = call.partition(" holds ")
        assert name in resolve_place(place)
    elif call.startswith("rap-state "):
        require_command(call.removeprefix("rap-state "))
    elif root in ("store", "cluster", "workload"):
        require_member(root_class(root), rest.split("."))
    else:
        resolve_place(call)


def require_command(name: str) -> None:
    """Raise `Unresolved` unless the command exists and its module can be run."""
    found = [command for command in COMMANDS if command.name == name]
    if not found:
        raise Unresolved(f"there is no command {name}")
    resolve_place(f"{found[0].module}:run")


def test_the_map_has_every_bullet_of_the_specification_in_order() -> None:
    assert [(answer.section, answer.text) for answer in SPEC_MAP] == bullets(shared_spec().read_text(encoding="utf-8"))


def test_the_map_covers_sections_4_to_12_without_a_gap() -> None:
    counts = {section: sum(answer.section == section for answer in SPEC_MAP) for section in range(1, 16)}
    assert {section: count for section, count in counts.items() if count} == {
        4: 70, 5: 9, 6: 11, 7: 7, 8: 7, 9: 9, 10: 10, 11: 5, 12: 9,
    }  # fmt: skip


@pytest.mark.parametrize("answer", SPEC_MAP, ids=lambda answer: f"{answer.section}: {answer.text[:50]}")
def test_each_bullet_is_answered_or_says_why_not_yet(answer: Answer) -> None:
    assert answer.calls
    assert (answer.due == "later") == bool(answer.reason)


def calls(due: str) -> list[str]:
    """Every call of the map that is due then."""
    return sorted({call for answer in SPEC_MAP if answer.due == due for call in answer.calls})


@pytest.mark.parametrize("call", calls("now"))
def test_each_call_that_is_due_now_exists(call: str) -> None:
    require_call(call)


@pytest.mark.parametrize("call", calls("later"))
def test_no_call_that_is_due_later_exists_yet(call: str) -> None:
    """What was built is no longer due: its bullet is answered by it, or by something better."""
    with pytest.raises(Unresolved):
        require_call(call)


def test_no_answer_stops_at_what_holds_everything() -> None:
    everything = {"cluster.view", "cluster.status", "cluster.recovery", "store.report", "store.agent", "store.agent.view"}
    assert everything.isdisjoint(calls("now"))
    alone = [answer.text for answer in SPEC_MAP if set(answer.calls) <= {"store.open", "store.close", "cluster.activation"}]
    assert alone == []


class Leaf:
    size: int

    def read(self) -> bytes:
        return b""


class Trunk:
    attribute: Leaf
    by_name: Mapping[str, Leaf]
    in_order: tuple[Leaf, ...] | None

    def __init__(self) -> None:
        self.only_in_the_constructor = Leaf()

    @property
    def branch(self) -> Leaf | None:
        return None

    @cached_property
    def kept(self) -> Leaf:
        return Leaf()

    @classmethod
    def make(cls) -> Leaf:
        return Leaf()


@pytest.mark.parametrize(
    "path", ["attribute.size", "branch.read", "kept.read", "make.read", "make", "by_name[].size", "in_order[].read"]
)
def test_a_path_of_annotated_members_is_found(path: str) -> None:
    require_member(Trunk, path.split("."))
    assert public_names(Leaf) == {"size", "read"}


@pytest.mark.parametrize(
    "path",
    ["twig", "branch.twig", "only_in_the_constructor", "branch.size.real.twig", "_hidden", "attribute[].size", "by_name[].twig"],
)
def test_a_path_that_ends_nowhere_is_unresolved(path: str) -> None:
    with pytest.raises(Unresolved):
        require_member(Trunk, path.split("."))


@pytest.mark.parametrize("place", ["rap_journal.errors:NoSuchThing", "rap_journal.nowhere", "rap_journal.errors:NoSpace.nothing"])
def test_a_place_that_is_not_there_is_unresolved(place: str) -> None:
    with pytest.raises(Unresolved):
        resolve_place(place)


@pytest.mark.parametrize(
    "call",
    [
        "cluster.status shows nothing", "cluster.status shows snapshots.*.nothing", "cluster.status shows horizon.*", "rap-state nothing",
        "cluster.view.peers.peers.latency_us", "cluster.refresh",
    ],
)  # fmt: skip
def test_a_call_that_shows_or_does_nothing_is_unresolved(call: str) -> None:
    with pytest.raises(Unresolved):
        require_call(call)
