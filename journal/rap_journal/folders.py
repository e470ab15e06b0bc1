"""The open folders of one journal, and making them.

Rules this file keeps:

- A journal is made whole in a folder of another name and then renamed: after that a missing folder is damage, never a fresh start.
- A missing folder of a class is made again, empty, and reported: that it holds no checkpoint is what tells that the class is damaged.

Example::

    folders = JournalFolders.open(directory, CLUSTER_CLASSES, may_repair=True)
    folders.classes[7].names()
    folders.close()
"""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import NamedTuple, Self

from rap_journal.filesystem import Directory
from rap_journal.layout import JOURNAL, QUARANTINE, TEMPORARY
from rap_journal.values import ClassSpec


class JournalFolders(NamedTuple):
    """One journal's folders, held open. `missing` names class folders that were not there."""

    root: Directory
    journal: Directory
    quarantine: Directory
    temporary: Directory
    classes: dict[int, Directory]
    missing: tuple[str, ...] = ()

    @classmethod
    def create(cls, root: Directory, specs: Sequence[ClassSpec]) -> Self:
        """Make all folders in the empty directory `root`."""
        made = [root.create_directory(name) for name in (JOURNAL, QUARANTINE, TEMPORARY)]
        classes = {spec.number: root.create_directory(spec.name) for spec in specs}
        return cls(root, made[0], made[1], made[2], classes)

    @classmethod
    def open(cls, root: Directory, specs: Sequence[ClassSpec], *, may_repair: bool) -> Self:
        """Open all folders. With `may_repair`, missing ones are made again, but for that of the segments.

        Raises `FileNotFoundError` when the folder of segments is missing, and `UnsafeFile`; `root` stays open then, and nothing else.
        """
        classes, missing, remade = {}, [], False
        with ExitStack() as opened:
            for spec in specs:
                if root.status(spec.name) is not None:
                    classes[spec.number] = opened.enter_context(root.directory(spec.name))
                else:
                    missing.append(spec.name)
                    if may_repair:
                        classes[spec.number] = opened.enter_context(root.create_directory(spec.name))
                        remade = True
            for name in (QUARANTINE, TEMPORARY):
                if may_repair and root.status(name) is None:
                    root.create_directory(name).close()
                    remade = True
            if remade:
                # Before anything is put into them.
                root.sync()
            others = [opened.enter_context(root.directory(name)) for name in (JOURNAL, QUARANTINE, TEMPORARY)]
            folders = cls(root, others[0], others[1], others[2], classes, tuple(missing))
            opened.pop_all()
        return folders

    def wipe_temporary(self) -> None:
        """Remove every file under ``tmp/`` (spec 7: wipe temporary files on startup). A folder in it is not the store's."""
        for name in self.temporary.names():
            status = self.temporary.status(name)
            if status is not None and status.kind != "directory":
                self.temporary.unlink(name)

    def close(self) -> None:
        """Close all of them."""
        for directory in (self.journal, self.quarantine, self.temporary, *self.classes.values(), self.root):
            directory.close()
