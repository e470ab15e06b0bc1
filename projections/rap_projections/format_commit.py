"""The format level of a whole store: raised everywhere by `commit_format`, and kept in step by every opening.

Rules this file keeps:

- The store's marker comes first: from there on the release before refuses all of it, not half, and an opening knows what is left to do.
- What cannot be written is tried again by the next opening; it never keeps a cluster from being opened.

Example::

    commit_format(folders, [agent, *clusters], 2)
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

from rap_journal.errors import NoSpace, StateStoreError
from rap_projections.store_folders import StoreFolders


class Levelled(Protocol):
    """What has a journal with a level of its own."""

    @property
    def is_writable(self) -> bool:
        """Whether anything can be written to it."""
        ...

    @property
    def format_level(self) -> int:
        """The level that is written."""
        ...

    def raise_level(self, level: int) -> None:
        """Write at this level from now on."""
        ...


def commit_format(folders: StoreFolders, journals: Sequence[Levelled], level: int) -> None:
    """Write everything at `level` from now on. Raises the first error that writing met, once everything was tried."""
    folders.raise_level(level)
    errors = []
    for journal in journals:
        try:
            journal.raise_level(level)
        except (StateStoreError, OSError) as error:
            errors.append(error)
    if errors:
        raise errors[0]


def keep_in_step(folders: StoreFolders, journal: Levelled) -> None:
    """See to it that store and journal name one level: a crash may have come between them, or somebody put back an older marker."""
    with suppress(NoSpace):
        if journal.is_writable:
            journal.raise_level(folders.level())
            folders.raise_level(journal.format_level)
