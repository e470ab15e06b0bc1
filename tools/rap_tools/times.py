"""Times as people and programs read them: RFC 3339 in UTC, and spans such as 15min.

Rules this file keeps:

- A time without a zone is refused: nobody can know which moment it names.
- Microseconds are kept exactly; no time goes through a floating-point number.

Example::

    assert rfc3339(1_800_000_000_000_000) == "2027-01-15T08:00:00.000000Z"
    assert parse_rfc3339("2027-01-15T09:00:00+01:00") == 1_800_000_000_000_000
    assert parse_span("1h30min") == 5_400_000_000
"""

import re
from datetime import UTC, datetime, timedelta

from rap_journal.errors import MisuseError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

WALL_US_MAX = 253_402_300_799_999_999
"""The last microsecond of the year 9999."""

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?P<zone>[Zz]|[+-]\d\d:\d\d)?")
_SPAN_PART = re.compile(r"(\d{1,12})([a-z]+)")
_UNITS = {
    "us": 1,
    "ms": 1_000,
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1_000_000),
    **dict.fromkeys(("m", "min", "minute", "minutes"), 60_000_000),
    **dict.fromkeys(("h", "hr", "hour", "hours"), 3_600_000_000),
    **dict.fromkeys(("d", "day", "days"), 86_400_000_000),
    **dict.fromkeys(("w", "week", "weeks"), 604_800_000_000),
}


def rfc3339(wall_us: int, *, digits: int = 6) -> str:
    """A wall-clock time in microseconds since 1970 as RFC 3339 text in UTC, with 0, 3 or 6 digits after the second."""
    if not 0 <= wall_us <= WALL_US_MAX:
        return f"{wall_us}us"
    moment = EPOCH + timedelta(microseconds=wall_us)
    text = moment.strftime("%Y-%m-%dT%H:%M:%S").zfill(19)
    return f"{text}{f'.{moment.microsecond:06d}'[: digits + 1] if digits else ''}Z"


def rfc3339_s(seconds: int) -> str:
    """A time in whole seconds since 1970 as RFC 3339 text in UTC."""
    return rfc3339(seconds * 1_000_000, digits=0)


def looks_like_time(text: str) -> bool:
    """Whether `text` has the shape of a time, with or without its zone."""
    return _RFC3339.fullmatch(text) is not None


def parse_rfc3339(text: str) -> int:
    """Microseconds since 1970 of an RFC 3339 time. Raises `MisuseError` for one without a zone, or of no such moment."""
    match = _RFC3339.fullmatch(text)
    if match is None or match["zone"] is None:
        what = "has no zone" if match else "is not a time"
        raise MisuseError(f"{text!r:.60} {what}; nothing was done. Write it as 2026-01-31T03:12:00Z.", reason="bad_time")
    try:
        moment = datetime.fromisoformat(text.upper())
    except ValueError as error:
        raise MisuseError(
            f"{text!r:.60} names no moment; nothing was done. Write it as 2026-01-31T03:12:00Z.", reason="bad_time"
        ) from error
    return (moment - EPOCH) // timedelta(microseconds=1)


def parse_span(text: str) -> int:
    """A span of time such as 15min, 2h or 1h30min, in microseconds. Raises `MisuseError`."""
    parts = _SPAN_PART.findall(text)
    if not parts or "".join(map("".join, parts)) != text or any(unit not in _UNITS for _, unit in parts):
        raise MisuseError(
            f"{text!r:.60} is not a span of time; nothing was done. Write it as 90s, 15min, 2h, 3d or 1h30min.", reason="bad_span"
        )
    return sum(int(count) * _UNITS[unit] for count, unit in parts)


def span_text(seconds: int) -> str:
    """A span of whole seconds for people: its two largest units."""
    units = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
    parts: list[str] = []
    rest = seconds
    for name, size in units:
        count, rest = divmod(rest, size)
        if count or (name == "s" and not parts):
            parts.append(f"{count}{name}")
    return " ".join(parts[:2])
