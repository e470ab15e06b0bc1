"""Hints: small texts the agent keeps for itself until they expire. A part of the telemetry class (kinds 95 to 99).

Rules this file keeps:

- A hint is never authority: no decision of this store reads one.
- Number, length and life of hints are bounded; a new one makes the hint that would expire first give way.
- An expired hint is not given out, also before it is cleaned up.

Example::

    events = decide_put(hints, "last-relay", "node-17", ttl_s=600, policy=policy, now=now)
    ...
    get(hints, "last-relay", now.node_us)
"""

import math
from typing import Any, NamedTuple

from rap_journal.errors import MisuseError
from rap_journal.records import Category, Record
from rap_projections.event_kinds import TELEMETRY, Event, event_kind
from rap_projections.node_time import Now
from rap_projections.policy import YEAR_S, Policy

KEY_LENGTH_MAX = 128
"""Characters of a key."""

VALUE_LENGTH_MAX = 1024
"""Characters of a value."""


class Hint(NamedTuple):
    """One hint: its text, node time at which it expires in microseconds, and LSN of the record that put it."""

    value: str
    expires_us: int
    lsn: int


Hints = dict[str, Hint]
"""Hints by key."""


@event_kind(95, state_class=TELEMETRY, category=Category.OBSERVATION, sensitivity="text, text, open, open")
class HintPut(NamedTuple):
    """The agent keeps a text for a while.

    Attributes:
        key: name of the hint, 1 to 128 characters.
        value: the text, at most 1024 characters.
        expires_us: node time at which it expires, microseconds.
        hints_max: hints that may be kept; those that expire first give way.
    """

    key: str
    value: str
    expires_us: int
    hints_max: int


@event_kind(96, state_class=TELEMETRY, category=Category.EVICTION, sensitivity="text, open")
class HintsExpired(NamedTuple):
    """These hints are forgotten, if they have expired at or before the node time `cutoff_us`."""

    keys: tuple[str, ...]
    cutoff_us: int


@event_kind(97, state_class=TELEMETRY, category=Category.EVICTION, sensitivity="text, open")
class HintsEvicted(NamedTuple):
    """These hints give way, because only `hints_max` may be kept."""

    keys: tuple[str, ...]
    hints_max: int


def get(hints: Hints, key: str, node_us: int) -> str | None:
    """The text kept for `key`, or None where there is none or it has expired at node time `node_us`."""
    hint = hints.get(key)
    return hint.value if hint and hint.expires_us > node_us else None


def decide_put(hints: Hints, key: str, value: str, *, ttl_s: float, policy: Policy, now: Now) -> tuple[Event, ...]:
    """Keep `value` for `ttl_s` seconds; the hint that would expire first gives way where there is no room.

    Raises `MisuseError` for a key that is not 1 to 128 printable characters, a value of more than 1024 characters, a hint of more
    bytes than the policy allows, a life that is not above 0 and at most a year, and where the policy allows no hints.
    """
    _check(key, value, ttl_s, policy)
    expires_us = now.node_us + math.ceil(ttl_s * 1_000_000)
    leaving = () if key in hints else _first_to_expire(hints, len(hints) + 1 - policy.hints_max)
    evicted = (HintsEvicted(leaving, policy.hints_max),) if leaving else ()
    return (*evicted, HintPut(key, value, expires_us, policy.hints_max))


def decide_expiry(hints: Hints, now: Now) -> tuple[Event, ...]:
    """Forget the hints that have expired."""
    expired = tuple([key for key in sorted(hints) if hints[key].expires_us <= now.node_us])
    return (HintsExpired(expired, now.node_us),) if expired else ()


def decide_eviction(hints: Hints, policy: Policy) -> tuple[Event, ...]:
    """Drop the hints that expire first where there are more than the policy allows."""
    leaving = _first_to_expire(hints, len(hints) - policy.hints_max)
    return (HintsEvicted(leaving, policy.hints_max),) if leaving else ()


def next_deadline(hints: Hints) -> int | None:
    """Node time at which the first hint expires, in microseconds; None without hints."""
    return min([hint.expires_us for hint in hints.values()], default=None)


def fold_put(hints: Hints, event: HintPut, record: Record) -> None:
    """Keep the hint. Several may be queued at once, so the limit is held here too."""
    hints[event.key] = Hint(event.value, event.expires_us, record.lsn)
    for key in _first_to_expire(hints, len(hints) - event.hints_max):
        del hints[key]


def fold_expired(hints: Hints, event: HintsExpired, record: Record) -> None:
    """Forget the named hints that were not put again meanwhile."""
    for key in event.keys:
        if key in hints and hints[key].expires_us <= event.cutoff_us:
            del hints[key]


def fold_evicted(hints: Hints, event: HintsEvicted, record: Record) -> None:
    """Forget the named hints."""
    for key in event.keys:
        hints.pop(key, None)


def hints_value(hints: Hints) -> tuple[Any, ...]:
    """All hints as arrays, by key."""
    return tuple([(key, *hints[key]) for key in sorted(hints)])


def hints_from(value: Any) -> Hints:
    """The inverse of `hints_value`. Raises TypeError or ValueError for a value of another shape."""
    return {key: Hint(*rest) for key, *rest in value}


def _first_to_expire(hints: Hints, count: int) -> tuple[str, ...]:
    return tuple(sorted(hints, key=lambda key: (hints[key].expires_us, key))[:count]) if count > 0 else ()


def is_name(text: object, length_max: int) -> bool:
    """Whether `text` is 1 to `length_max` printable characters."""
    return isinstance(text, str) and 1 <= len(text) <= length_max and text.isprintable()


def is_text(text: object, length_max: int) -> bool:
    """Whether `text` is at most `length_max` characters that UTF-8 can hold: half of a surrogate pair cannot be written."""
    return isinstance(text, str) and len(text) <= length_max and not any("\ud800" <= character <= "\udfff" for character in text)


def _check(key: str, value: str, ttl_s: float, policy: Policy) -> None:
    if not is_name(key, KEY_LENGTH_MAX):
        raise _misuse(f"a hint's key is text of 1 to {KEY_LENGTH_MAX} printable characters", "hint_key")
    if not is_text(value, VALUE_LENGTH_MAX):
        raise _misuse(f"a hint's value is text of at most {VALUE_LENGTH_MAX} characters that UTF-8 can hold", "hint_value")
    if not _is_life(ttl_s):
        raise _misuse(f"ttl_s, how long a hint lives, is a number of seconds above 0 and at most {YEAR_S}", "hint_ttl")
    size = len(key.encode()) + len(value.encode())
    if size > policy.hint_bytes_max:
        raise _misuse(f"a hint of {size} bytes; the policy allows {policy.hint_bytes_max}", "hint_size")
    if not policy.hints_max:
        raise _misuse("the policy allows no hints", "no_hints")


def _is_life(ttl_s: object) -> bool:
    return isinstance(ttl_s, (int, float)) and 0 < ttl_s <= YEAR_S


def _misuse(rule: str, reason: str) -> MisuseError:
    return MisuseError(f"{rule}; nothing was kept.", state_class=TELEMETRY.name, reason=reason)
