"""What the agent's journal knows of the anchor outside the root, as an object and as text.

Rules this file keeps: it shows what was written down; the anchor itself is the writer's to ask.

Example::

    anchor = anchor_object(read_agent(reader).anchor)
    text.pairs([("anchor", anchor_text(anchor))])
"""

from typing import Any

from rap_projections.anchor_events import AnchorNote
from rap_tools.text_output import Piece
from rap_tools.times import rfc3339

_WORDS = {
    "current": "in step",
    "unavailable": "did not answer",
    "not_set_up": "not set up",
    "rolled_back": "was ahead of the store: it was put back from a copy",
    "behind": "is behind the store: another anchor, or made anew",
    "lost": "has no counter any more",
}
_CALM = ("current", "not_set_up")


def anchor_object(note: AnchorNote) -> dict[str, Any]:
    """Of the anchor: `state` when it was asked (null: it never was), the number `seen` then, and `seen_at`; the number that floors were
    `written` for last, `written_at`, and why; `doubtful`: clusters whose own journals do not say yet that they are in doubt."""
    return {
        "state": note.state or None,
        "seen": note.seen or None,
        "seen_at": rfc3339(note.seen_us) if note.seen_us else None,
        "written": note.number or None,
        "written_at": rfc3339(note.at_us) if note.at_us else None,
        "reason": note.reason or None,
        "doubtful": list(note.doubtful),
    }


def anchor_text(anchor: dict[str, Any]) -> Piece:
    """The same in words."""
    state = anchor["state"]
    if state is None and anchor["written"] is None:
        return "none"
    written = f"; floors written for number {anchor['written']}, {anchor['written_at']}" if anchor["written"] else ""
    doubtful = f"; in doubt: {', '.join(anchor['doubtful'])}" if anchor["doubtful"] else ""
    seen = f"{_WORDS.get(state, state)} since {anchor['seen_at']}" if state else "never asked"
    text = f"{seen}{written}{doubtful}"
    return text if state in _CALM and not doubtful else (text, "yellow")
