"""A status as text for people.

Rules this file keeps: it shows what the status object holds, and nothing beside it; what needs attention is in colour.

Example::

    print_cluster(text, report.document)
"""

from typing import Any

from rap_tools.anchor_report import anchor_text
from rap_tools.invocation import program
from rap_tools.log_lines import lsn_range
from rap_tools.opening import SEALED
from rap_tools.printable import counted
from rap_tools.text_output import Piece, TextWriter
from rap_tools.times import rfc3339_s, span_text

_LOSSLESS = ("torn_tail",)
"""Verdicts of a recovery that cut nothing but what was never acknowledged."""


def print_store(text: TextWriter, info: dict[str, Any]) -> None:
    """The store and its agent."""
    text.line(("store ", "bold"), info["root"])
    missing = info["missing_clusters"] if info["missing_clusters"] != SEALED else []
    text.pairs([
        ("store id", info["store_id"]),
        ("key provider", info["key_provider"].replace("_", " ")),
        ("writer", info["writer"] or "none at work"),
        *_agent(info["agent"], is_live=info["writer"] is not None),
        *([("missing", (f"joined, and not on disk: {', '.join(missing)}", "red"))] if missing else []),
    ])  # fmt: skip


def print_cluster(text: TextWriter, status: dict[str, Any]) -> None:
    """One cluster."""
    text.line("")
    text.line(
        ("cluster ", "bold"),
        (status["cluster"], "bold"),
        (f"  @{status['horizon']}" if status["horizon"] is not None else "", "cyan"),
    )
    pairs: list[tuple[str, Piece]] = []
    if status["error"] is not None:
        pairs += [("error", (status["error"]["message"], "red")), ("try", status["error"]["try"] or "-")]
    elif status["is_sealed"]:
        pairs += [
            (name.replace("_", " "), SEALED) for name in ("fail_closed", "identity", "trust", "snapshots", "degraded", "updates")
        ]
    else:
        pairs += _told(status)
    text.pairs([*pairs, ("sound", _sound(status)), ("history", _history(status))])


def _told(status: dict[str, Any]) -> list[tuple[str, Piece]]:
    scopes = status["snapshots"].items()
    updates = status["updates"].items()
    return [
        ("fail closed", (f"yes: {status['fail_closed']}", "bold red") if status["fail_closed"] else "no"),
        ("identity", _identity(status["identity"])),
        ("trust", _trust(status["trust"])),
        *[(f"snapshot {name}", _scope(scope)) for name, scope in scopes],
        *([] if scopes else [("snapshots", "none active")]),
        ("caches", _caches(status)),
        ("degraded", _degraded(status["degraded"])),
        *[
            (
                f"update {name}",
                f"{entry['current'] or 'no known version'} runs{', one is pending' if entry['has_pending'] else ''}",
            )
            for name, entry in updates
        ],
        ("recovery", _recovery(status["store"])),
        *_quarantine(status["store"]),
        ("trusted time", f"{rfc3339_s(status['trusted_time_s'])} or later"),
    ]


def _agent(agent: dict[str, Any], *, is_live: bool) -> list[tuple[str, Piece]]:
    if "error" in agent:
        return [("agent", (agent["error"]["message"], "red"))]
    if agent["install_id"] == SEALED:
        return [("agent", SEALED)]
    if agent["opened_at"] is None:
        return [("agent", "has not opened the store yet")]
    before = "" if agent["previous_close_was_clean"] else ", after a crash or a kill"
    if agent["closed_at"] is not None:
        since = f"closed in order {_seconds(agent['closed_at'])}"
    else:
        since = "open now" if is_live else "not closed in order since: a crash or a kill"
    return [
        ("agent", f"version {agent['agent_version'] or '-'}"),
        ("last opening", f"{_seconds(agent['opened_at'])}{before}; {since}"),
        *([("anchor", anchor_text(agent["anchor"]))] if agent["anchor"]["state"] else []),
    ]


def _seconds(time: str) -> str:
    """A time without what stands behind its seconds."""
    return f"{time.partition('.')[0]}Z"


def _trust(trust: dict[str, Any]) -> Piece:
    if trust["bundle_version"] is None:
        return "no bundle", "red"
    state = "" if trust["restore_state"] == "normal" else f", {trust['restore_state']}"
    text = (
        f"bundle {trust['bundle_version']}, expires {rfc3339_s(trust['bundle_expires_at_s'])}; "
        f"{counted(trust['revocation_count'], 'revocation')}, {counted(trust['refusal_count'], 'refusal')}{state}"
    )
    return (text, "yellow") if state else text


def _scope(scope: dict[str, Any]) -> Piece:
    if scope["active_version"] is None:
        return f"none active{', one pending' if scope['has_pending'] else ''}", "yellow"
    applied = "not applied" if scope["applied_version"] is None else f"applied {_version(scope['applied_version'])}"
    notes = [
        word
        for word, holds in (
            ("EXPIRED", scope["is_expired"]),
            ("fallen back", scope["is_fallen_back"]),
            ("one pending", scope["has_pending"]),
            (f"{scope['previous_count']} previous", scope["previous_count"]),
        )
        if holds
    ]
    refresh = f"refresh {'due since' if scope['is_refresh_due'] else 'after'} {rfc3339_s(scope['refresh_after_s'])}"
    ends = f"{'' if scope['is_expired'] else f'{refresh}, '}expires {rfc3339_s(scope['expires_at_s'])}"
    text = "; ".join([f"{_version(scope['active_version'])}, {applied}, {ends}", *notes])
    return (text, "red") if scope["is_expired"] else (text, "yellow") if scope["is_fallen_back"] else text


def _version(version: list[int]) -> str:
    return ".".join(map(str, version))


def _degraded(degraded: dict[str, Any]) -> Piece:
    seconds = degraded["seconds_left"]
    left = "no deadline set yet" if seconds is None else f"{span_text(seconds)} of safe operation left"
    flags = f"; partition flags: {', '.join(degraded['partition_flags'])}" if degraded["partition_flags"] else ""
    if degraded["is_degraded"]:
        return f"yes: {', '.join(degraded['reasons'])}; {left}{flags}", "yellow"
    return f"no; {left}{flags}"


def _recovery(store: dict[str, Any]) -> Piece:
    """What recoveries cut or lost; openings with nothing to report are none of them."""
    last = store["last_recovery"]
    if last is None:
        return "no recovery has cut or lost anything"
    lost = "nothing acknowledged was lost" if last["verdict"] in _LOSSLESS else "records may have been lost"
    found, verdict = counted(store["recovery_count"], "finding"), last["verdict"].replace("_", " ")
    text = f"{found}, the last: {verdict} after @{last['lsn']}, {last['action']}; {lost}"
    return text if last["verdict"] in _LOSSLESS else (text, "yellow")


def _quarantine(store: dict[str, Any]) -> list[tuple[str, Piece]]:
    count = store["quarantine_bytes"]
    return [("quarantine", f"{counted(count, 'byte')} of what was cut")] if count else []


def _identity(identity: dict[str, Any]) -> str:
    enrollment = {"none": "not enrolled"}.get(identity["enrollment"], identity["enrollment"])
    return f"{enrollment}; keys protected by: {identity['protection'].replace('_', ' ')}"


def _caches(status: dict[str, Any]) -> str:
    peers, routes = counted(status["peer_count"], "peer"), counted(status["route_count"], "route")
    return f"{peers}, {routes}, {counted(status['telemetry_waiting'], 'telemetry record')} waiting"


def _sound(status: dict[str, Any]) -> Piece:
    sound, journal = status["sound"], status["journal"]
    if sound is None:
        return "unknown", "red"
    if sound["is_sound"]:
        newest = max(journal["checkpoints"], default=0)
        since = f"since the newest checkpoint, @{newest}" if newest else "since the beginning; there is no checkpoint yet"
        return f"nothing is missing {since}. Every byte: {program()} verify"
    missing = [f"{lsn_range(gap['first_lsn'], gap['last_lsn'])} missing ({gap['reason']})" for gap in sound["missing"]]
    scopes = [f"the active {name} document does not verify" for name in sound["unsound_scopes"]]
    lost = [f"the {name} document was lost, and none has taken its place" for name in sound["lost_scopes"]]
    return "; ".join([*missing, *scopes, *lost]) or "no: see fail closed", "red"


def _history(status: dict[str, Any]) -> str:
    journal, horizon = status["journal"], status["horizon"]
    if journal is None:
        return "unknown"
    segments = f"{counted(journal['segment_count'], 'segment')}, {counted(journal['stored_bytes'], 'byte')}"
    if journal["first_lsn"] > horizon:
        return f"no events yet; {segments}"
    states = f"from @{journal['oldest_lsn']}" if journal["oldest_lsn"] else "from the beginning"
    replay = f"an opening replays {counted(journal['replay_count'], 'record')}"
    return f"events {lsn_range(journal['first_lsn'], horizon)}, states {states}; {segments}; {replay}"
