"""Selectors: the words that name a place in a history, read into values. Finding the place is left to `selector_places`.

Rules this file keeps:

- Reading looks at the text alone; what it cannot mean is a `MisuseError` that shows what it could.
- Counting is the same everywhere: from 1 for the oldest, downwards for the newest.

======================  ==========================================================================
``@1234``               the record with LSN 1234; ``lab@1234`` also says in which cluster
``HEAD``, ``HEAD~3``    the last durable record, three records before it
``2026-01-31T03:12Z``   the last record made at that time (RFC 3339, with its zone) or before it
``now``, ``now-15min``  such a time, reckoned from now by this machine's clock
``end``, ``end-15min``  the same, reckoned from the last record
``boot:0``, ``boot:-1`` all records of the newest boot, of the one before it; ``boot:1`` is the oldest kept
``checkpoint:-1``       the newest checkpoint; ``checkpoint:-2`` the one before it, ``checkpoint:1`` the oldest kept
``active:routes~1``     where the routes snapshot before the present one became active
======================  ==========================================================================

Example::

    parse_selector("lab@17") == Selector("lab@17", "lab", AtLsn(17))
"""

import re
from typing import NamedTuple

from rap_journal.errors import MisuseError
from rap_journal.values import ClusterId
from rap_projections.documents import Scope
from rap_tools.times import looks_like_time, parse_rfc3339, parse_span

FORMS = "@1234, CLUSTER@1234, HEAD~3, 2026-01-31T03:12:00Z, now-15min, end-15min, boot:-1, checkpoint:-1, active:routes~1"

MEANINGS = (
    ("@1234, lab@1234", "the record with this LSN; in this cluster"),
    ("HEAD~3", "three LSNs before the last durable record, HEAD"),
    ("2026-01-31T03:12:00Z", "the last record made then or earlier"),
    ("now-15min, end-15min", "such a time, from now or from the last record"),
    ("boot:0, boot:-1", "the machine's newest boot, the one before it"),
    ("checkpoint:-1", "the newest checkpoint; -2 is the one before it"),
    ("active:routes~1", "where the routes before those in force began"),
)
"""The forms and what they mean, for people."""


class AtLsn(NamedTuple):
    """The record with this LSN; 0 is the place before the first record."""

    lsn: int


class Head(NamedTuple):
    """The record so many before the last durable one."""

    back: int


class AtTime(NamedTuple):
    """A wall-clock time, microseconds since 1970."""

    wall_us: int


class Relative(NamedTuple):
    """A wall-clock time so many microseconds after ``now`` or ``end``, whichever `base` says."""

    base: str
    delta_us: int


class Boot(NamedTuple):
    """All records of one boot: 0 the newest, -1 the one before it; 1 the oldest kept, 2 the one after it."""

    number: int


class Checkpoint(NamedTuple):
    """A checkpoint set: -1 the newest, -2 the one before it; 1 the oldest kept, 2 the one after it."""

    number: int


class Active(NamedTuple):
    """An activation of a scope: 0 back is the one that made the present document active."""

    scope: str
    back: int


Where = AtLsn | Head | AtTime | Relative | Boot | Checkpoint | Active


class Selector(NamedTuple):
    """A selector as read.

    Attributes:
        text: as it was written.
        cluster: the cluster it names, if it names one.
        where: what it means.
    """

    text: str
    cluster: str | None
    where: Where


_LSN = re.compile(r"(?P<cluster>[^@]*)@(?P<lsn>[0-9]{1,15})")
_HEAD = re.compile(r"HEAD(?:~(?P<back>[0-9]{0,15}))?")
_RELATIVE = re.compile(r"(?P<base>now|end)(?:(?P<sign>[+-])(?P<span>\w+))?")
_COUNTED = re.compile(r"(?P<what>boot|checkpoint):(?P<number>[+-]?[0-9]{1,9})")
_ACTIVE = re.compile(r"active:(?P<scope>[a-z]+)(?:~(?P<back>[0-9]{0,9}))?")


def parse_selector(text: str) -> Selector:
    """Read one selector. Raises `MisuseError` for what is none."""
    if match := _LSN.fullmatch(text):
        return Selector(text, ClusterId(match["cluster"]) if match["cluster"] else None, AtLsn(int(match["lsn"])))
    return Selector(text, None, _parse_where(text))


def _parse_where(text: str) -> Where:
    if match := _HEAD.fullmatch(text):
        return Head(_back(match["back"]))
    if match := _RELATIVE.fullmatch(text):
        span_us = parse_span(match["span"]) if match["span"] else 0
        return Relative(match["base"], -span_us if match["sign"] == "-" else span_us)
    if match := _COUNTED.fullmatch(text):
        return _counted(match["what"], int(match["number"]))
    if match := _ACTIVE.fullmatch(text):
        return Active(_scope(match["scope"]), _back(match["back"]))
    if looks_like_time(text):
        return AtTime(parse_rfc3339(text))
    hint = f" Did you mean @{text}?" if text.isdecimal() and text.isascii() else ""
    raise _misuse(f"{text!r:.80} is no selector.{hint} It is one of: {FORMS}.")


def _back(digits: str | None) -> int:
    """How many before: none said is 0, a bare ``~`` is 1, as git has it."""
    return 0 if digits is None else int(digits or 1)


def _counted(what: str, number: int) -> Boot | Checkpoint:
    if what == "boot":
        return Boot(number)
    if number == 0:
        raise _misuse("checkpoints are counted from 1 (the oldest kept), or from -1 (the newest) downwards.")
    return Checkpoint(number)


def _scope(name: str) -> str:
    try:
        return Scope(name).value
    except ValueError:
        raise _misuse(f"{name!r:.40} is no scope; the scopes are {', '.join(scope.value for scope in Scope)}.") from None


def _misuse(what: str) -> MisuseError:
    return MisuseError(f"{what} Nothing was done.", reason="bad_selector")
