"""`rap-state restore`: makes a new store from a backup.

Under `-o json` an object of format `rap-state-restore`: `root`, `key_file` (null where the settings name another provider) and
`clusters`.

Rules this file keeps:

- Only a new root is made; a store that is there is refused.
- Every cluster in it is "restored, not validated", and stays so here: the request that a ticket answers names the opening, so that the
  agent asks for it.

Example::

    rap-state restore /mnt/backups/node-17 -D ./node --key-file ./node.key --recovery-key ./recovery.key --expect HEX
"""

from pathlib import Path

from rap_journal.errors import KeyUnavailable, MisuseError
from rap_projections.keys import FileKeyProvider
from rap_projections.store import NodeStore
from rap_tools.exit_codes import ExitCode
from rap_tools.json_output import head
from rap_tools.opening import provider_of_new_store
from rap_tools.session import Session


def run(session: Session) -> int:
    """Make the store."""
    options = session.options
    root, key_file = Path(session.root()).absolute(), session.key_file
    keys = provider_of_new_store(key_file, session.environment)
    if not root.parent.is_dir():
        raise MisuseError(f"there is no folder {root.parent} to make {root.name} in; nothing was made.", reason="no_parent")
    if key_file is not None and not Path(key_file).exists() and not (options.recovery_key and options.expect):
        raise KeyUnavailable(
            f"there is no key file {key_file}; nothing was made. Give the one of the store that was backed up; or, to have a new one made, "
            "--recovery-key and --expect.",
            reason="absent",
        )
    recovery = FileKeyProvider(Path(options.recovery_key).absolute()).key_encryption_key() if options.recovery_key else None
    survivor_keys = FileKeyProvider(Path(options.survivor_key_file).absolute()) if options.survivor_key_file else None
    store = NodeStore.restore(
        Path(options.file).absolute(), root, keys=keys, recovery=recovery, expect=options.expect,
        survivor=Path(options.survivor).absolute() if options.survivor else None, survivor_keys=survivor_keys, background=False,
    )  # fmt: skip
    with store:
        clusters = [cluster.id for cluster in store.clusters()]
    if not session.is_text:
        session.json().document(head("rap-state-restore", None, None, root=str(root), key_file=key_file, clusters=clusters))
        return ExitCode.DONE
    text = session.text()
    text.line((f"made {root}", "bold green"), f"  clusters: {', '.join(clusters) or 'none'}")
    text.line("All of them are restored and not validated: reads work, high-risk operations wait for the control plane's ticket.")
    text.line("next: start the agent; it asks with restore_request() and hands the answer to validate_restore().")
    return ExitCode.DONE
