"""What the number of an anchor means beside the number that the agent's journal knows, and when it is to rise. Pure code (trust, 15).

Rules this file keeps:

- Floors are written for the next number, then the anchor is raised: the journal's own number and the one before it are both in order.
- An anchor that shows more than the journal knows proves that the journal is an older copy. One that shows less proves nothing: it was
  cleared, or is another one. What does not answer proves nothing either.
- A cluster whose floors are below those that were written with a number was put back alone, whatever the anchor says.
- Raising is bounded, since counters in hardware wear out.

Example::

    state = judge(Answer(8), written=7, has_clusters=True)
    assert state is AnchorState.ROLLED_BACK
"""

from collections.abc import Mapping, Set
from enum import Enum
from typing import NamedTuple

from rap_projections import agent
from rap_projections.agent import AgentView
from rap_projections.anchor_events import AnchorNote, AnchorNumbered, AnchorSeen
from rap_projections.event_kinds import Event
from rap_projections.known_floors import KnownFloors, higher_floors
from rap_projections.policy import Policy
from rap_projections.retention import HOUR_US

REST_US = 10 * 60 * 1_000_000
"""Between two raises there is at least this time, however many floors rise: 53,000 raises a year at the very most."""


class AnchorState(Enum):
    """What the anchor's answer means."""

    NONE = "none"
    """The store was opened without one."""
    UNAVAILABLE = "unavailable"
    """It does not answer. Nothing is decided from that."""
    NOT_SET_UP = "not_set_up"
    """Nothing was ever written for it, and nothing says that anything should have been."""
    CURRENT = "current"
    """The journal is the newest that this anchor ever saw, or a crash came before its last raise."""
    ROLLED_BACK = "rolled_back"
    """It is ahead of the journal: the whole root was put back from a copy, or a copy of it was at work meanwhile."""
    BEHIND = "behind"
    """The journal is ahead of it by more than a crash explains: it is another anchor."""
    LOST = "lost"
    """There is no counter any more: it was cleared, or this is another machine."""


class Standing(Enum):
    """How the anchor's number stands to the one that the journal knows."""

    SILENT = "it does not answer"
    GONE = "there is none"
    FRESH = "it was never raised"
    LOWER = "lower by two or more"
    ONE_LOWER = "lower by one"
    EQUAL = "the same"
    HIGHER = "higher"


class Knows(Enum):
    """What the journal knows of numbers."""

    NOTHING = "it never wrote one, and there are no clusters"
    CLUSTERS = "it never wrote one, and there are clusters"
    NUMBER = "it wrote one"


VERDICTS: Mapping[tuple[Standing, Knows], AnchorState] = {
    **{(Standing.SILENT, knows): AnchorState.UNAVAILABLE for knows in Knows},
    (Standing.GONE, Knows.NOTHING): AnchorState.NOT_SET_UP,
    (Standing.GONE, Knows.CLUSTERS): AnchorState.NOT_SET_UP,
    (Standing.GONE, Knows.NUMBER): AnchorState.LOST,
    (Standing.FRESH, Knows.NOTHING): AnchorState.NOT_SET_UP,
    (Standing.FRESH, Knows.CLUSTERS): AnchorState.NOT_SET_UP,
    # Somebody raised it, perhaps for another store: without clusters nothing can have been put back.
    (Standing.HIGHER, Knows.NOTHING): AnchorState.NOT_SET_UP,
    # The journal that knew its number is gone: begun anew after damage, or older than the day on which the anchor was set up.
    (Standing.HIGHER, Knows.CLUSTERS): AnchorState.ROLLED_BACK,
    (Standing.HIGHER, Knows.NUMBER): AnchorState.ROLLED_BACK,
    (Standing.EQUAL, Knows.NUMBER): AnchorState.CURRENT,
    # The crash came between writing and raising. An anchor made anew may show this too: it is at 0 where the first number was written.
    (Standing.ONE_LOWER, Knows.NUMBER): AnchorState.CURRENT,
    (Standing.LOWER, Knows.NUMBER): AnchorState.BEHIND,
}
"""By how the number stands, and what the journal knows. Combinations that are not here cannot be."""


class Answer(NamedTuple):
    """What the anchor said: its number, or None where it is `gone` or does not answer."""

    number: int | None
    is_gone: bool = False


class Settings(NamedTuple):
    """When the anchor is raised: at most so many hours after the last time, where a floor rose, or sooner at so many floors."""

    interval_h: int
    floors_max: int


def judge(answer: Answer, *, written: int, has_clusters: bool) -> AnchorState:
    """What an answer means. `written`: the number that the journal knows, 0 for none."""
    knows = Knows.NUMBER if written else Knows.CLUSTERS if has_clusters else Knows.NOTHING
    return VERDICTS[_standing(answer, written), knows]


def settings_of(policy: Policy) -> Settings:
    """The limits of the operator's policy."""
    return Settings(policy.anchor_interval_h, policy.anchor_floors_max)


def is_due(note: AnchorNote, *, risen: int, now_us: int, settings: Settings) -> bool:
    """Whether the anchor is to rise at node time `now_us`. `risen`: floors that rose since they were written last."""
    since_us = now_us - note.at_us
    return risen > 0 and since_us >= REST_US and (risen >= settings.floors_max or since_us >= settings.interval_h * HOUR_US)


def count_risen(before: Mapping[str, KnownFloors], after: Mapping[str, KnownFloors]) -> int:
    """How many floors are higher than `before`; every one of a cluster that was not there before."""
    return sum(len(_parts(floors) - _parts(before[name]) if name in before else _parts(floors)) for name, floors in after.items())


def is_below(floors: KnownFloors, anchored: KnownFloors) -> bool:
    """Whether a floor is lower than the one written down, or another content of the same version."""
    ours = _versions(floors)
    for name, (version, said) in _versions(anchored).items():
        known, known_said = ours.get(name, ((0, 0), b""))
        if known < version or (known == version and b"" not in (said, known_said) and said != known_said):
            return True
    return False


def decide_numbered(
    view: AgentView, number: int, *, reason: str, floors: Mapping[str, KnownFloors], doubtful: Set[str] = frozenset()
) -> tuple[Event, ...]:
    """Write floors for a number that the anchor is raised to next. Who was in doubt stays so; no floor of a joined cluster is lowered.

    Of clusters that this installation does not know any more nothing is kept.
    """
    note, known = view.anchor, {*view.clusters, *floors, *doubtful}
    kept = {name: before for name, before in note.floors.items() if name in known}
    highest = {name: higher_floors(now, kept.get(name, now)) for name, now in floors.items()}
    still = sorted({*doubtful, *[name for name in note.doubtful if name in known]})
    return (AnchorNumbered(number, reason, tuple(sorted({**kept, **highest}.items())), tuple(still)),)


def decide_seen(view: AgentView, state: AnchorState, number: int) -> tuple[Event, ...]:
    """Tell what the anchor's answer means, where it means something else than the last one did."""
    if view.anchor.state == state.value:
        return ()
    told = _TOLD.get(state)
    return (AnchorSeen(state.value, number), *(agent.decide_diagnostic(f"anchor-{_word(state)}", text=told) if told else ()))


def _standing(answer: Answer, written: int) -> Standing:
    number = answer.number
    if number is None:
        return Standing.GONE if answer.is_gone else Standing.SILENT
    if not written:
        return Standing.HIGHER if number else Standing.FRESH
    if number >= written:
        return Standing.EQUAL if number == written else Standing.HIGHER
    return Standing.ONE_LOWER if number == written - 1 else Standing.LOWER


def _parts(floors: KnownFloors) -> set[tuple[object, ...]]:
    """Every floor that a document can raise; time runs by itself and is none of them."""
    parts: set[tuple[object, ...]] = {("scope", *scope) for scope in floors.scopes}
    return parts | {("bundle", *floors.bundle), ("revocations", *floors.revocations), ("head", *floors.head)}


def _versions(floors: KnownFloors) -> dict[str, tuple[tuple[int, int], bytes]]:
    """Version and content id of the floor of every scope, of the bundle and of the head."""
    scopes = {f"scope {name}": ((generation, version), said) for name, generation, version, said in floors.scopes}
    return scopes | {"bundle": ((0, floors.bundle[0]), floors.bundle[1]), "head": (floors.head[:2], floors.head[2])}


def _word(state: AnchorState) -> str:
    return state.value.replace("_", "-")


_TOLD: Mapping[AnchorState, str] = {
    AnchorState.ROLLED_BACK: "the anchor is ahead of this journal: the root was put back from a copy, or a copy of it was at work. Every "
    "cluster is restored and not validated; ask for tickets.",
    AnchorState.BEHIND: "the journal is ahead of the anchor: it is another one, or was cleared. Nothing was decided from it; look why, then "
    "call provision_anchor().",
    AnchorState.LOST: "there is no counter any more: the anchor was cleared, or this is another machine. Nothing was decided from it; look "
    "why, then call provision_anchor().",
    AnchorState.UNAVAILABLE: "the anchor does not answer; nothing was decided from that, and it is asked again.",
}
"""What a diagnostic says of answers that somebody should look at."""
