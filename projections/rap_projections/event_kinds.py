"""What an event kind is, and the registry of all of them.

Rules this file keeps:

- A kind is a stable small number with a version; a number is never reused, a fold is frozen per (kind, version).
- An event is an immutable named tuple, and its body on disk is that tuple: the order of fields is the format.
- Every field has a sensitivity, so that a redacted copy can be made from an allow-list.

Example::

    @event_kind(61, state_class=HEALTH, category=Category.DECISION, sensitivity="open, text")
    class DegradedEntered(NamedTuple):
        reason: str
        safe_until_us: int | None
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar, cast

from rap_journal.records import Category, Record
from rap_journal.values import ClassSpec, Durability

IDENTITY = ClassSpec(1, "identity", Durability.STRICT)
TRUST = ClassSpec(2, "trust", Durability.STRICT)
SNAPSHOTS = ClassSpec(3, "snapshots", Durability.STRICT)
UPDATES = ClassSpec(4, "updates", Durability.STRICT)
SERVICES = ClassSpec(5, "services", Durability.SYNC)
HEALTH = ClassSpec(6, "health", Durability.SYNC)
PEERS = ClassSpec(7, "peers", Durability.CACHE)
ROUTES = ClassSpec(8, "routes", Durability.CACHE)
TELEMETRY = ClassSpec(9, "telemetry", Durability.CACHE)
AGENT = ClassSpec(10, "agent", Durability.SYNC)

CLUSTER_CLASSES = (IDENTITY, TRUST, SNAPSHOTS, UPDATES, SERVICES, HEALTH, PEERS, ROUTES, TELEMETRY)
"""The state classes of a cluster, strictest first, in the order in which folds and checkpoints are made."""

AGENT_CLASSES = (AGENT,)

SENSITIVITIES = ("open", "name", "address", "text", "digest", "document")
"""How a redacted copy treats a field: kept / keyed pseudonym / dropped to its family / dropped / keyed pseudonym / dropped."""

Event = tuple[Any, ...]
"""Any event: an instance of one of the registered named tuples."""


class EventKind(NamedTuple):
    """Everything the registry knows about one (kind, version)."""

    number: int
    version: int
    name: str
    state_class: ClassSpec | None
    category: Category
    durability: Durability
    sensitivity: dict[str, str]
    type: Any
    level: int = 1


_BY_NUMBER: dict[tuple[int, int], EventKind] = {}
_BY_TYPE: dict[type, EventKind] = {}
_Named = TypeVar("_Named", bound=type)


def event_kind(
    number: int,
    *,
    state_class: ClassSpec | None,
    category: Category,
    sensitivity: str,
    version: int = 1,
    durability: Durability | None = None,
    level: int = 1,
) -> Callable[[_Named], _Named]:
    """Register the named tuple below as event kind `number`.

    Args:
        number: 1 to 999 critical, from 1000 ignorable.
        state_class: the class that folds it; None for a kind that any class may carry.
        category: what sort of thing it tells.
        sensitivity: one of `SENSITIVITIES` per field, comma-separated, in order.
        version: version of the body.
        durability: where it differs from its class's: a batched kind of a sync class, for example.
        level: format level at which this kind, or this version of it, came: it is not written below that.
    """

    def register(named: _Named) -> _Named:
        fields: tuple[str, ...] = cast(Any, named)._fields
        levels = [level.strip() for level in sensitivity.split(",")] if sensitivity else []
        assert len(levels) == len(fields) and set(levels) <= set(SENSITIVITIES), named.__name__
        assert (number, version) not in _BY_NUMBER, f"kind {number} version {version} is taken"
        kept = durability if durability is not None else state_class.durability if state_class else Durability.SYNC
        kind = EventKind(
            number, version, named.__name__, state_class, category, kept, dict(zip(fields, levels, strict=True)), named, level
        )
        _BY_NUMBER[number, version] = kind
        _BY_TYPE[named] = kind
        return named

    return register


def kind_of(event: Event) -> EventKind:
    """The registered kind of an event."""
    return _BY_TYPE[type(event)]


def kind_of_type(named: type) -> EventKind:
    """The registered kind of a class of events."""
    return _BY_TYPE[named]


def kind_numbered(number: int, version: int) -> EventKind | None:
    """The kind with this number and version, or None when this release does not know it."""
    return _BY_NUMBER.get((number, version))


def all_kinds() -> Iterator[EventKind]:
    """Every registered kind, by number and version."""
    return iter(sorted(_BY_NUMBER.values(), key=lambda kind: (kind.number, kind.version)))


def event_of(record: Record) -> Event | None:
    """The event a record carries, or None when its kind is unknown to this release."""
    kind = _BY_NUMBER.get((record.kind, record.version))
    return kind.type._make(record.body) if kind else None
