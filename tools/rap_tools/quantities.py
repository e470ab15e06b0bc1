"""What a number means, by the name of the field that holds it: a time, a span of time, a size, a place in the journal.

Rules this file keeps:

- Units come last in the names of fields; which of those in `_us` and `_s` are times, and which are spans, is listed here.
- Times are RFC 3339 in UTC, spans have their units, and nothing is rounded: what is shown can be compared with the number.
- A time of 0 stands for "never" and an LSN of 0 for "none", as they do in the state.

Example::

    assert quantity_text("latency_us", 152_490) == "152.490 ms"
    assert quantity_text("expires_at_s", 1_800_000_000) == "2027-01-15T08:00:00Z"
    assert quantity_text("peer_count", 7) is None
"""

from rap_tools.times import rfc3339, rfc3339_s

TIMES_US = frozenset({
    "at_us", "cutoff_us", "expires_us", "failed_us", "first_us", "joined_us", "last_observed_us", "last_success_us", "last_us",
    "left_us", "node_us", "ok_us", "review_us", "seen_us", "since_us",
})  # fmt: skip
"""Node times, in microseconds since 1970, beside those in `_until_us`; every other field in `_us` is a span."""

TIMES_S = frozenset({
    "checked_s", "not_after_s", "not_before_s", "refresh_after_s", "signed_s", "trusted_time_s",
})  # fmt: skip
"""Times in seconds since 1970, beside those in `_at_s`; every other field in `_s` is a span."""

_SPANS_US = frozenset({"score", "scores"})
_BYTES = ("_bytes", "_bytes_max", "byte_count", "size")
_LSNS = ("lsn", "_lsn", "causes")
_LIMIT = "_max"

_WORDS = (("_ms", "ms"), ("_h", "h"), ("_days", "days"), ("_ppm", "ppm"), ("permille", "‰"), ("reliability", "of 1000"))


def quantity_text(name: str, number: int) -> str | None:
    """`number` with its unit, or None where a field of this name is just a number."""
    if name in TIMES_US or name.endswith("_until_us"):
        return rfc3339(number) if number else "never"
    if name in TIMES_S or name.endswith("_at_s"):
        return rfc3339_s(number) if number else "never"
    if name.endswith(_BYTES):
        return f"{number} {'byte' if number == 1 else 'bytes'}"
    if name.endswith(_LSNS):
        return f"@{number}" if number else "none"
    unit = name.removesuffix(_LIMIT)
    if unit.endswith("_us") or name in _SPANS_US:
        return span_us_text(number)
    if unit.endswith("_s"):
        return span_us_text(number * 1_000_000)
    return next((f"{number} {word}" for suffix, word in _WORDS if unit.endswith(suffix)), None)


def span_us_text(span_us: int) -> str:
    """A span in microseconds, exactly: milliseconds below a second, seconds below a minute, units from there on."""
    sign, rest = ("-", -span_us) if span_us < 0 else ("", span_us)
    if rest < 1_000_000:
        return f"{sign}{rest // 1000}.{rest % 1000:03d} ms" if rest else "0s"
    seconds, below_us = divmod(rest, 1_000_000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    larger = [f"{count}{unit}" for count, unit in ((days, "d"), (hours, "h"), (minutes, "min")) if count]
    last = [f"{seconds}{f'.{below_us:06d}'.rstrip('0') if below_us else ''}s"] if seconds or below_us else []
    return sign + " ".join([*larger, *last])
