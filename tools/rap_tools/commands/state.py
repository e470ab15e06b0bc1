"""`rap-state state PATH`: what stands at a place in the state, at any moment, and which record set it.

Under `-o json` an object of format `rap-state-value`: `lsn` (the moment), `path`, `value` (as JSON has it) and `provenance`, which maps the
path of every single value at and below PATH to the LSN that last set it.

Rules this file keeps: the state is folded from the history; where records that it needs are missing, the exit code says so.

Example::

    rap-state state peers/node-17/latency_us --at 2026-01-31T03:12:00Z
"""

import shlex
from typing import Any

from rap_journal.errors import MisuseError
from rap_projections.cluster_view import ClusterView, view_of
from rap_projections.event_kinds import CLUSTER_CLASSES
from rap_tools.exit_codes import worst
from rap_tools.frame_reading import MissingRecords
from rap_tools.history_timeline import HistoryTimeline
from rap_tools.json_output import head
from rap_tools.log_lines import lsn_range
from rap_tools.selector_places import Places
from rap_tools.selector_syntax import parse_selector
from rap_tools.session import Session
from rap_tools.soundness import missing_records
from rap_tools.times import rfc3339
from rap_tools.values import PAIRS, Place, find, leaves, parse_path, path_text, plain, value_text

VALUE_WIDTH_MAX = 60
"""Longer values do not push the column behind them further to the right."""

_CLASSES = tuple(spec.name for spec in CLUSTER_CLASSES)


def run(session: Session) -> int:
    """Show what stands at the place."""
    parts, selector = parse_path(session.options.path), parse_selector(session.options.at)
    if parts[0] not in _CLASSES:
        raise MisuseError(
            f"{parts[0]!r:.40} is no class; nothing was read. The classes are {', '.join(_CLASSES)}.", reason="bad_path"
        )
    with session.open_store() as store:
        cluster = store.choose(session.cluster, [selector.cluster])
        history, frames = store.history(cluster), store.frames(cluster)
        moment = Places(HistoryTimeline(cluster, history, frames, lambda: session.clock.now().wall_us)).moment(selector)
        view = view_of(cluster, history.state_at(moment))
        start = max((lsn for lsn in frames.checkpoints() if lsn <= moment), default=0)
        missing = tuple(gap for gap in missing_records(history, frames, after_lsn=start) if gap.first_lsn <= moment)
        place = find(Place(parts[:1], getattr(view, parts[0])), parts[1:])
        horizon = history.horizon.lsn
    for gap in missing:
        session.remark(
            f"rap-state: {lsn_range(gap.first_lsn, gap.last_lsn)} missing ({gap.reason}): this state may be wrong. "
            f"Try: rap-state -D {shlex.quote(session.root())} verify"
        )
    code = worst(gap.exit_code for gap in missing)
    if session.is_text:
        _print(session, place)
    else:
        session.json().document(_object(view, place, horizon, moment, missing), code)
    return code


def _object(view: ClusterView, place: Place, horizon: int, moment: int, missing: tuple[MissingRecords, ...]) -> dict[str, Any]:
    return head(
        "rap-state-value", view.cluster, horizon, lsn=moment, node_time=rfc3339(view.node_us), path=path_text(place.path),
        value=plain(place.value), provenance={path_text(leaf.path): leaf.lsn for leaf in leaves(place)},
        missing=[{"first_lsn": gap.first_lsn, "last_lsn": gap.last_lsn, "reason": gap.reason} for gap in missing],
    )  # fmt: skip


def _print(session: Session, place: Place) -> None:
    """A line per single value: path, value, and the record that set it."""
    text = session.text()
    rows = [
        (
            path_text(leaf.path),
            value_text(plain(leaf.value), has_pairs=leaf.path[-1] in PAIRS),
            f"@{leaf.lsn}" if leaf.lsn else "",
        )
        for leaf in leaves(place)
    ]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    for path, value, lsn in rows:
        padded = value.ljust(min(widths[1], VALUE_WIDTH_MAX)) if lsn else value
        text.line(path.ljust(widths[0]), "  ", (padded, "bold"), "  " if lsn else "", (lsn, "cyan"))
