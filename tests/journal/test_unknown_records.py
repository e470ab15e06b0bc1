"""Records of a later release: the journal is shown up to the frame that holds the first of them, and nothing in it is changed."""

from collections.abc import Sequence

import pytest

from rap_journal.errors import FormatTooNew
from rap_journal.filesystem import FileSystem
from rap_journal.journal import Journal
from rap_journal.records import Record
from rap_journal.testing import EverythingSurvives, MemoryFileSystem, SeededRandomness
from tests.journal.workbench import HEALTH, PATH, PEERS, TRUST, Ledger, new_journal, open_journal, read_all, setup_of, tree

UNKNOWN = "of a later release"


class OlderRelease(Ledger):
    """Projections that do not know what one of the records is."""

    def apply(self, records: Sequence[Record]) -> None:
        for record in records:
            if record.body == UNKNOWN:
                raise FormatTooNew(f"record {record.lsn} is not known.", lsn=record.lsn, reason="unknown_kind")
            super().apply([record])


def open_older(filesystem: FileSystem) -> tuple[Journal, OlderRelease]:
    projections = OlderRelease()
    setup = setup_of(randomness=SeededRandomness("older"))
    return Journal.open(filesystem.open_root(PATH), setup, projections), projections


def with_unknown() -> MemoryFileSystem:
    """Three frames: known, half known, known again; the process was killed."""
    filesystem, opened = new_journal()
    opened.append(TRUST, "one")
    opened.append(HEALTH, "two", UNKNOWN, "four")
    opened.append(PEERS, "five")
    assert isinstance(filesystem, MemoryFileSystem)
    return filesystem.crash(EverythingSurvives())


def test_the_state_is_that_before_the_frame_that_is_not_known() -> None:
    journal, projections = open_older(with_unknown())
    assert projections.bodies() == ["one"]
    assert (journal.folded_lsn, journal.report.last_lsn) == (1, 5)
    assert journal.unknown is not None
    assert (journal.unknown.lsn, journal.unknown.reason) == (3, "unknown_kind")


def test_nothing_on_disk_is_changed() -> None:
    filesystem = with_unknown()
    filesystem.open_root(PATH).directory("tmp").create("left-over").close()
    before = tree(filesystem)
    for _opening in range(2):
        journal, _projections = open_older(filesystem)
        journal.close()
    assert tree(filesystem) == before


def test_every_write_says_what_is_not_known_and_where() -> None:
    journal, _projections = open_older(with_unknown())
    assert not journal.is_writable
    for write in (
        lambda: journal.submit([], strict=False, privileged=True),
        journal.flush,
        journal.seal_active,
        journal.rotate_data_key,
        lambda: journal.raise_level(2),
        journal.require_writable,
    ):
        with pytest.raises(FormatTooNew, match=r"open for reading only, up to LSN 1.*record 3 is not known") as caught:
            write()
        assert (caught.value.cluster, caught.value.lsn, caught.value.reason) == ("eu-1", 3, "unknown_kind")


def test_a_reader_and_the_release_that_knows_it_see_everything() -> None:
    filesystem = with_unknown()
    everything = ["one", "two", UNKNOWN, "four", "five"]
    assert read_all(filesystem) == everything
    open_older(filesystem)[0].close()
    opened = open_journal(filesystem)
    assert opened.ledger.bodies() == everything
    assert opened.journal.unknown is None
    assert opened.journal.folded_lsn == 5


def test_a_checkpoint_behind_the_unknown_record_covers_it() -> None:
    filesystem, opened = new_journal()
    opened.append(HEALTH, UNKNOWN)
    opened.checkpoint()
    opened.append(HEALTH, "after")
    opened.journal.close()
    journal, projections = open_older(filesystem)
    assert journal.is_writable
    assert projections.bodies() == [UNKNOWN, "after"]
