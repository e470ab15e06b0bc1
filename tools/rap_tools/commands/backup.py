"""`rap-state backup`: writes trust, floors, identity metadata and active documents of all clusters into one sealed, signed file.

Under `-o json` an object of format `rap-state-backup`: `file`, `size`, `sha256`, `fingerprint`, `recipient`, `clusters`, `left_out`, `next`.

Rules this file keeps:

- The store is read beside its agent; no lock is taken and nothing in it is changed. Private keys are never in the file: the agent alone
  can put them there, where policy allows it.
- The file is a new one, 0600, and whole or not there at all.
- A cluster that is damaged is left out and named, and makes the exit code that of damage.

Example::

    rap-state backup -D /var/lib/rap-node-agent -O /mnt/backups/node-17 --new-recovery-key ./recovery.key
"""

import secrets
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rap_journal.backup_files import KEY_BYTES, public_recovery_key
from rap_journal.errors import MisuseError, StateStoreError
from rap_journal.key_files import KeyProvider
from rap_journal.markers import ProviderKind
from rap_journal.os_filesystem import OsFileSystem
from rap_journal.os_surroundings import write_private_file
from rap_journal.sealing import Purpose
from rap_projections.agent_reading import read_agent
from rap_projections.backing_up import BackupReceipt, Maker, error_word, take_backup
from rap_projections.backup_content import LeftCluster
from rap_projections.history_source import HistorySource
from rap_projections.key_providers.choosing import PROVIDER
from rap_tools.exit_codes import ExitCode
from rap_tools.invocation import program
from rap_tools.json_output import head
from rap_tools.opening import StoreReading
from rap_tools.session import Session


def run(session: Session) -> int:
    """Take the backup."""
    path = _target(session)
    with session.open_store() as store:
        keys = store.require_keys()
        maker_seed = store.agent_reader().keys.ring.secret(Purpose.BACKUP, store.marker.store_id)
        maker = Maker(store.marker.store_id, keys, maker_seed, OsFileSystem(), session.clock.now().wall_us, secrets.token_bytes)
        sources, left_out = _sources(store)
        clusters = read_agent(store.agent_reader()).clusters
        left = [LeftCluster(name, it.floors) for name, it in sorted(clusters.items()) if it.left_us is not None]
        with _recipient(session) as recipient:
            receipt = take_backup(str(path), sources, left, maker, recipient=recipient, private_keys=False, left_out=left_out)
    _tell(session, receipt, keys)
    return ExitCode.FAIL_CLOSED if receipt.left_out else ExitCode.DONE


def _target(session: Session) -> Path:
    given = getattr(session.options, "out_file", None)
    if not given:
        raise MisuseError("where to? Nothing was written. Give -O FILE.", reason="no_file")
    return _outside(session, given, "Keep backups elsewhere.")


def _outside(session: Session, given: str, advice: str) -> Path:
    path, root = Path(given).absolute(), Path(session.root()).resolve()
    if path.resolve().is_relative_to(root):
        raise MisuseError(f"{path} lies inside the store; nothing was written. {advice}", reason="output_inside_store")
    return path


def _sources(store: StoreReading) -> tuple[list[HistorySource], dict[str, str]]:
    """The clusters that can be read, and what is wrong with the others."""
    sources, left_out = [], {}
    for name in store.clusters():
        try:
            sources.append(HistorySource(store.history(name)))
        except (StateStoreError, OSError) as error:
            left_out[name] = error_word(error)
    return sources, left_out


@contextmanager
def _recipient(session: Session) -> Iterator[bytes | None]:
    """Whom it is sealed to; None for whoever holds the store's key-encryption key. A new key goes again where nothing was sealed to it."""
    named, new_key = session.options.recipient, session.options.new_recovery_key
    if named and new_key:
        raise MisuseError("--recipient and --new-recovery-key exclude each other; nothing was written.", reason="two_recipients")
    if not new_key:
        yield _named(named)
        return
    path = _outside(session, new_key, "Keep the recovery key elsewhere.")
    key = secrets.token_bytes(KEY_BYTES)
    try:
        write_private_file(str(path), key)
    except FileExistsError as error:
        raise MisuseError(f"there is a file {new_key} already; nothing was written.", file=new_key, reason="exists") from error
    try:
        yield public_recovery_key(key)
    except BaseException:
        path.unlink()
        raise


def _named(recipient: str | None) -> bytes | None:
    try:
        return bytes.fromhex(recipient) if recipient else None
    except ValueError as error:
        raise MisuseError("--recipient is 64 hexadecimal digits; nothing was written.", reason="recipient") from error


def _tell(session: Session, receipt: BackupReceipt, keys: KeyProvider) -> None:
    place = shlex.quote(receipt.path)
    # The recipient is the store's own key unless another one was named.
    is_own = not (session.options.recipient or session.options.new_recovery_key)
    restore = f"{program()} restore {place} -D NEW_ROOT"
    following = [f"{restore} --key-file NEW_KEY --recovery-key FILE --expect {receipt.fingerprint}"]
    if is_own and keys.kind is ProviderKind.FILE:
        following = [f"{restore} --key-file THIS_KEY"]
    elif is_own:
        # Where the key is stays with the settings of its kind.
        following = [f"{PROVIDER}={keys.kind.name.lower()} {restore}"]
    fields: dict[str, Any] = {
        "file": receipt.path, "size": receipt.size, "sha256": receipt.sha256, "fingerprint": receipt.fingerprint,
        "recipient": receipt.recipient, "clusters": list(receipt.clusters), "left_out": receipt.left_out, "next": following,
    }  # fmt: skip
    if not session.is_text:
        session.json().document(head("rap-state-backup", None, None, **fields))
        return
    text = session.text()
    text.line(
        (f"wrote {receipt.path}", "bold green"), f"  {receipt.size} bytes, clusters: {', '.join(receipt.clusters) or 'none'}"
    )
    for name, reason in sorted(receipt.left_out.items()):
        text.line((f"left out {name}", "bold red"), f"  {reason}")
    text.line("SHA-256      ", receipt.sha256)
    text.line("fingerprint  ", receipt.fingerprint, "  keep it elsewhere: a restore with other keys asks for it")
    text.line("sealed to    ", receipt.recipient)
    text.line("next, on the new machine:")
    for command in following:
        text.line("  ", command)
