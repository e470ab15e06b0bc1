"""What an opening writes down: what a recovery kept, and that a cluster fails closed, so that status and history tell of it."""

import errno
from collections.abc import Callable

import pytest

from rap_journal.format import QUARANTINE_HEADER_BYTES
from rap_journal.quarantine import read_piece
from rap_projections.event_kinds import event_of
from rap_projections.health import Quarantine
from rap_projections.health_events import QuarantineEvicted
from rap_projections.lifecycle import RecoveryDone
from rap_projections.policy import Policy
from rap_projections.upkeep_events import FailClosedEntered, FailClosedLeft
from tests.projections.store_kit import (
    FOLDER,
    Ready,
    crashed_at_every_operation,
    files,
    folder,
    frames,
    names,
    ready,
    write_file,
    written,
)


def torn(*, policy: Policy | None = None, text: str = "torn") -> Ready:
    """A store whose last frame a crash cut short, opened again."""
    it = ready(policy=policy)
    it.cluster.note("kept")
    tear(it, text)
    return it


def tear(it: Ready, text: str) -> None:
    """Write a frame, let the process die in it, and open the store again."""
    leave_torn(it, text)
    it.kit.open()


def leave_torn(it: Ready, text: str) -> None:
    """Write a frame, and let the process die in it."""
    it.cluster.telemetry.record("probe", text)
    it.cluster.flush()
    it.kit.filesystem = it.kit.filesystem.kill()
    place = frames(it.kit.filesystem)[-1]
    content = files(it.kit.filesystem)[place.path]
    write_file(it.kit.filesystem, place.path, content[: place.end - 20] + bytes(len(content) - place.end + 20))


def recoveries(it: Ready) -> list[RecoveryDone]:
    return [event for event in map(event_of, written(it)) if isinstance(event, RecoveryDone)]


def pieces(it: Ready) -> list[str]:
    return names(it.kit.filesystem, f"{FOLDER}/quarantine/", part="-")


def test_what_was_cut_is_named_by_its_digest_and_counted_in_status() -> None:
    it = torn()
    (event,) = recoveries(it)
    (path,) = pieces(it)
    piece = read_piece(folder(it.kit.filesystem, f"{FOLDER}/quarantine"), path.rpartition("/")[2])
    content = files(it.kit.filesystem)[path]
    assert event.quarantine_sha256 == content[72:104]
    assert event.byte_count == len(piece.data) == len(content) - QUARANTINE_HEADER_BYTES > 0
    assert it.cluster.view().health.quarantine == Quarantine(1, len(piece.data))
    assert it.cluster.status()["store"]["quarantine_bytes"] == len(piece.data)
    it.kit.kill()
    assert it.cluster.status()["store"]["quarantine_bytes"] == len(piece.data)


def test_a_recovery_that_is_killed_anywhere_tells_the_digest_once_all_the_same() -> None:
    def prepare() -> Ready:
        it = ready()
        it.cluster.note("kept")
        leave_torn(it, "torn")
        return it

    outcomes = []
    for crash in crashed_at_every_operation(prepare, lambda it: it.kit.open()):
        crash.it.kit.open()
        events = recoveries(crash.it)
        (path,) = pieces(crash.it)
        sha256 = files(crash.it.kit.filesystem)[path][72:104]
        assert [event.quarantine_sha256 for event in events] == [sha256], crash.at
        assert crash.it.cluster.view().health.quarantine.entry_count == 1
        outcomes.append(events[0].reason)
    assert {"bad_digest", "unfinished_cut"} == set(outcomes)


def test_what_quarantine_had_no_room_for_is_counted_as_gone() -> None:
    policy = Policy(quarantine_bytes_max=450)
    it = torn(policy=policy, text="first " * 20)
    assert len(pieces(it)) == 1
    tear(it, "second " * 20)
    assert len(pieces(it)) == 1
    (kept,) = [files(it.kit.filesystem)[path] for path in pieces(it)]
    assert it.cluster.view().health.quarantine == Quarantine(1, len(kept) - QUARANTINE_HEADER_BYTES)
    evicted = [event.evicted_count for event in map(event_of, written(it)) if isinstance(event, QuarantineEvicted)]
    assert evicted == [1]


def bundles(it: Ready) -> dict[str, bytes]:
    """What keeps trust: its checkpoint and its document."""
    return files(it.kit.filesystem, f"{FOLDER}/trust/")


def checkpointed() -> Ready:
    """A store whose journal holds nothing that its checkpoints do not."""
    it = ready()
    for text in ("one", "two", "three"):
        it.cluster.note(text)
        it.cluster.checkpoint()
    it.cluster.flush()
    return it


def marks(it: Ready) -> list[object]:
    events = map(event_of, written(it))
    return [event for event in events if isinstance(event, FailClosedEntered | FailClosedLeft)]


@pytest.fixture
def broken() -> tuple[Ready, Callable[[], None]]:
    """A store whose trust does not read back, and what puts it right."""
    it = checkpointed()
    sound = bundles(it)
    it.kit.store.close()
    for path, content in sound.items():
        if "keys-" not in path:
            write_file(it.kit.filesystem, path, bytes(len(content)))

    def mend() -> None:
        it.kit.store.close()
        for path, content in sound.items():
            write_file(it.kit.filesystem, path, content)

    it.kit.open()
    return it, mend


def test_failing_closed_is_written_down_once_and_so_is_its_end(broken: tuple[Ready, Callable[[], None]]) -> None:
    it, mend = broken
    assert it.cluster.status()["fail_closed"] == "trust_damaged"
    assert marks(it) == [FailClosedEntered("trust_damaged")]
    it.kit.kill()
    assert marks(it) == [FailClosedEntered("trust_damaged")]
    assert len(it.cluster.view().health.upkeep.incidents) == 1
    mend()
    it.kit.open()
    assert it.cluster.status()["fail_closed"] is None
    assert marks(it) == [FailClosedEntered("trust_damaged"), FailClosedLeft("trust_damaged")]
    it.kit.kill()
    assert len(marks(it)) == 2 and it.cluster.status()["fail_closed"] is None


def test_a_disk_that_has_no_room_for_the_mark_lets_the_cluster_be_looked_at(broken: tuple[Ready, Callable[[], None]]) -> None:
    it, mend = broken
    mend()
    for path, content in bundles(it).items():
        if "keys-" not in path:
            write_file(it.kit.filesystem, path, bytes(len(content)))
    it.kit.filesystem.fail("sync", f"{FOLDER}/journal/*", errno.EIO)
    it.kit.open()
    assert it.cluster.status()["fail_closed"] == "trust_damaged"
    assert it.kit.store.unopened == {}


def test_a_sound_opening_writes_nothing() -> None:
    it = checkpointed()
    it.kit.store.close()
    before = files(it.kit.filesystem, f"{FOLDER}/journal/")
    it.kit.open()
    it.kit.store.close()
    assert files(it.kit.filesystem, f"{FOLDER}/journal/") == before


def young() -> Ready:
    """A store whose journal holds every record there ever was, and whose checkpoints say that there was none."""
    it = ready()
    it.cluster.activate(it.fabric.peers(["node-1"]))
    it.cluster.note("kept")
    return it


@pytest.mark.parametrize("is_emptied", [False, True])
@pytest.mark.parametrize("class_name", ["snapshots", "updates", "services", "health", "peers", "routes", "telemetry"])
def test_a_class_without_a_checkpoint_is_folded_again_from_the_first_record_on_and_told(
    class_name: str, is_emptied: bool
) -> None:
    it, path = young(), f"{FOLDER}/{class_name}/checkpoint-{0:016d}"
    before = it.cluster.view()
    it.kit.store.close()
    if is_emptied:
        write_file(it.kit.filesystem, path, b"")
    else:
        folder(it.kit.filesystem, f"{FOLDER}/{class_name}").unlink(f"checkpoint-{0:016d}")
    it.kit.open()
    (told,) = recoveries(it)
    assert (told.reason, told.action) == (("too_short", "put_away") if is_emptied else ("no_checkpoint", "reported"))
    it.cluster.flush()
    after = it.cluster.view()
    assert after.snapshots == before.snapshots and after.health.notes == before.health.notes
    assert it.cluster.status()["store"]["recovery_count"] == 1 and not it.cluster.status()["degraded"]["is_degraded"]
    assert after.health.checkpoint is not None
    assert names(it.kit.filesystem, f"{FOLDER}/{class_name}/", part="checkpoint-") == [
        f"{FOLDER}/{class_name}/checkpoint-{after.health.checkpoint.at_lsn:016d}"
    ]
    it.kit.kill()
    assert it.cluster.recovery.is_clean and len(recoveries(it)) == 1


@pytest.mark.parametrize("class_name", ["identity", "trust"])
def test_identity_and_trust_without_a_checkpoint_fail_closed_until_they_are_reset(class_name: str) -> None:
    it = young()
    it.kit.store.close()
    folder(it.kit.filesystem, f"{FOLDER}/{class_name}").unlink(f"checkpoint-{0:016d}")
    for _opening in range(2):
        it.kit.open()
        assert it.cluster.status()["fail_closed"] == f"{class_name}_damaged"
        it.kit.store.close()
    it.kit.open()
    if class_name == "trust":
        it.cluster.reset(class_name, bundle=it.fabric.bootstrap, expect=it.fabric.fingerprint)
    else:
        it.cluster.reset(class_name)
    assert it.cluster.status()["fail_closed"] is None
    it.kit.kill()
    assert it.cluster.status()["fail_closed"] is None and it.cluster.recovery.is_clean


def test_a_bad_checkpoint_is_replaced_wherever_the_opening_is_killed() -> None:
    def prepare() -> Ready:
        it = young()
        it.kit.store.close()
        write_file(it.kit.filesystem, f"{FOLDER}/snapshots/checkpoint-{0:016d}", b"rot")
        return it

    for crash in crashed_at_every_operation(prepare, lambda it: it.kit.open()):
        crash.it.kit.open()
        assert crash.it.cluster.view().snapshots.scope("peers").active is not None
        assert recoveries(crash.it), crash.at
        crash.it.kit.kill()
        assert crash.it.cluster.recovery.is_clean, crash.at


def test_without_room_for_it_the_set_is_left_to_a_later_opening() -> None:
    it = young()
    it.kit.store.close()
    folder(it.kit.filesystem, f"{FOLDER}/routes").unlink(f"checkpoint-{0:016d}")
    it.kit.filesystem.capacity_bytes = it.kit.filesystem.used_bytes
    it.kit.open()
    assert it.cluster.status()["fail_closed"] is None and it.cluster.view().snapshots.scope("peers").active is not None
    it.kit.filesystem.capacity_bytes = None
    it.kit.kill()
    it.kit.kill()
    assert it.cluster.recovery.is_clean
