"""Asking for an identity: what is durable before the request is handed out, and what damage to its key does."""

import hashlib
import logging
import threading
from collections.abc import Callable
from traceback import format_exception

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from rap_journal.deterministic_cbor import decode_own
from rap_journal.errors import DamageError, FailClosed, MisuseError, NoSpace
from rap_journal.sealing import Purpose
from rap_journal.testing import EverythingSurvives, MemoryFileSystem
from rap_projections.event_kinds import IDENTITY
from rap_projections.identity import Enrollment
from rap_projections.identity_status import IdentityState
from tests.projections.store_kit import (
    FOLDER,
    Ready,
    crashed_at_every_operation,
    files,
    flip_bit,
    folder,
    names,
    ready,
    write_file,
)


def ask(it: Ready, node_id: str = "node-1", membership_id: str = "m-1") -> bytes:
    return it.cluster.identity.request(node_id=node_id, membership_id=membership_id)


def key_files(filesystem: MemoryFileSystem) -> list[str]:
    return names(filesystem, f"{FOLDER}/identity", part="document-")


def private_key(it: Ready) -> bytes:
    """The private key as it lies sealed in the identity folder, DER."""
    key = it.cluster.view().identity.key
    assert key is not None
    file_id = bytes.fromhex(key.reference.removeprefix("sealed:"))
    secret, _request = decode_own(it.cluster._core.load(IDENTITY, file_id, purpose=Purpose.IDENTITY))
    return bytes(secret)


def reopened(it: Ready) -> Ready:
    it.kit.store.close()
    it.kit.filesystem = it.kit.filesystem.kill()
    it.kit.open()
    return it


def damage(it: Ready, how: Callable[[MemoryFileSystem, str], object]) -> None:
    """Close the store in order, do something to the one key file, and open it again."""
    it.kit.store.close()
    it.kit.filesystem = it.kit.filesystem.kill()
    (path,) = key_files(it.kit.filesystem)
    how(it.kit.filesystem, path)
    it.kit.open()


def test_a_request_is_signed_by_the_key_whose_digest_is_kept_and_names_cluster_and_node() -> None:
    it = ready()
    request = x509.load_der_x509_csr(ask(it))
    assert request.is_signature_valid
    names_of = request.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert names_of.critical
    assert names_of.value.get_values_for_type(x509.UniformResourceIdentifier) == ["rap://lab/node/node-1"]
    public = request.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    view = it.cluster.view().identity
    assert view.key is not None
    assert (view.key.algorithm, view.key.key_sha256) == ("ecdsa-p256", hashlib.sha256(public).digest())
    assert (view.enrollment, view.node_id, view.membership_id) == (Enrollment.REQUESTED, "node-1", "m-1")


def test_the_same_ids_give_the_same_request_and_write_nothing_also_after_a_restart() -> None:
    it = ready()
    first = ask(it)
    before = it.cluster.digest(), key_files(it.kit.filesystem)
    assert ask(it) == first
    reopened(it)
    assert ask(it) == first
    assert (it.cluster.digest(), key_files(it.kit.filesystem)) == before


def test_two_threads_that_ask_at_once_get_the_same_request() -> None:
    it = ready()
    together, answers = threading.Barrier(4), []

    def run() -> None:
        together.wait()
        answers.append(ask(it))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 4 and len(set(answers)) == 1
    assert len(key_files(it.kit.filesystem)) == 1


def test_other_ids_before_a_certificate_came_make_another_request() -> None:
    it = ready()
    first = ask(it)
    (old,) = key_files(it.kit.filesystem)
    second = ask(it, "node-2")
    assert first != second
    # Nobody can use the key of the first any more.
    (new,) = key_files(it.kit.filesystem)
    assert new != old
    assert it.cluster.identity.status().node_id == "node-2"
    assert ask(it, "node-2") == second


def test_the_status_before_any_request_is_empty() -> None:
    assert ready().cluster.identity.status() == (Enrollment.NONE, "", "", "", None, "", IdentityState.NONE, "", "", None, "")


@pytest.mark.parametrize(
    ("node_id", "membership_id"), [("", "m-1"), ("a/b", "m-1"), ("node-1", ""), ("n" * 129, "m-1"), ("é", "m-1")]
)
def test_a_refused_request_leaves_no_file_and_no_event(node_id: str, membership_id: str) -> None:
    it = ready()
    before = files(it.kit.filesystem)
    with pytest.raises(MisuseError):
        ask(it, node_id, membership_id)
    assert files(it.kit.filesystem) == before


def test_after_closing_a_request_is_refused_and_leaves_no_file() -> None:
    it = ready()
    identity = it.cluster.identity
    it.kit.store.close()
    before = files(it.kit.filesystem)
    with pytest.raises(MisuseError) as caught:
        identity.request(node_id="node-1", membership_id="m-1")
    assert caught.value.reason == "closed"
    assert files(it.kit.filesystem) == before


def test_on_a_full_disk_a_request_is_refused_and_works_once_there_is_space() -> None:
    it = ready()
    it.kit.filesystem.capacity_bytes = it.kit.filesystem.used_bytes
    before = it.cluster.digest(), key_files(it.kit.filesystem)
    with pytest.raises(NoSpace):
        ask(it)
    assert (it.cluster.digest(), key_files(it.kit.filesystem)) == before
    it.kit.filesystem.capacity_bytes = None
    assert x509.load_der_x509_csr(ask(it)).is_signature_valid


def test_a_request_is_durable_before_it_is_handed_out_at_whatever_operation_the_power_goes() -> None:
    handed_out: list[bytes] = []
    requested = []
    for crash in crashed_at_every_operation(ready, lambda it: handed_out.append(ask(it))):
        crash.it.kit.open()
        cluster = crash.it.cluster
        assert (cluster.status()["fail_closed"], cluster.recovery.is_damage) == (None, False)
        status = cluster.identity.status()
        requested.append(status.enrollment is Enrollment.REQUESTED)
        assert (status.node_id, status.membership_id) == (("node-1", "m-1") if requested[-1] else ("", ""))
        again = ask(crash.it)
        assert x509.load_der_x509_csr(again).is_signature_valid
        if crash.finished:
            assert [again] == handed_out
    first = requested.index(True)
    assert requested == [False] * first + [True] * (len(requested) - first)
    assert first > 5


def test_the_private_key_is_in_no_file_log_repr_report_or_exception(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    it = ready()
    request = ask(it)
    secret = private_key(it)
    it.cluster.flush()
    # The last 32 bytes of a PKCS #8 key of P-256 are part of the public point; the scalar stands at 36.
    scalar = secret[36:68]
    assert scalar not in request
    it.cluster.checkpoint()
    it.kit.store.close()
    it.kit.filesystem = it.kit.filesystem.kill()
    for content in files(it.kit.filesystem).values():
        assert scalar not in content and request not in content
    it.kit.open()
    texts = [repr(it.cluster.view()), repr(it.cluster.identity.status()), repr(it.cluster.identity), repr(it.kit.store.report())]
    reference = it.cluster.view().identity.key
    assert reference is not None
    for text in (*texts, caplog.text):
        assert scalar.hex() not in text and repr(scalar)[2:-1] not in text
    # Not even where the key lies is told outside.
    assert reference.reference not in texts[1] + texts[3]


def test_nothing_is_left_in_temporary_folders_behind_a_request() -> None:
    it = ready()
    ask(it)
    assert names(it.kit.filesystem, f"{FOLDER}/tmp") == []


DAMAGE: dict[str, tuple[Callable[[MemoryFileSystem, str], object], str]] = {
    "its header is damaged": (lambda disk, path: flip_bit(disk, path, 3), "bad_"),
    "its sealed part is damaged": (lambda disk, path: flip_bit(disk, path, 200), ""),
    "it is cut": (lambda disk, path: write_file(disk, path, files(disk, path)[path][:-1]), ""),
    "it is empty": (lambda disk, path: write_file(disk, path, b""), ""),
    "it is gone": (lambda disk, path: folder(disk, f"{FOLDER}/identity").unlink(path.rpartition("/")[2]), "missing"),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_a_sealed_key_that_was_damaged_fails_closed_at_every_opening(what: str) -> None:
    it = ready()
    ask(it)
    before = it.cluster.view().identity
    damage(it, DAMAGE[what][0])
    for _opening in range(2):
        assert it.cluster.status()["fail_closed"] == "identity_damaged"
        assert it.cluster.view().identity == before
        with pytest.raises(FailClosed) as caught:
            ask(it)
        assert caught.value.reason == "identity_damaged"
        with pytest.raises(FailClosed):
            it.cluster.activate(it.fabric.peers(["node-1"]))
        reopened(it)


def test_a_key_that_is_put_back_opens_the_cluster_again() -> None:
    it = ready()
    request = ask(it)
    kept: dict[str, bytes] = {}

    def take_away(disk: MemoryFileSystem, path: str) -> None:
        kept.update(files(disk, path))
        folder(disk, f"{FOLDER}/identity").unlink(path.rpartition("/")[2])

    damage(it, take_away)
    assert it.cluster.status()["fail_closed"] == "identity_damaged"
    it.kit.store.close()
    it.kit.filesystem = it.kit.filesystem.kill()
    for path, content in kept.items():
        write_file(it.kit.filesystem, path, content)
    it.kit.open()
    assert it.cluster.status()["fail_closed"] is None
    assert ask(it) == request


@pytest.mark.parametrize("what", DAMAGE)
def test_a_sealed_key_damaged_while_the_store_runs_is_told_and_not_made_anew(what: str) -> None:
    it = ready()
    ask(it)
    secret = private_key(it)
    before = it.cluster.view().identity
    how, reason = DAMAGE[what]
    (path,) = key_files(it.kit.filesystem)
    how(it.kit.filesystem, path)
    left = key_files(it.kit.filesystem)
    with pytest.raises(DamageError) as caught:
        ask(it)
    assert (caught.value.cluster, caught.value.state_class) == ("lab", "identity")
    assert (caught.value.reason or "").startswith(reason)
    assert secret[36:68].hex() not in "".join(format_exception(caught.value))
    assert (it.cluster.view().identity, key_files(it.kit.filesystem)) == (before, left)


def test_another_key_file_of_the_same_cluster_is_not_taken_for_the_requested_one() -> None:
    it = ready()
    ask(it, "node-1")
    (old,) = key_files(it.kit.filesystem)
    content = files(it.kit.filesystem, old)[old]
    ask(it, "node-2")
    it.kit.store.close()
    it.kit.filesystem = it.kit.filesystem.kill()
    disk = it.kit.filesystem
    (new,) = key_files(disk)
    write_file(disk, new, content)
    it.kit.open()
    assert it.cluster.status()["fail_closed"] == "identity_damaged"


def test_a_key_that_only_the_page_cache_held_is_never_named_by_an_event() -> None:
    it = ready()
    it.kit.filesystem.operations.clear()
    ask(it)
    happened = [(operation.name, operation.path) for operation in it.kit.filesystem.operations]
    (path,) = key_files(it.kit.filesystem)
    renamed = next(i for i, op in enumerate(it.kit.filesystem.operations) if op.new_path == path)
    synced = [i for i, (name, where) in enumerate(happened) if name == "sync" and "/tmp/" in where and i < renamed]
    named = [
        i for i, (name, where) in enumerate(happened) if i > renamed and name.startswith("sync") and where == f"{FOLDER}/identity"
    ]
    written = next(i for i, (name, where) in enumerate(happened) if name == "write" and f"{FOLDER}/journal/" in where)
    assert synced and named and max(synced) < renamed < named[0] < written
    it.kit.power_cut(EverythingSurvives())
    assert it.cluster.identity.status().enrollment is Enrollment.REQUESTED
