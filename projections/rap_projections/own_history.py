"""A journal's own history, read beside its writer, for whoever missed some of it.

Rules this file keeps:

- Nothing past the last durable record is told, and everything up to it is: the witness is brought up before reading.
- A place that is not kept any more, or that this journal never reached, is said to be so; nothing is skipped in silence.

Example::

    history = OwnHistory(directory, setup, journal, "eu-west-1")
    for record in history.after(cursor):
        print(record.lsn)
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from rap_journal.errors import CursorDiverged, HistoryGone, MisuseError
from rap_journal.filesystem import Directory
from rap_journal.journal import Journal
from rap_journal.reader import JournalReader
from rap_journal.records import Record
from rap_journal.unlocking import Setup


class OwnHistory(NamedTuple):
    """What an open journal can tell of its past.

    Attributes:
        directory: opens the journal's folder.
        setup: how the journal was opened.
        journal: the journal itself.
        name: the cluster's id, or "agent", for messages.
    """

    directory: Callable[[], Directory]
    setup: Setup
    journal: Journal
    name: str

    def after(self, lsn: int) -> Iterator[Record]:
        """Every durable record after `lsn`. Raises `HistoryGone`, `CursorDiverged`, `OSError`."""
        self._show_all()
        with JournalReader.open(self.directory(), self.setup, live=True) as reader:
            self._require_kept(reader, lsn)
            for _frame, records in reader.records(lsn):
                yield from records

    def require(self, lsn: int) -> None:
        """Raise `HistoryGone` or `CursorDiverged` where the events right behind `lsn` cannot be told."""
        if lsn == self.journal.durable_lsn:
            return
        self._show_all()
        with JournalReader.open(self.directory(), self.setup, live=True) as reader:
            self._require_kept(reader, lsn)

    def _show_all(self) -> None:
        """Let a reader beside this writer see everything that is durable."""
        if self.journal.is_writable:
            self.journal.bring_witness_up()

    def _require_kept(self, reader: JournalReader, lsn: int) -> None:
        if lsn < 0:
            raise MisuseError(
                f"an LSN is 0 or more, and {lsn} is none; nothing was done.", cluster=self.name, lsn=lsn, reason="bad_lsn"
            )
        if lsn > reader.horizon.lsn:
            raise CursorDiverged(
                f"LSN {lsn} is beyond the last record of {self.name}, {reader.horizon.lsn}.", cluster=self.name, lsn=lsn
            )
        first_lsn = reader.inventory.chain[0].header.first_lsn if reader.inventory.chain else 1
        if lsn + 1 < first_lsn:
            raise HistoryGone(
                f"the events behind LSN {lsn} of {self.name} are not kept any more: the oldest is {first_lsn}.",
                oldest_lsn=first_lsn,
                cluster=self.name,
                lsn=lsn,
            )
