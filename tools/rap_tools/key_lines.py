"""The keys of a store as text for people.

Rules this file keeps: it shows what the object of `rap-state keys` holds, and nothing beside it; what needs attention is in colour.

Example::

    print_keys(text, root, fields)
    print_journal(text, journal)
"""

from typing import Any

from rap_tools.anchor_report import anchor_text
from rap_tools.opening import SEALED
from rap_tools.text_output import Piece, TextWriter

_OPENS: dict[bool | None, Piece] = {
    True: ("opens with the key given", "green"),
    False: "does not open with it",
    None: "",
}


def print_keys(text: TextWriter, root: str, fields: dict[str, Any]) -> None:
    """What is of the whole store."""
    text.line(("store ", "bold"), root)
    given = (
        _words(fields["given"])
        if fields["given"]
        else "none: whether a slot opens, and whether its list was changed, is not looked at"
    )
    text.pairs([
        ("store id", fields["store_id"]),
        ("key provider", _words(fields["key_provider"])),
        ("key given", given),
        ("anchor", _anchor(fields["anchor"])),
        *[("lacking", (f"{name}: lacks a slot for {', '.join(map(_words, kinds))}", "yellow")) for name, kinds in fields["lacking"].items()],
    ])  # fmt: skip


def print_journal(text: TextWriter, journal: dict[str, Any]) -> None:
    """One journal: its data keys, and who opens them."""
    text.line("")
    is_agent = journal["journal"] == "agent"
    text.line(("agent" if is_agent else f"cluster {journal['journal']}", "bold"))
    if journal["error"] is not None:
        advice = journal["error"]["try"]
        text.pairs([("error", (journal["error"]["message"], "red")), *([("try", advice)] if advice else [])])
    for generation in journal["generations"]:
        text.line(f"  data key {generation['generation']}, {_about(generation)}")
        text.columns([_slot(slot) for slot in generation["slots"]], indent=4)


def _about(generation: dict[str, Any]) -> str:
    use = "seals everything new" if generation["is_current"] else "opens what was sealed before"
    bad = [f"{folder}: {word}" for folder, word in generation["copies"].items() if word != "whole"]
    state = f"copies: {'; '.join(bad)}" if bad else f"{len(generation['copies'])} whole copies"
    sealed = {True: ", list of slots as it was sealed", False: ", LIST OF SLOTS CHANGED", None: ""}[generation["is_authentic"]]
    return f"{use}; written {generation['written_at'] or 'at a time that is not known'}; {state}{sealed}"


def _slot(slot: dict[str, Any]) -> list[Piece]:
    return [f"slot {slot['id']}", _words(slot["provider"]), _OPENS[slot["opens"]]]


def _anchor(anchor: dict[str, Any] | str | None) -> Piece:
    if anchor is None:
        return "unknown: the agent's journal cannot be read", "red"
    return SEALED if isinstance(anchor, str) else anchor_text(anchor)


def _words(kind: str | None) -> str:
    return kind.replace("_", " ") if kind else "unknown"
