"""Removing a folder with everything in it, through the door.

Example::

    remove_tree(clusters, ".join-eu-west-1")
"""

from rap_journal.filesystem import Directory


def remove_tree(parent: Directory, name: str) -> None:
    """Remove the folder `name` and all it holds; nothing happens where it is not there. Synced once, at the end."""
    status = parent.status(name)
    if status is None:
        return
    if status.kind != "directory":
        parent.unlink(name)
        return
    _remove(parent, name)
    parent.sync()


def _remove(parent: Directory, name: str) -> None:
    with parent.directory(name) as folder:
        for entry in folder.names():
            status = folder.status(entry)
            if status is not None and status.kind == "directory":
                _remove(folder, entry)
            else:
                folder.unlink(entry)
    parent.remove_directory(name)
