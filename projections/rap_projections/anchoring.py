"""The anchor of a store: asked at opening, raised when floors rose, and set up by a deliberate call (trust, 15).

Rules this file keeps:

- Floors are written for a number, durably and witnessed, then the anchor is raised to it. A crash in between is made up for.
- An anchor that is ahead of the agent's journal puts every cluster in doubt, by the same event that brings both into step again: a
  cluster that is not open then is marked when it is.
- An anchor that does not answer never blocks anything: it is told in status, and asked again every ten minutes.
- Before each raise it is asked: another process that raised it meanwhile has a copy of this root.
- One that is behind or gone is told, and nothing more, until somebody calls `provision_anchor`.

What an answer means is decided in `anchor_decisions`, what a doubt does to a cluster in `doubts`.

Example::

    anchoring = Anchoring(anchor, folders, agent_state, opened=memberships.opened)
    anchoring.open()
    anchoring.tick()
"""

import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Protocol

from rap_journal.errors import FormatTooNew, KeyLost, MisuseError, NoSpace, StateStoreError
from rap_projections.agent_state import AgentState
from rap_projections.anchor_decisions import (
    REST_US,
    AnchorState,
    Answer,
    count_risen,
    decide_numbered,
    decide_seen,
    is_below,
    is_due,
    judge,
    settings_of,
)
from rap_projections.anchor_events import AnchorDoubtSettled, AnchorNote
from rap_projections.doubts import Doubt
from rap_projections.event_kinds import Event
from rap_projections.key_providers.anchors import NUMBER_MAX, Anchor, ProvisioningAnchor
from rap_projections.known_floors import NOTHING_KNOWN, KnownFloors
from rap_projections.node_time import Now
from rap_projections.store_folders import StoreFolders

FLOORS, SET_UP, ROLLED_BACK = "floors", "set_up", "rolled_back"
"""Why a number is written."""

_ROLLBACKS = {AnchorState.CURRENT: "not_seen", AnchorState.ROLLED_BACK: "seen"}


class Anchored(Protocol):
    """An open cluster, as its floors are written for the anchor."""

    @property
    def id(self) -> str:
        """Its id."""
        ...

    def known_floors(self) -> KnownFloors:
        """Its highest floors."""
        ...

    def heed_doubts(self) -> None:
        """Ask again whether its state is in doubt, and mark it."""
        ...


class Anchoring:
    """The anchor of one store (`doubts.Doubts`). Thread-safe."""

    def __init__(
        self, anchor: Anchor | None, folders: StoreFolders, agent_state: AgentState, *, opened: Callable[[], Iterable[Anchored]]
    ) -> None:
        self._anchor = anchor
        self._folders = folders
        self._agent = agent_state
        self._opened = opened
        self._turn = threading.RLock()
        self._state = AnchorState.NONE if anchor is None else AnchorState.UNAVAILABLE
        self._was_rolled_back = False
        self._unwritten: frozenset[str] = frozenset()
        self._looked: dict[str, KnownFloors] = {}
        self._risen = 0
        self._asked_us = 0
        self._seen = 0
        self._reason = ""

    @property
    def anchor_state(self) -> str:
        """What the anchor's last answer means."""
        return self._state.value

    @property
    def is_idle(self) -> bool:
        """Nothing here waits for less than the housekeeper's patrol."""
        return True

    def open(self) -> None:
        """Ask the anchor, before any cluster is opened. Raises what writing into the agent's journal raises, but for `NoSpace`."""
        with self._turn:
            self._looked = dict(self._note.floors)
            self._ask_and_judge()

    def about(self, cluster_id: str, floors: KnownFloors) -> Doubt | None:
        """As `Doubts.about`."""
        note = self._note
        anchored = note.floors.get(cluster_id, NOTHING_KNOWN)
        is_doubtful = cluster_id in self._unwritten or cluster_id in note.doubtful or is_below(floors, anchored)
        return Doubt(anchored) if is_doubtful else None

    def settled(self, cluster_id: str) -> None:
        """As `Doubts.settled`."""
        # Where it cannot be noted, the cluster is asked for a ticket once more: no harm, and the cautious side.
        with self._turn, suppress(NoSpace, FormatTooNew):
            self._unwritten -= {cluster_id}
            self._agent.execute(lambda now: (AnchorDoubtSettled(cluster_id),) if cluster_id in self._note.doubtful else ())

    def tick(self) -> None:
        """Called by the housekeeper: ask again what did not answer, and raise the anchor if floors rose and it is time to."""
        if self._anchor is None or not self._turn.acquire(blocking=False):
            return
        try:
            self._tick(self._anchor)
        finally:
            self._turn.release()

    def close(self) -> None:
        """Raise the anchor, if floors rose and it has rested: the copy that somebody puts back may be taken from now on."""
        with self._turn:
            if self._anchor is not None and self._is_in_step and self._look() > 0 and self._since_us() >= REST_US:
                self._raise(self._anchor)

    def provision(self) -> int:
        """As `StoreKeys.provision_anchor`."""
        anchor = self._anchor
        if anchor is None:
            raise MisuseError(
                "the store was opened without an anchor; nothing was done. Open it with anchor=.", reason="no_anchor"
            )
        with self._turn:
            if self._state in (AnchorState.UNAVAILABLE, AnchorState.CURRENT, AnchorState.ROLLED_BACK):
                self._ask_and_judge()
                self._heed()
            if not self._is_in_step:
                self._set_up(anchor)
            return self._note.number

    def report(self) -> dict[str, Any]:
        """What is known of it, safe to send: state, why it does not answer, the number that it showed and the one that floors were
        written for last, floors that rose since, clusters whose own journals do not say yet that they are in doubt."""
        note = self._note
        return {
            "state": self.anchor_state,
            "reason": self._reason or None,
            "seen": self._seen or None,
            "written": note.number or None,
            "written_at_us": note.at_us or None,
            "waiting_floors": self._risen,
            "doubtful": sorted({*self._unwritten, *note.doubtful}),
        }

    @property
    def whole_root_rollback(self) -> str:
        """Whether the whole root was put back from a copy: "seen" in this opening, "not_seen", or "cannot_tell"."""
        return "seen" if self._was_rolled_back else _ROLLBACKS.get(self._state, "cannot_tell")

    @property
    def _note(self) -> AnchorNote:
        return self._agent.view().anchor

    @property
    def _is_in_step(self) -> bool:
        return self._state in (AnchorState.CURRENT, AnchorState.ROLLED_BACK)

    def _since_us(self) -> int:
        return self._agent.node_us() - self._note.at_us

    def _tick(self, anchor: Anchor) -> None:
        is_open_question = self._state is AnchorState.UNAVAILABLE or self._unwritten
        if is_open_question and self._agent.node_us() - self._asked_us >= REST_US:
            self._ask_and_judge()
        self._heed()
        settings = settings_of(self._folders.policy)
        if self._is_in_step and is_due(self._note, risen=self._look(), now_us=self._agent.node_us(), settings=settings):
            self._raise(anchor)

    def _look(self) -> int:
        """Count the floors that rose since the last look; returns how many rose since they were written."""
        floors = self._floors()
        self._risen += count_risen(self._looked, floors)
        self._looked.update(floors)
        return self._risen

    def _floors(self) -> dict[str, KnownFloors]:
        return {cluster.id: cluster.known_floors() for cluster in self._opened()}

    def _raise(self, anchor: Anchor) -> None:
        """Write floors for the next number and raise the anchor to it, if it still shows the last one."""
        self._ask_and_judge()
        self._heed()
        if self._state is AnchorState.CURRENT:
            self._write_and_raise(anchor, self._note.number + 1, FLOORS)

    def _set_up(self, anchor: Anchor) -> None:
        if isinstance(anchor, ProvisioningAnchor):
            anchor.provision()
        number = anchor.read() + 1
        self._agent.execute(lambda now: self._decide(number, SET_UP, frozenset()))
        anchor.raise_to(number)
        self._seen = number
        self._mark_raised()
        self._tell(AnchorState.CURRENT)

    def _ask_and_judge(self) -> None:
        """Ask the anchor and act on its answer; it is left as it is but for one raise that a crash prevented, or that follows a rollback."""
        anchor = self._anchor
        if anchor is None:
            return
        self._asked_us = self._agent.node_us()
        answer = self._ask(anchor)
        clusters = {*self._agent.view().clusters, *self._folders.names()}
        written = self._note.number
        state = judge(answer, written=written, has_clusters=bool(clusters))
        self._seen = answer.number or 0
        if state is AnchorState.ROLLED_BACK:
            self._was_rolled_back, self._unwritten = True, frozenset(clusters)
            self._tell(state)
            self._write_and_raise(anchor, self._seen + 1, ROLLED_BACK)
        elif state is AnchorState.CURRENT and self._seen < written and not self._rise(anchor, written):
            self._tell(AnchorState.UNAVAILABLE)
        else:
            self._tell(state)

    def _ask(self, anchor: Anchor) -> Answer:
        self._reason = ""
        try:
            number = anchor.read()
        except KeyLost:
            return Answer(None, is_gone=True)
        except Exception as error:  # noqa: BLE001 - a driver raises what it likes, and one that does not answer blocks nothing.
            self._reason = _reason(error)
            return Answer(None)
        if type(number) is int and 0 <= number <= NUMBER_MAX:
            return Answer(number)
        self._reason = "no_number"
        return Answer(None)

    def _write_and_raise(self, anchor: Anchor, number: int, reason: str) -> None:
        """Without room for the event nothing is raised: at the next opening or tick all is as it was."""
        with suppress(NoSpace, FormatTooNew):
            self._agent.execute(lambda now: self._decide(number, reason, self._unwritten))
            # From here on the agent's journal knows who is in doubt.
            self._unwritten = frozenset()
            if self._rise(anchor, number):
                self._mark_raised()
            else:
                self._tell(AnchorState.UNAVAILABLE)

    def _decide(self, number: int, reason: str, doubtful: frozenset[str]) -> tuple[Event, ...]:
        return decide_numbered(self._agent.view(), number, reason=reason, floors=self._floors(), doubtful=doubtful)

    def _rise(self, anchor: Anchor, number: int) -> bool:
        try:
            anchor.raise_to(number)
        except Exception as error:  # noqa: BLE001 - as above.
            self._reason = _reason(error)
            return False
        self._seen = number
        return True

    def _mark_raised(self) -> None:
        self._risen, self._looked = 0, dict(self._note.floors)

    def _tell(self, state: AnchorState) -> None:
        self._state = state

        def decide(now: Now) -> tuple[Event, ...]:
            return decide_seen(self._agent.view(), state, self._seen)

        with suppress(NoSpace, FormatTooNew):
            self._agent.execute(decide)

    def _heed(self) -> None:
        """Let open clusters hear of doubts. One that cannot write it down stays in doubt, and is asked again."""
        doubtful = {*self._unwritten, *self._note.doubtful}
        for cluster in self._opened() if doubtful else ():
            if cluster.id in doubtful:
                with suppress(StateStoreError, OSError):
                    cluster.heed_doubts()


def _reason(error: Exception) -> str:
    return (error.reason if isinstance(error, StateStoreError) else None) or type(error).__name__
