"""Sealed private keys that nothing names go, and never one that might be named."""

from collections.abc import Callable

import pytest

from rap_journal.filesystem import Directory
from rap_journal.sealing import Purpose
from rap_projections.event_kinds import IDENTITY
from rap_projections.identity import Enrollment
from rap_projections.orphaned_keys import remove_orphaned_keys
from rap_projections.policy import Policy
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


def keys(it: Ready) -> list[str]:
    """Files of the identity folder that are no checkpoints: private keys, as long as no certificate came."""
    return names(it.kit.filesystem, f"{FOLDER}/identity/", part="document-")


def request(it: Ready) -> bytes:
    return it.cluster.identity.request(node_id="node-1", membership_id="m-1")


def reopened(it: Ready) -> Ready:
    it.kit.store.close()
    it.kit.filesystem = it.kit.filesystem.kill()
    it.kit.open()
    return it


def with_orphan() -> Ready:
    """A store with a key that an event names, and one that none does."""
    it = ready()
    request(it)
    it.cluster._core.store(IDENTITY, b"an orphan", purpose=Purpose.IDENTITY)
    return it


def test_a_key_that_nothing_names_goes_at_the_next_opening() -> None:
    it = with_orphan()
    assert len(keys(it)) == 2
    asked = request(it)
    reopened(it)
    assert len(keys(it)) == 1
    assert (request(it), it.cluster.status()["fail_closed"]) == (asked, None)


def test_documents_of_another_purpose_are_not_taken_for_keys() -> None:
    it = ready()
    it.cluster._core.store(IDENTITY, b"a certificate, say")
    assert len(keys(reopened(it))) == 1


def test_a_crash_at_any_operation_of_a_request_leaves_no_key_that_is_not_named() -> None:
    states = []
    for crash in crashed_at_every_operation(ready, request):
        crash.it.kit.open()
        it = reopened(crash.it)
        enrollment = it.cluster.identity.status().enrollment
        assert len(keys(it)) == (1 if enrollment is Enrollment.REQUESTED else 0)
        request(it)
        assert len(keys(it)) == 1
        states.append(enrollment)
    assert {Enrollment.NONE, Enrollment.REQUESTED} <= set(states)


def test_a_key_that_only_history_names_stays_while_that_history_does() -> None:
    it = with_orphan()
    it.cluster._core.state.restore(IDENTITY.number, None)
    assert remove_orphaned_keys(it.cluster._core) == 1
    assert len(keys(it)) == 1


def test_reopening_in_process_sweeps_nothing() -> None:
    it = with_orphan()
    it.cluster.reopen()
    assert len(keys(it)) == 2


def damaged_checkpoint(it: Ready) -> None:
    flip_bit(it.kit.filesystem, names(it.kit.filesystem, f"{FOLDER}/identity/", part="checkpoint-")[0])


def stray_segment(it: Ready) -> None:
    journal: Directory = folder(it.kit.filesystem, f"{FOLDER}/journal")
    with journal.create("00000009-00000009") as file:
        file.write_at(0, b"whatever")
        file.sync()
    journal.sync()


DOUBTS: dict[str, Callable[[Ready], None]] = {
    "a checkpoint is damaged": damaged_checkpoint,
    "a segment is a stray": stray_segment,
}


@pytest.mark.parametrize("doubt", DOUBTS)
def test_nothing_goes_while_something_cannot_be_asked(doubt: str) -> None:
    it = ready(policy=Policy(history_all_h=8000))
    request(it)
    it.cluster._core.store(IDENTITY, b"an orphan", purpose=Purpose.IDENTITY)
    for number in range(3):
        it.cluster.note(f"{number}")
        it.cluster.checkpoint()
    it.kit.store.close()
    it.kit.filesystem = it.kit.filesystem.kill()
    DOUBTS[doubt](it)
    it.kit.open()
    assert len(keys(it)) == 2


def out_of_use(it: Ready) -> str:
    """Let the file of a key that another request took the place of lie where it was, as a crash leaves it."""
    request(it)
    (path,) = keys(it)
    content = files(it.kit.filesystem, path)[path]
    it.cluster.identity.request(node_id="node-2", membership_id="m-1")
    write_file(it.kit.filesystem, path, content)
    assert len(keys(it)) == 2
    return path


def test_a_key_that_an_event_put_out_of_use_is_wiped_at_the_next_opening_whatever_else_is_wrong() -> None:
    """Mutation: without asking history, or without the wipe at the opening."""
    for spoil in (lambda it: None, damaged_checkpoint, stray_segment):
        it = ready(policy=Policy(history_all_h=8000))
        path = out_of_use(it)
        for number in range(3):
            it.cluster.note(f"{number}")
            it.cluster.checkpoint()
        it.kit.store.close()
        it.kit.filesystem = it.kit.filesystem.kill()
        spoil(it)
        it.kit.open()
        assert len(keys(it)) == 1 and path not in keys(it)
        gone = path.replace("document-", "wiping-")
        assert [operation.name for operation in it.kit.filesystem.operations if operation.path == gone] == [
            "write",
            "sync",
            "unlink",
        ]
        assert it.cluster.status()["fail_closed"] is None


def test_a_key_put_out_of_use_is_wiped_by_reopening_in_process_too_and_an_orphan_is_not() -> None:
    it = ready()
    path = out_of_use(it)
    it.cluster._core.store(IDENTITY, b"an orphan", purpose=Purpose.IDENTITY)
    it.cluster.reopen()
    assert path not in keys(it) and len(keys(it)) == 2


def test_where_the_cluster_fails_closed_nothing_is_wiped() -> None:
    it = ready()
    path = out_of_use(it)
    it.kit.store.close()
    it.kit.filesystem = it.kit.filesystem.kill()
    (named,) = set(keys(it)) - {path}
    flip_bit(it.kit.filesystem, named)
    it.kit.open()
    assert it.cluster.status()["fail_closed"] == "identity_damaged"
    assert sorted(keys(it)) == sorted([path, named])
