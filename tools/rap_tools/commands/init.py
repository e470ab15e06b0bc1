"""`rap-state init`: makes an empty store and its key file.

Under `-o json` an object of format `rap-state-init`: `root`, `key_file` (null where the settings name another provider), `changed` (false
where there was a store already), `made` and `next`.

Rules this file keeps:

- A store that is there is left alone, and said to be there; that is no failure, so the call may be repeated. It is a failure where
  the key file is not that store's.
- The key file is made with the store, outside of it; one that is there is used and never overwritten.

Example::

    rap-state init -D ./node --key-file ./node.key
"""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rap_journal.errors import MisuseError, NoSuchStore
from rap_projections.keys import FileKeyProvider
from rap_projections.store import NodeStore
from rap_tools.invocation import program
from rap_tools.json_output import head
from rap_tools.opening import StoreReading, provider_of_new_store
from rap_tools.session import Session


def run(session: Session) -> int:
    """Make the store."""
    root, key_file = Path(session.root()).absolute(), session.key_file
    keys = provider_of_new_store(key_file, session.environment)
    path = keys.path if isinstance(keys, FileKeyProvider) else None
    if not root.parent.is_dir():
        raise MisuseError(f"there is no folder {root.parent} to make {root.name} in; nothing was made.", reason="no_parent")
    if root.is_file():
        raise MisuseError(f"{root} is a file; nothing was made. Name a folder that is not there yet.", reason="not_a_folder")
    changed = not _is_store(str(root), path, session.environment)
    if changed:
        NodeStore.open(root, keys=keys, create=True, background=False).close()
    _tell(session, root, path, keys.kind.name.lower(), changed)
    return 0


def _is_store(root: str, key_file: str | None, settings: Mapping[str, str]) -> bool:
    """Whether there is a store already. Raises `KeyTampered`, `KeyUnavailable` where this key does not open it, `DamageError`."""
    try:
        store = StoreReading.open(root, key_file, settings)
    except NoSuchStore:
        return False
    with store:
        store.agent_reader()
        # A store that lacks its folder of clusters is there, and is damaged.
        store.clusters()
    return True


def _tell(session: Session, root: Path, key_file: str | None, kind: str, changed: bool) -> None:
    place = f"-D {shlex.quote(str(root))}"
    following = [
        f"{program()} status {place}{f' --key-file {shlex.quote(key_file)}' if key_file else ''}",
        f"{program()} fabric bundle -c lab -O bundle.cbor",
        f"{program()} verify {place}",
    ]
    made = {
        "root": "the store: agent/ and clusters/, a marker, the writer's lock",
        **({"key_file": "32 random bytes, 0600: without it nothing opens"} if key_file else {}),
    }
    if not session.is_text:
        fields: dict[str, Any] = {
            "root": str(root),
            "key_file": key_file,
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
        if key_file:
            text.line((f"key  {key_file}", "bold green"), f"  {made['key_file']}")
            text.line("Keep a copy of the key elsewhere. The agent opens the store with it and joins clusters.")
        else:
            text.line((f"key  {kind}", "bold green"), "  as the settings say: without it nothing opens")
    text.line("next:")
    for command in following:
        text.line("  ", command)
