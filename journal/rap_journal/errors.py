"""Every error the journal raises, sorted by whose fault it is.

Rules this file keeps:

- The four faults are the caller's (`MisuseError`), the disk's (`StorageError`), the stored bytes' (`DamageError`) and the
  input's (`RefusedError`, which lives with the trust rules). Keys and history have their own branches.
- A message says what happened, what the store did about it, and what to do next. It never holds a payload or a secret.
- Facts (cluster, class, file, LSN, ...) are attributes, so that a program need not parse the message.
- `action` is what the caller should do; `exit_code` is what the command `rap-state` exits with.

Example::

    try:
        journal.wait(ticket)
    except NoSpace as error:
        schedule_retry()            # error.action == "retry"; nothing was changed
"""

from typing import ClassVar, Literal

Action = Literal["retry", "reopen", "refetch", "reenroll", "operator", "fix_call"]


class StateStoreError(Exception):
    """Base of every error of this store.

    Attributes:
        cluster: cluster id the error concerns, if one.
        state_class: name of the state class it concerns, if one.
        file: name of the file relative to the store's root, if one.
        lsn: log sequence number it concerns, if one.
        offset: byte offset within `file`, if one.
        reason: a short stable word for programs, such as ``"bad_digest"``.
    """

    action: ClassVar[Action] = "operator"
    exit_code: ClassVar[int] = 70

    def __init__(
        self,
        message: str,
        *,
        cluster: str | None = None,
        state_class: str | None = None,
        file: str | None = None,
        lsn: int | None = None,
        offset: int | None = None,
        reason: str | None = None,
    ) -> None:
        super().__init__(message)
        self.cluster = cluster
        self.state_class = state_class
        self.file = file
        self.lsn = lsn
        self.offset = offset
        self.reason = reason

    def facts(self) -> dict[str, str | int]:
        """The attributes that are set, by name: what a log line or an error document carries."""
        names = ("cluster", "state_class", "file", "lsn", "offset", "reason")
        return {name: value for name in names if (value := getattr(self, name)) is not None}


class MisuseError(StateStoreError):
    """Raised when the caller asked for something that no state of the disk could make right."""

    action: ClassVar[Action] = "fix_call"
    exit_code: ClassVar[int] = 2


class StorageError(StateStoreError):
    """Raised when the operating system refused or failed an operation on a file."""

    action: ClassVar[Action] = "operator"
    exit_code: ClassVar[int] = 12


class StoreBusy(StorageError):
    """Raised when another process holds the store's writer lock; `holder` names it.

    Attributes:
        holder: text the holder wrote into the lock file (process id and boot id).
    """

    action: ClassVar[Action] = "retry"
    exit_code: ClassVar[int] = 5

    def __init__(self, message: str, *, holder: str, file: str | None = None) -> None:
        super().__init__(message, file=file, reason="locked")
        self.holder = holder


class NoSpace(StorageError):
    """Raised when the disk or quota is full, or mounted read-only, before anything was changed."""

    action: ClassVar[Action] = "retry"


class OutcomeUnknown(StorageError):
    """Raised to everyone who waited for a write or sync that failed: it may or may not be on disk.

    The writer is poisoned. After `reopen` recovery has decided, and the same call may be repeated: content that is already
    there is answered with ``changed=False``.
    """

    action: ClassVar[Action] = "reopen"


class Poisoned(StorageError):
    """Raised when a write is asked of a journal whose earlier write or sync failed; nothing was done.

    A failed sync is final: the kernel may report success on the next one while the disk holds the old bytes.
    """

    action: ClassVar[Action] = "reopen"


class UnsafeFile(StorageError):
    """Raised when a path leads over a link, or a file's owner, mode, type or link count is not what the store made."""

    action: ClassVar[Action] = "operator"
    exit_code: ClassVar[int] = 11


class DamageError(StateStoreError):
    """Raised when stored bytes differ from those written, and it is not a torn tail."""

    action: ClassVar[Action] = "operator"
    exit_code: ClassVar[int] = 7


class FailClosed(DamageError):
    """Raised by every operation that needs trust, in a cluster whose identity, trust or signatures are damaged."""

    action: ClassVar[Action] = "operator"
    exit_code: ClassVar[int] = 8


class FormatTooNew(StateStoreError):
    """Raised when a file was written by a later format, or holds a critical record kind this release does not know."""

    action: ClassVar[Action] = "operator"
    exit_code: ClassVar[int] = 9


class KeyUnavailable(StateStoreError):
    """Raised when there is no key, or not the right one, at the place that was named; the right one may still be somewhere."""

    action: ClassVar[Action] = "retry"
    exit_code: ClassVar[int] = 11


class KeyLost(StateStoreError):
    """Raised when the key is gone for good: what it sealed cannot be read again."""

    action: ClassVar[Action] = "reenroll"
    exit_code: ClassVar[int] = 11


class KeyTampered(StateStoreError):
    """Raised when a key opens, but what it opens is not what this store was sealed with; the cluster fails closed."""

    action: ClassVar[Action] = "operator"
    exit_code: ClassVar[int] = 8


class NoSuchStore(StateStoreError):
    """Raised when the folder holds no store and none was to be made."""

    action: ClassVar[Action] = "fix_call"
    exit_code: ClassVar[int] = 3


class NoSuchRecord(StateStoreError):
    """Raised when an LSN, key or time selects nothing that this history ever held."""

    action: ClassVar[Action] = "fix_call"
    exit_code: ClassVar[int] = 3


class CursorDiverged(NoSuchRecord):
    """Raised when a cursor names an LSN that this history never reached: it is of another history, before a restore for example."""


class HistoryGone(StateStoreError):
    """Raised when what was asked for lies before the history floor.

    Attributes:
        oldest_lsn: the oldest LSN that can still be shown.
        oldest_wall_us: wall time of the first record behind it, microseconds since 1970; None where that is not known.
    """

    action: ClassVar[Action] = "fix_call"
    exit_code: ClassVar[int] = 4

    def __init__(
        self,
        message: str,
        *,
        oldest_lsn: int,
        oldest_wall_us: int | None = None,
        cluster: str | None = None,
        lsn: int | None = None,
    ) -> None:
        super().__init__(message, cluster=cluster, lsn=lsn, reason="before_floor")
        self.oldest_wall_us = oldest_wall_us
        self.oldest_lsn = oldest_lsn
