"""The registry of event kinds: what a kind is made of, and what is refused when one is added."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from rap_journal.records import FIRST_IGNORABLE_KIND, Category, Record
from rap_journal.values import Durability
from rap_projections import event_kinds
from rap_projections.event_kinds import (
    AGENT,
    AGENT_CLASSES,
    CLUSTER_CLASSES,
    HEALTH,
    PEERS,
    SENSITIVITIES,
    TRUST,
    all_kinds,
    event_kind,
    event_of,
    kind_numbered,
    kind_of,
    kind_of_type,
)

FREE = FIRST_IGNORABLE_KIND + 7


@pytest.fixture(autouse=True)
def registry_as_it_was() -> Iterator[None]:
    """What a test registers goes again."""
    numbers, types = dict(event_kinds._BY_NUMBER), dict(event_kinds._BY_TYPE)
    yield
    for registry, before in ((event_kinds._BY_NUMBER, numbers), (event_kinds._BY_TYPE, types)):
        registry.clear()
        registry.update(before)  # type: ignore[arg-type]  # each gets back what it held


class Seen(NamedTuple):
    name: str
    times: int


def registered(**options: Any) -> Any:
    settings: dict[str, Any] = {"state_class": PEERS, "category": Category.OBSERVATION, "sensitivity": "name, open"} | options
    return event_kind(settings.pop("number", FREE), **settings)(Seen)


def record(kind: int, version: int, body: Any) -> Record:
    return Record(1, kind, version, 0, PEERS.number, 1, 0, 0, 0, b"", (), None, "", None, body)


def test_the_numbers_folders_and_durabilities_of_classes_stand_on_disks() -> None:
    assert [(spec.number, spec.name, spec.durability) for spec in (*CLUSTER_CLASSES, *AGENT_CLASSES)] == [
        (1, "identity", Durability.STRICT),
        (2, "trust", Durability.STRICT),
        (3, "snapshots", Durability.STRICT),
        (4, "updates", Durability.STRICT),
        (5, "services", Durability.SYNC),
        (6, "health", Durability.SYNC),
        (7, "peers", Durability.CACHE),
        (8, "routes", Durability.CACHE),
        (9, "telemetry", Durability.CACHE),
        (10, "agent", Durability.SYNC),
    ]


def test_a_registered_kind_is_found_by_event_by_type_and_by_number() -> None:
    registered()
    kind = kind_of(Seen("a", 1))
    assert kind == kind_of_type(Seen) == kind_numbered(FREE, 1)
    assert (kind.number, kind.version, kind.name, kind.type) == (FREE, 1, "Seen", Seen)
    assert (kind.state_class, kind.category, kind.durability) == (PEERS, Category.OBSERVATION, Durability.CACHE)
    assert kind.sensitivity == {"name": "name", "times": "open"}
    assert kind.level == 1, "every release writes it unless it says otherwise"


def test_registering_gives_the_event_back_as_it_was() -> None:
    assert registered() is Seen


@pytest.mark.parametrize(
    ("state_class", "given", "expected"),
    [
        (HEALTH, None, Durability.SYNC),
        (TRUST, None, Durability.STRICT),
        (HEALTH, Durability.CACHE, Durability.CACHE),
        (None, None, Durability.SYNC),
        (AGENT, None, Durability.SYNC),
    ],
)
def test_a_kind_is_as_durable_as_its_class_unless_it_says_otherwise(
    state_class: Any, given: Durability | None, expected: Durability
) -> None:
    registered(state_class=state_class, durability=given)
    assert kind_of_type(Seen).durability is expected


def test_a_number_is_never_reused_and_a_new_version_is_another_kind() -> None:
    registered()
    registered(version=2)
    assert [kind_numbered(FREE, version) is not None for version in (1, 2, 3)] == [True, True, False]
    with pytest.raises(AssertionError, match=f"kind {FREE} version 1 is taken"):
        registered()


@pytest.mark.parametrize("sensitivity", ["", "open", "open, open, open", "open, secret", "open; open"])
def test_every_field_has_a_sensitivity_that_the_list_knows(sensitivity: str) -> None:
    with pytest.raises(AssertionError, match="Seen"):
        registered(sensitivity=sensitivity)
    assert kind_numbered(FREE, 1) is None


def test_the_sensitivities_are_a_closed_list() -> None:
    assert SENSITIVITIES == ("open", "name", "address", "text", "digest", "document")


def test_an_event_without_fields_needs_no_sensitivity() -> None:
    class Empty(NamedTuple):
        pass

    event_kind(FREE, state_class=PEERS, category=Category.NOTE, sensitivity="")(Empty)
    assert kind_of(Empty()).sensitivity == {}
    assert event_of(record(FREE, 1, [])) == Empty()


def test_the_body_of_a_record_is_the_event_in_the_order_of_its_fields() -> None:
    registered()
    for body in (["a", 1], ("a", 1)):
        event = event_of(record(FREE, 1, body))
        assert (type(event), event) == (Seen, Seen("a", 1))


def test_a_kind_or_version_that_this_release_does_not_know_is_no_event() -> None:
    registered()
    assert event_of(record(FREE + 1, 1, ["a", 1])) is None
    assert event_of(record(FREE, 2, ["a", 1])) is None
    assert kind_numbered(FREE, 2) is None


def test_what_is_no_event_has_no_kind() -> None:
    calls: list[Callable[[], object]] = [lambda: kind_of(("a", 1)), lambda: kind_of_type(str)]
    for call in calls:
        with pytest.raises(KeyError):
            call()


def test_all_kinds_come_by_number_and_version() -> None:
    registered(version=2)
    registered(number=FREE - 1)
    kinds = [(kind.number, kind.version) for kind in all_kinds()]
    assert kinds == sorted(kinds)
    assert kinds[-2:] == [(FREE - 1, 1), (FREE, 2)]
