"""Every bullet of sections 4 to 12 of the specification is answered by a call that exists."""

import re
from functools import cached_property

import pytest

from tests.project.call_paths import Unresolved, member_type, public_names, require_member, resolve_place
from tests.project.spec_map import SPEC_MAP, Answer
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


def require_call(call: str) -> None:
    """Raise `Unresolved`, or fail, unless `call` exists."""
    root, _, rest = call.partition(".")
    if call.startswith("workload offers only "):
        assert public_names(root_class("workload")) == set(call.removeprefix("workload offers only ").split(", "))
    elif root in ("store", "cluster", "workload"):
        require_member(root_class(root), rest.split("."))
    else:
        resolve_place(call)


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


@pytest.mark.parametrize("call", sorted({call for answer in SPEC_MAP if answer.due == "now" for call in answer.calls}))
def test_each_call_that_is_due_now_exists(call: str) -> None:
    require_call(call)


class Leaf:
    size: int

    def read(self) -> bytes:
        return b""


class Trunk:
    attribute: Leaf

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


@pytest.mark.parametrize("path", ["attribute.size", "branch.read", "kept.read", "make.read", "make"])
def test_a_path_of_annotated_members_is_found(path: str) -> None:
    require_member(Trunk, path.split("."))
    assert public_names(Leaf) == {"size", "read"}


@pytest.mark.parametrize("path", ["twig", "branch.twig", "only_in_the_constructor", "branch.size.real.twig", "_hidden"])
def test_a_path_that_ends_nowhere_is_unresolved(path: str) -> None:
    with pytest.raises(Unresolved):
        require_member(Trunk, path.split("."))


@pytest.mark.parametrize("place", ["rap_journal.errors:NoSuchThing", "rap_journal.nowhere", "rap_journal.errors:NoSpace.nothing"])
def test_a_place_that_is_not_there_is_unresolved(place: str) -> None:
    with pytest.raises(Unresolved):
        resolve_place(place)
