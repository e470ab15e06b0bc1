"""The golden backup and the golden key file: what a release wrote for the worst day is read by every later one."""

import json

import pytest

from rap_journal.backup_files import decode_backup, unseal_backup
from rap_journal.key_files import open_keys
from rap_journal.key_generations import read_whole_copy
from rap_journal.layout import keys_name
from rap_journal.testing import ManualClock, MemoryFileSystem, SeededRandomness
from rap_projections import NodeStore
from rap_projections.backup_content import read_content, write_content
from rap_projections.identity import Enrollment
from rap_projections.keys import RecoveryPassphraseProvider
from rap_projections.testing.memory_store import MemoryKeyProvider
from rap_projections.trust import RestoreState
from tests.golden import golden_backup
from tests.golden.golden_backup import BACKUP, KEYS, PASSPHRASE, RECOVERY_KEY, content_of

EXPECTED = json.loads(golden_backup.EXPECTED.read_text(encoding="utf-8"))


def test_the_reader_that_was_written_from_the_page_alone_finds_what_it_found_then() -> None:
    assert content_of(BACKUP.read_bytes()) == EXPECTED["backup"]


def test_what_is_read_of_the_content_is_all_of_it() -> None:
    """Mutation: a field that a reader drops, or reads in another order."""
    body = unseal_backup(decode_backup(BACKUP.read_bytes(), "b"), RECOVERY_KEY)
    assert write_content(read_content(body)) == body


def test_it_restores_every_document_the_identity_with_its_key_and_what_was_left() -> None:
    filesystem = MemoryFileSystem()
    filesystem.write_file("/backup", BACKUP.read_bytes())
    store = NodeStore.restore(
        "/backup", "/new", keys=MemoryKeyProvider(b"n" * 32), recovery=RECOVERY_KEY, expect=EXPECTED["fingerprint"], background=False,
        clock=ManualClock(), filesystem=filesystem, randomness=SeededRandomness(1),
    )  # fmt: skip
    view = store.cluster("lab").view()
    active = {name: scope.active for name, scope in view.snapshots.scopes.items()}
    versions = {name: (it.facts.version.version, len(it.increments)) for name, it in active.items() if it is not None}
    assert versions == {"peers": (1, 0), "policy": (1, 0), "routes": (2, 1), "services": (1, 0), "updates": (1, 0)}
    assert view.snapshots.head is not None
    assert (view.identity.node_id, view.identity.enrollment) == ("node-1", Enrollment.ENROLLED)
    assert store.cluster("lab").identity.signer() is not None
    assert view.trust.restore_state is RestoreState.NOT_VALIDATED
    assert "left" in store.agent.view().clusters
    store.close()


@pytest.mark.parametrize(
    "provider",
    [MemoryKeyProvider(), RecoveryPassphraseProvider(lambda: PASSPHRASE)],
    ids=["key", "passphrase"],
)
def test_both_slots_of_the_golden_key_file_open_the_same_data_key(
    provider: MemoryKeyProvider | RecoveryPassphraseProvider,
) -> None:
    filesystem = MemoryFileSystem()
    with filesystem.open_root("/node", create=True) as root:
        with root.create_directory("identity") as folder, folder.create(keys_name(1)) as handle:
            handle.write_at(0, KEYS.read_bytes())
        file = read_whole_copy(root, ("identity",), 1)
    assert file is not None
    assert f"h'{file.journal_id.hex()}'" == EXPECTED["keys"]["journal_id"]
    assert [slot.provider.name for slot in file.slots] == EXPECTED["keys"]["slots"] == ["MEMORY", "RECOVERY_PASSPHRASE"]
    assert open_keys(file, provider) == open_keys(file, MemoryKeyProvider())
