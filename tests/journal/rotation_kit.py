"""Journals whose data key was rotated, and what can be asked of their files."""

from rap_journal.filesystem import FileSystem
from rap_journal.inventory import take_inventory
from rap_journal.layout import keys_name
from rap_journal.testing import MemoryFileSystem, SeededRandomness
from rap_journal.verify import JournalShape, verify_journal
from tests.journal.workbench import (
    JOURNAL_ID,
    PATH,
    SPECS,
    TRUST,
    FixedProvider,
    Opened,
    new_journal,
    open_journal,
    setup_of,
    tree,
)

FOLDERS = ("identity", "trust")


def opened_again(filesystem: FileSystem, seed: int | str = "again") -> Opened:
    return open_journal(filesystem, setup=setup_of(randomness=SeededRandomness(seed)))


def key_files(filesystem: FileSystem) -> list[str]:
    return sorted(name for name in tree(filesystem) if "/keys-" in name)


def both(*generations: int) -> list[str]:
    return sorted(f"{folder}/{keys_name(generation)}" for folder in FOLDERS for generation in generations)


def segment_generations(filesystem: FileSystem) -> list[int]:
    with filesystem.open_root(PATH) as root, root.directory("journal") as folder:
        return [file.header.key_generation for file in take_inventory(folder, JOURNAL_ID).chain]


def rotated() -> tuple[MemoryFileSystem, Opened]:
    """A journal with a record sealed under either generation."""
    filesystem, opened = new_journal()
    opened.append(TRUST, "first")
    assert opened.journal.rotate_data_key() == 2
    opened.append(TRUST, "second")
    return filesystem, opened


def verified(filesystem: FileSystem) -> list[str]:
    report = verify_journal(filesystem.open_root(PATH), JournalShape(SPECS, FOLDERS), live=False, keys=FixedProvider())
    return [finding.reason for finding in report.findings if finding.severity]
