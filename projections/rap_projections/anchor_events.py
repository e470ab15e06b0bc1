"""What the agent's journal remembers of the anchor outside the root: kinds 106 to 108, and their part of the agent's state (trust, 15).

Rules this file keeps:

- A number is written with the floors of all clusters before the anchor is raised to it. It is strict: the anchor rises only once the
  event is witnessed, and what is lost of it shows.
- A cluster that is in doubt stays so until an event says that its own journal has the doubt, across openings and crashes.
- What the anchor answered is told where it is another answer than the last one.

What the answers mean is decided in `anchor_decisions`; the agent class folds these events.

Example::

    AnchorNumbered(number=7, reason="floors", floors=(("eu-west-1", floors),), doubtful=())
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from rap_journal.records import Category, Record
from rap_journal.values import Durability
from rap_projections.class_state import NOTHING
from rap_projections.event_kinds import AGENT, event_kind
from rap_projections.known_floors import KnownFloors


@event_kind(
    106, state_class=AGENT, category=Category.LIFECYCLE, sensitivity="open, open, document, name", durability=Durability.STRICT
)
class AnchorNumbered(NamedTuple):
    """Floors were written for the number that the anchor is raised to next.

    Attributes:
        number: that number.
        reason: "floors" that rose, "set_up" by a deliberate call, or "rolled_back": the anchor was ahead of this journal.
        floors: cluster and the highest floors that are known of it, sorted.
        doubtful: clusters that are to be marked as restored and not validated, sorted.
    """

    number: int
    reason: str
    floors: tuple[tuple[str, KnownFloors], ...]
    doubtful: tuple[str, ...]


@event_kind(107, state_class=AGENT, category=Category.OBSERVATION, sensitivity="open, open")
class AnchorSeen(NamedTuple):
    """The anchor was asked, and the answer was another one than the last.

    Attributes:
        state: what it means, a word of `AnchorState`.
        number: the number that it showed; 0 where it showed none.
    """

    state: str
    number: int


@event_kind(108, state_class=AGENT, category=Category.DECISION, sensitivity="name")
class AnchorDoubtSettled(NamedTuple):
    """A cluster's own journal says now that its state is not validated. `cluster_id`: the cluster."""

    cluster_id: str


class AnchorNote(NamedTuple):
    """The anchor, as the agent's journal knows it.

    Attributes:
        number: the number that floors were written for last; 0 before the first.
        reason: why.
        at_us: node time of that.
        floors: the floors that were written then, by cluster.
        doubtful: clusters whose own journals do not say yet that they are in doubt, sorted.
        state: what the anchor's answer meant when it was another one last; empty before it was ever asked.
        seen: the number that it showed then; 0 where it showed none.
        seen_us: node time of that.
    """

    number: int = 0
    reason: str = ""
    at_us: int = 0
    floors: Mapping[str, KnownFloors] = NOTHING
    doubtful: tuple[str, ...] = ()
    state: str = ""
    seen: int = 0
    seen_us: int = 0


def anchor_numbered(before: AnchorNote, event: AnchorNumbered, record: Record) -> AnchorNote:
    """The step of that event."""
    floors = {cluster: KnownFloors._make(_tupled(known)) for cluster, known in event.floors}
    return before._replace(
        number=event.number, reason=event.reason, at_us=record.node_us, floors=MappingProxyType(floors),
        doubtful=tuple(event.doubtful),
    )  # fmt: skip


def anchor_seen(before: AnchorNote, event: AnchorSeen, record: Record) -> AnchorNote:
    """The step of that event."""
    return before._replace(state=event.state, seen=event.number, seen_us=record.node_us)


def anchor_doubt_settled(before: AnchorNote, event: AnchorDoubtSettled, record: Record) -> AnchorNote:
    """The step of that event."""
    return before._replace(doubtful=tuple([name for name in before.doubtful if name != event.cluster_id]))


STEPS: Mapping[type, Callable[[AnchorNote, Any, Record], AnchorNote]] = {
    AnchorNumbered: anchor_numbered,
    AnchorSeen: anchor_seen,
    AnchorDoubtSettled: anchor_doubt_settled,
}
"""The step of each event about the anchor."""


def _tupled(value: Any) -> Any:
    """Nested arrays as tuples, however they were read."""
    return tuple([_tupled(item) for item in value]) if isinstance(value, list | tuple) else value
