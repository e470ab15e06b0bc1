"""What `rap-state status` knows of a cluster: the fields of spec section 12, whether they may be believed, and where they come from.

Rules this file keeps:

- The fields are those of `cluster.status()`, made by the same function; what is added here has no secret and no topology either.
- Without the key what is sealed is `(sealed)`, and what the frames tell stands there all the same.
- One cluster that cannot be read hides no other: its report says what was in the way.

Added to the fields of `rap_projections.status`: `is_sealed`; `is_live` (a writer is at work); `sound` (`is_sound`, `unsound_scopes`,
`lost_scopes`, `missing`: records that are missing since the checkpoint); `journal` (`first_lsn` and `oldest_lsn`: from where on there are
records, and states; `checkpoints`, `segment_count`, `stored_bytes`; `replay_count`: records that an opening replays behind the newest
checkpoint); `error` (the complaint, or null); `exit_code`.

Example::

    report = report_cluster(store, "lab", clock)
    report.document["trust"]["bundle_version"]
"""

from typing import Any, NamedTuple

from rap_journal.clock import Clock
from rap_journal.errors import StateStoreError
from rap_projections.agent_reading import read_agent
from rap_projections.event_kinds import HEALTH, TRUST
from rap_projections.folding import FoldedState
from rap_projections.health import HealthView
from rap_projections.node_time import NodeTime, Now
from rap_projections.status import STATUS_FORMAT, STATUS_VERSION, cluster_status
from rap_projections.trust import TrustView
from rap_tools.anchor_report import anchor_object
from rap_tools.complaint import Scene, complain
from rap_tools.exit_codes import ExitCode
from rap_tools.frame_reading import FrameReader
from rap_tools.opening import SEALED, StoreReading
from rap_tools.soundness import Judgement, judge
from rap_tools.times import rfc3339
from rap_tools.values import plain

SEALED_FIELDS = (
    "trusted_time_s", "fail_closed", "identity", "trust", "snapshots", "peer_count", "route_count", "telemetry_waiting", "degraded", "updates",
    "store",
)  # fmt: skip
"""The fields of a status that only the key can show."""


_AGENT_FIELDS = (
    "install_id", "agent_version", "opened_at", "closed_at", "is_open", "previous_close_was_clean", "feature_flags", "joined", "anchor",
)  # fmt: skip


class ClusterReport(NamedTuple):
    """One cluster's status as an object, and what a command that shows it exits with."""

    document: dict[str, Any]
    exit_code: ExitCode


def report_cluster(store: StoreReading, cluster: str, clock: Clock) -> ClusterReport:
    """The status of one cluster. Raises nothing about what is stored: it is in the report."""
    try:
        frames = store.frames(cluster)
    except (StateStoreError, OSError) as error:
        return _failed(store, cluster, error, None)
    try:
        return _unsealed(store, cluster, clock, frames) if store.has_keys else _sealed(store, cluster, frames)
    except (StateStoreError, OSError) as error:
        return _failed(store, cluster, error, frames)


def report_agent(store: StoreReading) -> dict[str, Any]:
    """The installation: its id, versions, last opening and closing (RFC 3339 or null), flags, the clusters it joined, and
    the anchor (`anchor_report`); `(sealed)` without the key."""
    if not store.has_keys:
        return dict.fromkeys(_AGENT_FIELDS, SEALED)
    agent = read_agent(store.agent_reader())
    opened, closed = agent.opened, agent.closed
    return {
        "install_id": agent.install_id,
        "agent_version": opened.agent_version if opened else None,
        "opened_at": rfc3339(opened.at_us) if opened else None,
        "closed_at": rfc3339(closed.at_us) if closed and not agent.is_open else None,
        "is_open": agent.is_open,
        "previous_close_was_clean": opened.previous_clean if opened else None,
        "feature_flags": plain(agent.feature_flags),
        "joined": list(agent.joined()),
        "anchor": anchor_object(agent.anchor),
    }


def _unsealed(store: StoreReading, cluster: str, clock: Clock, frames: FrameReader) -> ClusterReport:
    history = store.history(cluster)
    state = history.state_at(history.horizon.lsn)
    judgement = judge(history, state, frames)
    fields = cluster_status(
        cluster, state, _now(state, clock), clock.boot_id(),
        horizon=history.horizon.lsn, fail_closed=judgement.fail_closed, protection=store.marker.provider.name.lower(),
    )  # fmt: skip
    return _complete(fields, store, frames, judgement.exit_code, is_sealed=False, sound=_sound(judgement))


def _sealed(store: StoreReading, cluster: str, frames: FrameReader) -> ClusterReport:
    missing = frames.missing(max(frames.checkpoints(), default=0))
    judgement = Judgement(None, (), missing)
    fields = _bare(cluster, frames.horizon.lsn, SEALED)
    return _complete(fields, store, frames, judgement.exit_code, is_sealed=True, sound=_sound(judgement))


def _failed(store: StoreReading, cluster: str, error: Exception, frames: FrameReader | None) -> ClusterReport:
    complaint = complain(error, Scene(store.path, cluster, "status", ("status",), store.key_file))
    fields = _bare(cluster, frames.horizon.lsn if frames else None, None)
    report = _complete(fields, store, frames, complaint.exit_code, is_sealed=not store.has_keys, sound=None)
    return report._replace(document=report.document | {"error": complaint.as_object(cluster)})


def _bare(cluster: str, horizon: int | None, filler: str | None) -> dict[str, Any]:
    top = {"format": STATUS_FORMAT, "format_version": STATUS_VERSION, "cluster": cluster, "horizon": horizon}
    return top | dict.fromkeys(SEALED_FIELDS, filler)


def _complete(
    fields: dict[str, Any],
    store: StoreReading,
    frames: FrameReader | None,
    code: ExitCode,
    *,
    is_sealed: bool,
    sound: dict[str, Any] | None,
) -> ClusterReport:
    added = {
        "is_sealed": is_sealed,
        "is_live": store.is_live,
        "sound": sound,
        "journal": _journal(frames) if frames is not None else None,
        "error": None,
        "exit_code": int(code),
    }
    return ClusterReport(fields | added, code)


def _sound(judgement: Judgement) -> dict[str, Any]:
    return {
        "is_sound": judgement.exit_code is ExitCode.DONE,
        "unsound_scopes": list(judgement.unsound_scopes),
        "lost_scopes": list(judgement.lost_scopes),
        "missing": [
            {"first_lsn": gap.first_lsn, "last_lsn": gap.last_lsn, "classes": list(gap.state_classes), "reason": gap.reason}
            for gap in judgement.missing
        ],
    }


def _journal(frames: FrameReader) -> dict[str, Any]:
    return {
        "first_lsn": frames.first_lsn(),
        "oldest_lsn": frames.horizon.oldest_lsn,
        "checkpoints": list(frames.checkpoints()),
        "replay_count": frames.horizon.lsn - max(frames.checkpoints(), default=0),
        "segment_count": frames.segment_count(),
        "stored_bytes": frames.stored_bytes(),
    }


def _now(state: FoldedState, clock: Clock) -> Now:
    """The time as a writer that opened the store now would reckon it."""
    instant = clock.now()
    health: HealthView = state.view(HEALTH)
    trust: TrustView = state.view(TRUST)
    now = Now(NodeTime.resume(state.node_us, instant).at(instant), instant.wall_us, instant.boot_us, 0)
    return now._replace(trusted_s=trust.trusted_s(health.used_s(now, clock.boot_id())))
