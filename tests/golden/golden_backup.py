"""Makes the golden backup, and the golden key file with a recovery passphrase: both are kept for years, and read by later releases.

    python -m tests.golden.golden_backup

Certificates and keys of identities are made at random, so that no second run gives the same bytes: what is there is never made again.
"""

import sys
from pathlib import Path
from typing import Any

from rap_journal.backup_files import public_recovery_key
from rap_journal.key_generations import read_whole_copy
from rap_journal.layout import keys_name
from rap_journal.limits import BACKUP_BYTES_MAX
from rap_projections.keys import RecoveryPassphraseProvider
from rap_projections.policy import HIGH_RISK_OPERATIONS, Policy
from rap_projections.testing import Fabric
from tests.golden.make_golden import laid_out
from tests.journal.independent_backup_reader import read_backup
from tests.journal.independent_reader import plain
from tests.projections.store_kit import FOLDER, Ready, files, folder, ready

PLACE = Path(__file__).with_name("backup-1")
BACKUP = PLACE / "node.backup"
KEYS = PLACE / keys_name(1)
EXPECTED = PLACE / "expected.json"
KEY_ENCRYPTION_KEY = bytes(range(32))
RECOVERY_KEY = bytes(range(100, 132))
PASSPHRASE = b"correct horse battery staple"


def content_of(data: bytes) -> dict[str, Any]:
    """What the reader that was written from the page alone finds in a backup."""
    facts, content = read_backup(data, RECOVERY_KEY, KEY_ENCRYPTION_KEY)
    return {"facts": {name: plain(value) for name, value in facts.items()}, "content": plain(content)}


def _made() -> Ready:
    it = ready(policy=Policy(high_risk_operations=(*HIGH_RISK_OPERATIONS, "back_up_keys")))
    cluster, fabric = it.cluster, it.fabric
    fabric.issued_at_s += 60
    base = fabric.routes([("node-1", []), ("node-1", ["node-2"])])
    for document in (
        fabric.policy(high_risk_operations=("back_up_keys",)), fabric.peers(["node-1", "node-2"]), base, fabric.services(["svc-a"]),
        fabric.updates(["agent"]), fabric.increment(base, ()),
    ):  # fmt: skip
        cluster.activate(document)
    cluster.snapshots.take_head(fabric.head())
    request = cluster.identity.request(node_id="node-1", membership_id="m-1")
    cluster.identity.enroll(certificate=fabric.certificate(request))
    it.kit.join(Fabric("left"))
    it.kit.store.leave("left", reason="moved")
    it.kit.store.keys.add_slot(RecoveryPassphraseProvider(lambda: PASSPHRASE))
    return it


def main() -> None:
    if EXPECTED.exists():
        sys.exit(f"{PLACE.name} holds golden files, which are kept for good")
    it = _made()
    receipt = it.kit.store.backup("/backup", recipient=public_recovery_key(RECOVERY_KEY), private_keys=True)
    BACKUP.write_bytes(it.kit.filesystem.read_file("/backup", BACKUP_BYTES_MAX))
    file = read_whole_copy(folder(it.kit.filesystem, FOLDER), ("identity", "trust"), 1)
    assert file is not None
    KEYS.write_bytes(files(it.kit.filesystem)[f"{FOLDER}/identity/{keys_name(1)}"])
    expected = {
        "fingerprint": receipt.fingerprint,
        "backup": content_of(BACKUP.read_bytes()),
        "keys": {"journal_id": plain(file.journal_id), "slots": [slot.provider.name for slot in file.slots]},
    }
    EXPECTED.write_text(laid_out(expected) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
