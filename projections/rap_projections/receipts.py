"""What a writing call answers, and what it may be told about its reason.

Rules this file keeps:

- A receipt says only what is so; the same content again is ``changed=False`` and no error.
- A cause is an LSN of one journal: a block about one cluster names no cause in another.

Example::

    receipt = cluster.health.enter_degraded("no control plane")
    with cluster.because(receipt):
        cluster.routes.result(route, ok=False)
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple, TypedDict, Unpack

from rap_journal.errors import MisuseError

TEXT_LENGTH_MAX = 64
"""Characters of an actor, a trace id, and whatever else names somebody or something in a few words."""

CAUSES_MAX = 32
"""Causes one event can name."""

LSN_MAX = (1 << 63) - 1
"""Highest number an LSN can be."""


class Receipt(NamedTuple):
    """What became of a call.

    Attributes:
        lsn: LSN of the last event written; None where nothing was written, or where it is queued and has none yet.
        durable: whether everything the call wrote is on disk.
        changed: False when nothing was written: the state was as asked already, or an observation was of a stranger.
    """

    lsn: int | None
    durable: bool
    changed: bool


UNCHANGED = Receipt(None, True, False)
"""The answer where everything was so already."""


class Context(TypedDict, total=False):
    """What every writing call takes by keyword: the event it follows from, who asks, and a trace id."""

    cause: "Receipt | int | None"
    actor: str | None
    trace_id: str | None


class Origin(NamedTuple):
    """A checked context. `journal` names the journal whose LSNs the causes are."""

    causes: tuple[int, ...] = ()
    actor: str | None = None
    trace_id: str | None = None
    journal: str = ""


NO_ORIGIN = Origin()

_WORDS = Context.__annotations__.keys()

_INHERITED: ContextVar[Origin] = ContextVar("rap_origin", default=NO_ORIGIN)


def origin_of(context: Context, journal: str) -> Origin:
    """The origin that holds for a call on `journal`: its own words, else those of the block around it. Raises `MisuseError`."""
    inherited = _INHERITED.get()
    causes = inherited.causes if inherited.journal == journal else ()
    if not context:
        return Origin(causes, inherited.actor, inherited.trace_id, journal)
    if not context.keys() <= _WORDS:
        # A word that is misspelt would be passed over otherwise, with what it was meant to ask for.
        raise MisuseError(f"there is no argument {min(context.keys() - _WORDS)!r}; nothing was done.", reason="unknown_argument")
    lsn = _cause(context)
    if lsn is not None:
        causes = (*[known for known in causes if known != lsn], lsn)[-CAUSES_MAX:]
    return Origin(causes, _text(context, "actor") or inherited.actor, _text(context, "trace_id") or inherited.trace_id, journal)


@contextmanager
def because(journal: str, **context: Unpack[Context]) -> Iterator[None]:
    """Let every call of the block, in this thread or task, follow from `context`, whose cause is an LSN of `journal`."""
    token = _INHERITED.set(origin_of(context, journal))
    try:
        yield
    finally:
        _INHERITED.reset(token)


def check_word(name: str, text: object) -> None:
    """Raise `MisuseError` unless `text`, which the caller knows as `name`, is 1 to 64 printable characters."""
    if not (isinstance(text, str) and 0 < len(text) <= TEXT_LENGTH_MAX and text.isprintable()):
        raise MisuseError(f"{name} is not 1 to {TEXT_LENGTH_MAX} printable characters; nothing was done.", reason=f"bad_{name}")


def _cause(context: Context) -> int | None:
    cause = context.get("cause")
    lsn = cause.lsn if isinstance(cause, Receipt) else cause
    if lsn is not None and not (type(lsn) is int and 1 <= lsn <= LSN_MAX):
        raise MisuseError("a cause is a receipt or an LSN; nothing was done.", reason="bad_cause")
    return lsn


def _text(context: Context, name: str) -> str | None:
    value = context.get(name)
    if value is None:
        return None
    check_word(name, value)
    return str(value)
