"""`rap-state state PATH`: what stands at a place in the state, at any moment, and which record set it.

Under `-o json` an object of format `rap-state-value`: `lsn` (the moment), `node_time` (of its record), `path`, `value` (as JSON has it),
`provenance`, which maps the path of every single value at and below PATH to the LSN that last set it, and `missing` (records that the state
needs and that are not there).

Rules this file keeps: the state is folded from the history; where records that it needs are missing, the exit code says so.

Example::

    rap-state state peers/node-17/latency_us --at 2026-01-31T03:12:00Z
    rap-state state routes/node-42
"""

import shlex
from typing import Any, NamedTuple

from rap_journal.errors import NoSuchRecord
from rap_projections.cluster_view import ClusterView, view_of
from rap_projections.event_kinds import CLUSTER_CLASSES
from rap_tools.complaint import NO_AGENT_STATE
from rap_tools.exit_codes import worst
from rap_tools.frame_reading import MissingRecords
from rap_tools.history_timeline import HistoryTimeline
from rap_tools.invocation import program
from rap_tools.json_output import head
from rap_tools.log_lines import lsn_range
from rap_tools.opening import AGENT_NAME
from rap_tools.selector_places import Places
from rap_tools.selector_syntax import parse_selector
from rap_tools.session import Session
from rap_tools.soundness import missing_records
from rap_tools.state_paths import Place, find, leaves, no_such_path, parse_path, path_text
from rap_tools.text_output import Piece
from rap_tools.times import rfc3339
from rap_tools.values import plain, value_lines

_CLASSES = tuple(spec.name for spec in CLUSTER_CLASSES)


class _Found(NamedTuple):
    """What stands at the place: the state at the moment, the place in it, the last durable LSN, and records that are missing."""

    view: ClusterView
    place: Place
    horizon: int
    missing: tuple[MissingRecords, ...]


def run(session: Session) -> int:
    """Show what stands at the place."""
    found = _find(session)
    for gap in found.missing:
        session.remark(
            f"rap-state: {lsn_range(gap.first_lsn, gap.last_lsn)} missing ({gap.reason}): this state may be wrong. "
            f"Try: {program()} -D {shlex.quote(session.root())} verify"
        )
    if not found.view.lsn:
        session.remark(
            "rap-state: nothing had happened before the first record, so there is nothing to see here. The first is @1."
        )
    code = worst(gap.exit_code for gap in found.missing)
    if session.is_text:
        _print(session, found)
    else:
        session.json().document(_object(found), code)
    return code


def _find(session: Session) -> _Found:
    parts, selector = parse_path(session.options.path), parse_selector(session.options.at)
    if parts[0] == AGENT_NAME:
        raise NoSuchRecord(
            "the agent's own journal has no state that paths lead to; nothing was shown. Its events are in log --agent, its sum in status.",
            reason=NO_AGENT_STATE,
        )
    if parts[0] not in _CLASSES:
        raise no_such_path((), parts[0], _CLASSES)
    with session.open_store() as store:
        cluster = store.choose(session.cluster, [selector.cluster])
        history, frames = store.history(cluster), store.frames(cluster)
        moment = Places(HistoryTimeline(cluster, history, frames, lambda: session.clock.now().wall_us)).moment(selector)
        view = view_of(cluster, history.state_at(moment))
        start = max((lsn for lsn in frames.checkpoints() if lsn <= moment), default=0)
        missing = tuple(gap for gap in missing_records(history, frames, after_lsn=start) if gap.first_lsn <= moment)
        place = find(Place(parts[:1], getattr(view, parts[0])), parts[1:])
        # At a moment within the rows of one record the state is that of the moment, and not of the last record folded.
        return _Found(view._replace(lsn=moment), place, history.horizon.lsn, missing)


def _object(found: _Found) -> dict[str, Any]:
    view, place = found.view, found.place
    return head(
        "rap-state-value", view.cluster, found.horizon, lsn=view.lsn, node_time=rfc3339(view.node_us), path=path_text(place.path),
        value=plain(place.value), provenance={path_text(leaf.path): leaf.lsn for leaf in leaves(place)},
        missing=[{"first_lsn": gap.first_lsn, "last_lsn": gap.last_lsn, "reason": gap.reason} for gap in found.missing],
    )  # fmt: skip


def _print(session: Session, found: _Found) -> None:
    """Which state it is, then a line per single value: path, value, and the record that set it."""
    text, view = session.text(), found.view
    when = f"  {rfc3339(view.node_us)}" if view.lsn else "  before the first record"
    newest = "" if view.lsn == found.horizon else f"  (the newest is @{found.horizon})"
    text.line((f"{view.cluster}@{view.lsn}", "bold cyan"), when, newest)
    rows: list[list[Piece]] = []
    for leaf in leaves(found.place):
        first, *others = value_lines(_name_of(leaf), plain(leaf.value))
        rows.append([path_text(leaf.path), (first, "bold"), (f"@{leaf.lsn}" if leaf.lsn else "", "cyan")])
        rows += [["", (other, "bold"), ""] for other in others]
    text.columns(rows)


def _name_of(leaf: Place) -> str:
    """The name of the field that holds a value; that of its list where it is an item of one."""
    return leaf.path[-2] if leaf.path[-1].isdecimal() and len(leaf.path) > 1 else leaf.path[-1]
