"""The agent class (kinds 7, 8 and 100 to 119): the installation itself, in a journal of its own. It is never cluster authority.

Rules this file keeps:

- Losing this class loses diagnostics and the list of clusters, which is then reported; it never blocks a cluster.
- A cluster that was joined and not left is expected on disk; what is expected and missing is reported.
- An opening without a closing before it was a crash or a kill, and says so.

Example::

    events = decide_joined(view(state), "eu-west-1", journal_id=journal_id)
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from rap_journal.errors import MisuseError
from rap_journal.records import Category, Record
from rap_projections import anchor_events
from rap_projections.anchor_events import AnchorNote
from rap_projections.class_state import NOTHING, folds, shape, with_entry, without
from rap_projections.event_kinds import AGENT, Event, event_kind
from rap_projections.known_floors import NOTHING_KNOWN, KnownFloors
from rap_projections.lifecycle import Closed, Opened

FLAGS_MAX = 256
"""Feature flags that are known at one time."""

DIAGNOSTICS_MAX = 64
LEFT_CLUSTERS_MAX = 64
"""Diagnostics, and clusters that were left, that are kept. Part of the folds' meaning."""

DIAGNOSTIC_LENGTH_MAX = 500
"""Characters of one diagnostic."""

_WORD = re.compile(r"[a-z][a-z0-9_-]{0,63}")


@event_kind(100, state_class=AGENT, category=Category.LIFECYCLE, sensitivity="name")
class AgentInstalled(NamedTuple):
    """The store was made. `install_id`: random id of this installation, 32 hexadecimal digits."""

    install_id: str


@event_kind(101, state_class=AGENT, category=Category.DECISION, sensitivity="name, digest")
class ClusterJoined(NamedTuple):
    """This node keeps state for a cluster from now on; whether it is a member, the cluster decides.

    Attributes:
        cluster_id: the cluster.
        journal_id: 16 random bytes naming its journal.
    """

    cluster_id: str
    journal_id: bytes


@event_kind(102, state_class=AGENT, category=Category.DECISION, sensitivity="name, open, document")
class ClusterLeft(NamedTuple):
    """The state of a cluster was given up.

    Attributes:
        cluster_id: the cluster.
        reason: a short stable word.
        floors: the highest floors that were known of it: joining again starts from them (trust, 15).
    """

    cluster_id: str
    reason: str
    floors: KnownFloors


@event_kind(103, state_class=AGENT, category=Category.DECISION, sensitivity="open, open")
class FeatureFlagSet(NamedTuple):
    """A local feature flag was switched. It opens no gate that a cluster's policy closes."""

    name: str
    on: bool


@event_kind(104, state_class=AGENT, category=Category.NOTE, sensitivity="open, name, text")
class DiagnosticNoted(NamedTuple):
    """Something worth knowing about the installation.

    Attributes:
        code: a short stable word.
        cluster_id: the cluster it concerns; empty where none.
        text: for people; no payload and no secret.
    """

    code: str
    cluster_id: str
    text: str


@event_kind(105, state_class=AGENT, category=Category.OBSERVATION, sensitivity="open, open, open")
class UpdateEngineSeen(NamedTuple):
    """What is known of the machinery that installs updates.

    Attributes:
        name: its name.
        version: its version.
        state: a short word, such as "ready".
    """

    name: str
    version: str
    state: str


class Opening(NamedTuple):
    """The last opening; fields as in `Opened`, then node time and LSN of the event."""

    agent_version: str
    build: str
    incarnation: bytes
    previous_clean: bool
    at_us: int
    lsn: int


class Closing(NamedTuple):
    """The last closing: why, node time and LSN."""

    reason: str
    at_us: int
    lsn: int


class Membership(NamedTuple):
    """A cluster this node joined.

    Attributes:
        journal_id: its journal.
        joined_us: node time of joining.
        left_us: node time of leaving; None while the node stays.
        left_reason: why it was left.
        floors: what is remembered of its floors since it was left; joined again, it stays.
    """

    journal_id: bytes
    joined_us: int
    left_us: int | None
    left_reason: str
    floors: KnownFloors = NOTHING_KNOWN
    provenance: Mapping[str, int] = NOTHING


class Diagnostic(NamedTuple):
    """A diagnostic; fields as in `DiagnosticNoted`, then node time and LSN of the event."""

    code: str
    cluster_id: str
    text: str
    at_us: int
    lsn: int


class UpdateEngine(NamedTuple):
    """What is known of the update engine; fields as in `UpdateEngineSeen`."""

    name: str
    version: str
    state: str


class AgentView(NamedTuple):
    """The installation.

    Attributes:
        install_id: random id of this installation; empty before it was made.
        opened: the last opening.
        closed: the last closing in order.
        is_open: whether the last opening has no closing after it: the agent runs, or was cut off.
        feature_flags: local flags by name.
        clusters: every cluster joined, by id, with the newest 64 of those that were left.
        update_engine: what is known of it.
        diagnostics: recent diagnostics, newest last, at most 64.
        anchor: what is known of the anchor outside the root.
        provenance: LSN that last changed each field.
    """

    install_id: str = ""
    opened: Opening | None = None
    closed: Closing | None = None
    is_open: bool = False
    feature_flags: Mapping[str, bool] = NOTHING
    clusters: Mapping[str, Membership] = NOTHING
    update_engine: UpdateEngine | None = None
    diagnostics: tuple[Diagnostic, ...] = ()
    anchor: AnchorNote = AnchorNote()
    provenance: Mapping[str, int] = NOTHING

    def joined(self) -> tuple[str, ...]:
        """The clusters that were joined and not left, sorted."""
        return tuple(sorted(cluster for cluster, membership in self.clusters.items() if membership.left_us is None))


def decide_installed(agent: AgentView, install_id: str) -> tuple[Event, ...]:
    """Record the id of a new installation; an installation keeps its id."""
    return () if agent.install_id else (AgentInstalled(install_id),)


def decide_opened(
    agent: AgentView, *, agent_version: str, build: str, incarnation: bytes, is_begun_anew: bool = False
) -> tuple[Event, ...]:
    """Record an opening, and whether the one before it was closed in order; of a journal that was lost, nobody can say that it was."""
    return (Opened(agent_version, build, incarnation, not (agent.is_open or is_begun_anew)),)


def decide_closed(agent: AgentView, reason: str) -> tuple[Event, ...]:
    """Record a closing; a store that is not open gives no event."""
    _check_word("reason", reason)
    return (Closed(reason),) if agent.is_open else ()


def decide_joined(agent: AgentView, cluster_id: str, *, journal_id: bytes) -> tuple[Event, ...]:
    """Record that a cluster's state is kept here; the same journal again gives no event.

    Raises `MisuseError` for another journal of a cluster that was not left.
    """
    known = agent.clusters.get(cluster_id)
    if known is None or known.left_us is not None:
        return (ClusterJoined(cluster_id, journal_id),)
    if known.journal_id == journal_id:
        return ()
    raise MisuseError(
        f"cluster {cluster_id} is joined with another journal; nothing was changed. Leave it before joining it anew.",
        cluster=cluster_id,
        state_class="agent",
        reason="joined",
    )


def decide_left(agent: AgentView, cluster_id: str, *, reason: str, floors: KnownFloors = NOTHING_KNOWN) -> tuple[Event, ...]:
    """Record that a cluster's state was given up, and which floors it had; one that is not joined gives no event."""
    _check_word("reason", reason)
    return (ClusterLeft(cluster_id, reason, floors),) if cluster_id in agent.joined() else ()


def decide_remembered(agent: AgentView, cluster_id: str, floors: KnownFloors) -> tuple[Event, ...]:
    """Remember a cluster that another store of this node had left; one that is known here gives no event."""
    if cluster_id in agent.clusters:
        return ()
    return (ClusterJoined(cluster_id, bytes(16)), ClusterLeft(cluster_id, "restored", floors))


def decide_flag(agent: AgentView, name: str, *, on: bool) -> tuple[Event, ...]:
    """Switch a feature flag; what is so already gives no event. Raises `MisuseError` for a bad name, and for one more than 256."""
    _check_word("name", name)
    if name not in agent.feature_flags and len(agent.feature_flags) >= FLAGS_MAX:
        raise MisuseError(
            f"{FLAGS_MAX} feature flags are known already; nothing was changed. Use one of them.",
            state_class="agent",
            reason="too_many_flags",
        )
    return () if agent.feature_flags.get(name) is on else (FeatureFlagSet(name, on),)


def decide_diagnostic(code: str, *, cluster_id: str = "", text: str) -> tuple[Event, ...]:
    """Keep a diagnostic; text beyond 500 characters is cut off."""
    _check_word("code", code)
    return (DiagnosticNoted(code, cluster_id, text[:DIAGNOSTIC_LENGTH_MAX]),)


def decide_update_engine(agent: AgentView, *, name: str, version: str, state: str) -> tuple[Event, ...]:
    """Record what is known of the update engine; the same again gives no event."""
    seen = UpdateEngineSeen(name, version, state)
    return () if agent.update_engine is not None and tuple(agent.update_engine) == seen else (seen,)


def _check_word(what: str, word: object) -> None:
    if not (isinstance(word, str) and _WORD.fullmatch(word)):
        raise MisuseError(
            f"{what} {word!r:.80} is not 1 to 64 of a-z, 0-9, _ and -, a letter first; nothing was changed.",
            state_class="agent",
            reason=what,
        )


def _installed(before: AgentView, event: AgentInstalled, record: Record) -> AgentView:
    return before._replace(install_id=event.install_id)


def _opened(before: AgentView, event: Opened, record: Record) -> AgentView:
    return before._replace(opened=Opening(*event, record.node_us, record.lsn), is_open=True)


def _closed(before: AgentView, event: Closed, record: Record) -> AgentView:
    return before._replace(closed=Closing(event.reason, record.node_us, record.lsn), is_open=False)


def _joined(before: AgentView, event: ClusterJoined, record: Record) -> AgentView:
    known = before.clusters.get(event.cluster_id)
    membership = Membership(event.journal_id, record.node_us, None, "", known.floors if known is not None else NOTHING_KNOWN)
    return before._replace(clusters=with_entry(before.clusters, event.cluster_id, membership))


def _left(before: AgentView, event: ClusterLeft, record: Record) -> AgentView:
    known = before.clusters.get(event.cluster_id)
    if known is None:
        return before
    floors = KnownFloors._make(_tupled(event.floors))
    left = known._replace(left_us=record.node_us, left_reason=event.reason, floors=floors)
    clusters = with_entry(before.clusters, event.cluster_id, left)
    gone = sorted((it.left_us, cluster) for cluster, it in clusters.items() if it.left_us is not None)
    return before._replace(clusters=without(clusters, *[cluster for _, cluster in gone[:-LEFT_CLUSTERS_MAX]]))


def _tupled(value: Any) -> Any:
    """Nested arrays as tuples, however they were read."""
    return tuple([_tupled(item) for item in value]) if isinstance(value, list | tuple) else value


def _flag_set(before: AgentView, event: FeatureFlagSet, record: Record) -> AgentView:
    return before._replace(feature_flags=with_entry(before.feature_flags, event.name, event.on))


def _diagnostic(before: AgentView, event: DiagnosticNoted, record: Record) -> AgentView:
    diagnostic = Diagnostic(*event, record.node_us, record.lsn)
    return before._replace(diagnostics=(*before.diagnostics, diagnostic)[-DIAGNOSTICS_MAX:])


def _update_engine(before: AgentView, event: UpdateEngineSeen, record: Record) -> AgentView:
    return before._replace(update_engine=UpdateEngine._make(event))


def _anchor_step(kind: type) -> Callable[[AgentView, Any, Record], AgentView]:
    step = anchor_events.STEPS[kind]
    return lambda before, event, record: before._replace(anchor=step(before.anchor, event, record))


FOLDS = folds(
    {
        Opened: _opened,
        Closed: _closed,
        AgentInstalled: _installed,
        ClusterJoined: _joined,
        ClusterLeft: _left,
        FeatureFlagSet: _flag_set,
        DiagnosticNoted: _diagnostic,
        UpdateEngineSeen: _update_engine,
        **{kind: _anchor_step(kind) for kind in anchor_events.STEPS},
    },
    after_reset=AgentView(),
)
empty, to_value, from_value, view = shape(AgentView())
