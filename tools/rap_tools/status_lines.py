"""A status as text for people.

Rules this file keeps: it shows what the status object holds, and nothing beside it; what needs attention is in colour.

Example::

    print_cluster(text, report.document)
"""

from typing import Any

from rap_tools.opening import SEALED
from rap_tools.printable import counted
from rap_tools.text_output import Piece, TextWriter
from rap_tools.times import rfc3339_s, span_text


def print_store(text: TextWriter, info: dict[str, Any]) -> None:
    """The store and its agent."""
    text.line(("store ", "bold"), info["root"])
    missing = info["missing_clusters"] if info["missing_clusters"] != SEALED else []
    text.pairs([
        ("store id", info["store_id"]),
        ("key provider", info["key_provider"].replace("_", " ")),
        ("writer", info["writer"] or "none at work"),
        ("agent", _agent(info["agent"], is_live=info["writer"] is not None)),
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
        ("identity", f"{status['identity']['enrollment']}, key protected by: {status['identity']['protection']}"),
        ("trust", _trust(status["trust"])),
        *[(f"snapshot {name}", _scope(scope)) for name, scope in scopes],
        *([] if scopes else [("snapshots", "none active")]),
        (
            "caches",
            f"{status['peer_count']} peers, {status['route_count']} routes, {status['telemetry_waiting']} telemetry records waiting",
        ),
        ("degraded", _degraded(status["degraded"])),
        *[
            (f"update {name}", f"{entry['current'] or 'nothing'} runs{', one is pending' if entry['has_pending'] else ''}")
            for name, entry in updates
        ],
        ("store", _store(status["store"])),
        ("trusted time", f"{rfc3339_s(status['trusted_time_s'])} or later"),
    ]


def _agent(agent: dict[str, Any], *, is_live: bool) -> Piece:
    if "error" in agent:
        return agent["error"]["message"], "red"
    if agent["install_id"] == SEALED:
        return SEALED
    closed = {True: "after a clean close", False: "after a crash or a kill", None: "never"}[agent["previous_close_was_clean"]]
    now = "closed in order" if not agent["is_open"] else "open now" if is_live else "not closed in order since"
    return f"version {agent['agent_version'] or '-'}, last opened {closed}, {now}"


def _trust(trust: dict[str, Any]) -> Piece:
    if trust["bundle_version"] is None:
        return "no bundle", "red"
    state = "" if trust["restore_state"] == "normal" else f", {trust['restore_state']}"
    text = (
        f"bundle {trust['bundle_version']}, expires {rfc3339_s(trust['bundle_expires_at_s'])}; "
        f"{trust['revocation_count']} revocations, {trust['refusal_count']} refusals{state}"
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
            ("refresh due", scope["is_refresh_due"] and not scope["is_expired"]),
            ("fallen back", scope["is_fallen_back"]),
            ("one pending", scope["has_pending"]),
            (f"{scope['previous_count']} previous", scope["previous_count"]),
        )
        if holds
    ]
    text = "; ".join([f"{_version(scope['active_version'])}, {applied}, expires {rfc3339_s(scope['expires_at_s'])}", *notes])
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


def _store(store: dict[str, Any]) -> str:
    last = store["last_recovery"]
    recovery = f", the last: {last['verdict']} at @{last['lsn']}, {last['action']}" if last else ""
    checkpoint = f"@{store['checkpoint_lsn']}" if store["checkpoint_lsn"] is not None else "none recorded"
    return f"{store['recovery_count']} recoveries{recovery}; newest checkpoint {checkpoint}; {store['quarantine_bytes']} bytes in quarantine"


def _sound(status: dict[str, Any]) -> Piece:
    sound = status["sound"]
    if sound is None:
        return "unknown", "red"
    if sound["is_sound"]:
        return "nothing is missing since the newest checkpoint; rap-state verify checks every byte"
    missing = [f"@{gap['first_lsn']}..@{gap['last_lsn']} missing ({gap['reason']})" for gap in sound["missing"]]
    scopes = [f"the active {name} document does not verify" for name in sound["unsound_scopes"]]
    return "; ".join([*missing, *scopes]) or "no: see fail closed", "red"


def _history(status: dict[str, Any]) -> str:
    journal = status["journal"]
    if journal is None:
        return "unknown"
    segments = f"{counted(journal['segment_count'], 'segment')}, {journal['stored_bytes']} bytes"
    checkpoints = counted(len(journal["checkpoints"]), "checkpoint")
    return f"events from @{journal['first_lsn']}, states from @{journal['oldest_lsn']}; {segments}; {checkpoints}"
