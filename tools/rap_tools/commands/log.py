"""`rap-state log`: the events of a cluster, oldest first.

Under `-o json` an object of format `rap-state-log`: `is_sealed`, `first_lsn` (the oldest record that is kept) and `records`, each as
`rap_tools.event_entries` describes; under `-o ndjson` a line for each. `cursor` names the last LSN that was looked at, shown or not:
`log --after CURSOR` goes on behind it.

Rules this file keeps:

- The exit code is 1 where something particular was asked for and nothing fits, 7 or 8 where records are missing.
- In text the rows of one record are one line, unless -v asks for each, or -k for their kind; programs always get each.
- Without the key, frames are shown; what would need the key (kinds, categories, times) cannot be asked for.

Example::

    rap-state log -c lab -k DegradedEntered -k DegradedLeft -S now-2d
"""

import re
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

from rap_journal.errors import HistoryGone, KeyUnavailable, MisuseError
from rap_journal.records import Category
from rap_projections.event_kinds import all_kinds
from rap_projections.history import ClusterHistory
from rap_tools.exit_codes import ExitCode, exit_code_of, worst
from rap_tools.frame_reading import FrameReader
from rap_tools.history_timeline import HistoryTimeline
from rap_tools.json_output import head
from rap_tools.log_lines import Lines, ObjectLines, TextLines
from rap_tools.log_reading import (
    Absent,
    Item,
    LogFilter,
    LogSource,
    SealedLog,
    Shown,
    UnsealedLog,
    backward,
    collapsed,
    newest,
)
from rap_tools.opening import AGENT_NAME, StoreReading
from rap_tools.peer_names import PeerNames
from rap_tools.selector_places import Places
from rap_tools.selector_syntax import AtLsn, Selector, parse_selector
from rap_tools.session import Session
from rap_tools.soundness import missing_records

FOLLOWED_FIRST = 10
"""Events shown before following, unless said otherwise."""


class _Log(NamedTuple):
    """An open log: which cluster's, how to read it, and how to find places in it."""

    cluster: str
    source: LogSource
    places: Places
    history: ClusterHistory | None
    frames: FrameReader


class _Range(NamedTuple):
    """LSNs to show, and whether the end was asked for."""

    first: int
    last: int
    is_asked_for: bool


class _Outcome(NamedTuple):
    """How many lines were shown, the last LSN that was looked at, and what is to be said of records that are absent."""

    line_count: int
    last_lsn: int
    code: ExitCode


def run(session: Session) -> int:
    """Show the log."""
    options = session.options
    if options.follow and (options.reverse or options.until):
        raise MisuseError("-f goes on with what is new, so it does not go with -r or -U; nothing was done.", reason="usage")
    places = {name: parse_selector(text) for name in ("since", "until", "after") if (text := getattr(options, name))}
    wanted = _filter(session)
    with session.open_store() as store:
        log = _open(store, session, wanted, places)
        span = _range(log, places)
        lines = _lines(session, log)
        try:
            shown = _show(store, session, log, lines, span, _way_to_show(session, wanted))
        except Exception as error:
            # A list that broke off is closed all the same, and says so by its exit code.
            lines.end(exit_code_of(error), f"{log.cluster}@{span.first - 1}")
            raise
        code = shown.code
        if (
            not shown.line_count
            and code is ExitCode.DONE
            and (span.is_asked_for or not wanted.is_open)
            and not session.options.follow
        ):
            code = ExitCode.NEGATIVE
            session.remark("rap-state: no event matches")
        lines.end(code, f"{log.cluster}@{shown.last_lsn}")
        return code


def _open(store: StoreReading, session: Session, wanted: LogFilter, places: dict[str, Selector]) -> _Log:
    options = session.options
    cluster = AGENT_NAME if options.agent else store.choose(session.cluster, [place.cluster for place in places.values()])
    frames = store.agent_frames() if options.agent else store.frames(cluster)
    history = None
    if store.has_keys:
        history = store.agent_history() if options.agent else store.history(cluster)
    elif wanted.kinds is not None or wanted.categories is not None:
        raise KeyUnavailable(
            "kinds and categories are sealed, and no key is at hand; nothing was read. Give --key-file FILE.",
            cluster=cluster,
            reason="no_key",
        )
    timeline = HistoryTimeline(cluster, history, frames, lambda: session.clock.now().wall_us)
    names = PeerNames(None if options.agent else history)
    source = UnsealedLog(history, wanted, names) if history is not None else SealedLog(frames, wanted)
    return _Log(cluster, source, Places(timeline), history, frames)


def _range(log: _Log, places: dict[str, Selector]) -> _Range:
    first, last = 1, log.source.horizon_lsn
    if "until" in places:
        last = log.places.span(places["until"]).last
    if "since" in places:
        first = log.places.span(places["since"]).first
    if "after" in places:
        first = max(first, log.places.span(places["after"]).last + 1)
    if "until" in places and last + 1 < first:
        begin = places.get("since") or places["after"]
        raise MisuseError(
            f"from {begin.text} (@{first}) to {places['until'].text} (@{last}) leads backwards; nothing was shown. "
            "Give the earlier place to -S and the later one to -U; -r shows the newest first.",
            cluster=log.cluster,
            reason="backwards",
        )
    kept = log.frames.first_lsn()
    asked = next((places[name] for name in ("since", "after", "until") if name in places), None)
    if asked is not None and isinstance(asked.where, AtLsn) and min(first, last) < kept > 1:
        raise HistoryGone(
            f"{asked.text} lies before the oldest record that {log.cluster} keeps, @{kept}; nothing was shown.",
            oldest_lsn=kept,
            cluster=log.cluster,
            lsn=min(first, last),
        )
    return _Range(max(first, kept, 1), last, "since" in places or "until" in places)


def _items(source: LogSource, span: _Range, session: Session, shown: Shown) -> Iterator[Item]:
    options = session.options
    lines = options.lines or (FOLLOWED_FIRST if options.follow and not (options.since or options.after) else None)
    if lines is not None:
        found = newest(source, span.first, span.last, lines, shown)
        return reversed(found) if options.reverse else iter(found)
    return shown(backward(source, span.first, span.last) if options.reverse else source.forward(span.first, span.last))


def _way_to_show(session: Session, wanted: LogFilter) -> Shown:
    if session.is_text and not session.options.verbose:
        return partial(collapsed, but=wanted.kinds or ())
    return iter


def _show(store: StoreReading, session: Session, log: _Log, lines: Lines, span: _Range, shown: Shown) -> _Outcome:
    items, count, has_absent, last = _items(log.source, span, session, shown), 0, False, span.last
    try:
        while True:
            for item in items:
                lines.show(item)
                count += not isinstance(item, Absent)
                has_absent = has_absent or isinstance(item, Absent)
            if not session.options.follow:
                break
            lines.flush()
            session.pause(session.options.interval)
            log.source.refresh(live=store.is_live)
            items, last = shown(log.source.forward(last + 1, log.source.horizon_lsn)), log.source.horizon_lsn
    except KeyboardInterrupt:
        if not session.options.follow:
            raise
    return _Outcome(count, last, _code_of_missing(log, span) if has_absent else ExitCode.DONE)


def _code_of_missing(log: _Log, span: _Range) -> ExitCode:
    after_lsn = span.first - 1
    missing = missing_records(log.history, log.frames, after_lsn=after_lsn) if log.history else log.frames.missing(after_lsn)
    return worst(found.exit_code for found in missing)


def _lines(session: Session, log: _Log) -> Lines:
    if session.is_text:
        return TextLines(session.text(), log.source.horizon_lsn, session.width)
    writer = session.json()
    fields = head(
        "rap-state-log", log.cluster, log.source.horizon_lsn, is_sealed=log.history is None, first_lsn=log.frames.first_lsn()
    )
    writer.begin(fields, type="record", items="records")
    return ObjectLines(writer)


def _filter(session: Session) -> LogFilter:
    options = session.options
    kinds = [number for word in options.kind for name in word.split(",") for number in _kind_numbers(name)]
    return LogFilter(
        frozenset(kinds) if kinds else None,
        frozenset(options.classes) if options.classes else None,
        frozenset(Category[name.upper()].value for name in options.category) if options.category else None,
    )


def _kind_numbers(name: str) -> set[int]:
    """The kind of this number, or of this name however it is spelled: PeersObserved, peers-observed."""
    if name.isdecimal():
        return {int(name)}
    numbers = {kind.number for kind in all_kinds() if _spelling(kind.name) == _spelling(name)}
    if not numbers:
        near = [kind.name for kind in all_kinds() if _spelling(name)[:5] in _spelling(kind.name)]
        hint = f" Near to it: {', '.join(near[:5])}." if near else ""
        raise MisuseError(f"{name!r:.40} is no kind of event; nothing was read.{hint}", reason="bad_kind")
    return numbers


def _spelling(name: str) -> str:
    return re.sub(r"[-_ ]", "", name).lower()
