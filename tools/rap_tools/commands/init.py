"""`rap-state init`: makes an empty store and its key file.

Under `-o json` an object of format `rap-state-init`: `root`, `key_file`, `changed` (false where there was a store already), `made` and `next`.

Rules this file keeps:

- A store that is there is left alone, and said to be there; that is no failure, so the call may be repeated. It is a failure where
  the key file is not that store's.
- The key file is made with the store, outside of it; one that is there is used and never overwritten.

Example::

    rap-state init -D ./node --key-file ./node.key
"""

import shlex
from pathlib import Path
from typing import Any

from rap_journal.errors import MisuseError, NoSuchStore
from rap_projections.keys import FileKeyProvider
from rap_projections.store import NodeStore
from rap_tools.invocation import program
from rap_tools.json_output import head
from rap_tools.opening import StoreReading
from rap_tools.session import Session


def run(session: Session) -> int:
    """Make the store."""
    root, key_file = Path(session.root()).absolute(), session.key_file
    if key_file is None:
        raise MisuseError(
            "a new store needs a key file, kept outside of it; nothing was made. Give --key-file FILE.", reason="no_key_file"
        )
    keys = Path(key_file).absolute()
    if not root.parent.is_dir():
        raise MisuseError(f"there is no folder {root.parent} to make {root.name} in; nothing was made.", reason="no_parent")
    if root.is_file():
        raise MisuseError(f"{root} is a file; nothing was made. Name a folder that is not there yet.", reason="not_a_folder")
    changed = not _is_store(str(root), str(keys))
    if changed:
        NodeStore.open(root, keys=FileKeyProvider(keys), create=True, background=False).close()
    _tell(session, root, keys, changed)
    return 0


def _is_store(root: str, key_file: str) -> bool:
    """Whether there is a store already. Raises `KeyTampered`, `KeyUnavailable` where this key does not open it, `DamageError`."""
    try:
        store = StoreReading.open(root, key_file)
    except NoSuchStore:
        return False
    with store:
        store.agent_reader()
        # A store that lacks its folder of clusters is there, and is damaged.
        store.clusters()
    return True


def _tell(session: Session, root: Path, keys: Path, changed: bool) -> None:
    place = f"-D {shlex.quote(str(root))}"
    following = [
        f"{program()} status {place} --key-file {shlex.quote(str(keys))}",
        f"{program()} fabric bundle -c lab -O bundle.cbor",
        f"{program()} verify {place}",
    ]
    made = {
        "root": "the store: agent/ and clusters/, a marker, the writer's lock",
        "key_file": "32 random bytes, 0600: without it nothing opens",
    }
    if not session.is_text:
        fields: dict[str, Any] = {
            "root": str(root),
            "key_file": str(keys),
            "changed": changed,
            "made": made if changed else {},
            "next": following,
        }
        session.json().document(head("rap-state-init", None, None, **fields))
        return
    text = session.text()
    if not changed:
        text.line((f"There is a store in {root} already; nothing was made.", "bold"))
    else:
        text.line((f"made {root}", "bold green"), f"  {made['root']}")
        text.line((f"key  {keys}", "bold green"), f"  {made['key_file']}")
        text.line("Keep a copy of the key elsewhere. The agent opens the store with it and joins clusters.")
    text.line("next:")
    for command in following:
        text.line("  ", command)
