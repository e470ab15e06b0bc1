"""Specification, section 13: corrupted active identity fails closed."""

from collections.abc import Callable
from functools import partial

import pytest

from rap_journal.errors import FailClosed, StateStoreError
from rap_journal.testing import EverythingSurvives, MemoryFileSystem
from rap_journal.trees import remove_tree
from rap_projections import ClusterState, Operation
from rap_projections.identity import IdentityView
from rap_projections.testing import Fabric
from tests.projections.store_kit import CLUSTER, FOLDER, Ready, files, flip_bit, folder, frames, names, ready, write_file

IDENTITY = f"{FOLDER}/identity"


class Enrolled:
    """A store of two clusters, in one of which this node has asked for an identity; closed in order."""

    def __init__(self) -> None:
        it = ready()
        it.fabric.issued_at_s += 60
        it.cluster.activate(it.fabric.policy(high_risk_operations=("resolve_secret",)))
        it.cluster.activate(it.fabric.services(["svc-a"]))
        it.cluster.identity.request(node_id="node-1", membership_id="m-1")
        it.cluster.note("written behind the identity")
        self.other = Fabric("other")
        it.kit.join(self.other).activate(self.other.peers(["node-1"]))
        self.identity: IdentityView = it.cluster.view().identity
        self.digest = it.kit.store.cluster("other").digest()
        self.frame = next(frame for frame in frames(it.kit.filesystem) if frame.class_mask == 1 << 1)
        it.kit.store.close()
        self.it = it
        self.sound = it.kit.filesystem.kill()

    def opened_with(self, damage: Callable[[MemoryFileSystem], object]) -> Ready:
        """The store opened from a disk with this damage."""
        self.it.kit.filesystem = self.sound.image(EverythingSurvives())
        damage(self.it.kit.filesystem)
        self.it.kit.open()
        return self.it

    def reopened(self) -> Ready:
        self.it.kit.store.close()
        self.it.kit.filesystem = self.it.kit.filesystem.kill()
        self.it.kit.open()
        return self.it

    def file(self, part: str) -> str:
        (path,) = names(self.sound, IDENTITY, part=part)
        return path


@pytest.fixture(scope="module")
def enrolled() -> Enrolled:
    return Enrolled()


def cut_in_half(disk: MemoryFileSystem, path: str) -> None:
    content = files(disk, path)[path]
    write_file(disk, path, content[: len(content) // 2])


def unlink(disk: MemoryFileSystem, path: str) -> None:
    folder(disk, path.rpartition("/")[0]).unlink(path.rpartition("/")[2])


Damage = Callable[[Enrolled, MemoryFileSystem], object]

DAMAGE: dict[str, tuple[Damage, str]] = {
    "a bit of the frame that made it": (
        lambda on, disk: flip_bit(disk, on.frame.path, on.frame.offset + 150),
        "identity_damaged",
    ),
    "the header of that frame": (lambda on, disk: flip_bit(disk, on.frame.path, on.frame.offset + 20), "identity_damaged"),
    "the last byte of that frame": (lambda on, disk: flip_bit(disk, on.frame.path, on.frame.end - 1), "identity_damaged"),
    "its checkpoint, one bit": (lambda on, disk: flip_bit(disk, on.file("checkpoint-"), 90), "identity_damaged"),
    "its checkpoint, cut": (lambda on, disk: cut_in_half(disk, on.file("checkpoint-")), "identity_damaged"),
    "its checkpoint, gone": (lambda on, disk: unlink(disk, on.file("checkpoint-")), "identity_damaged"),
    "its private key, one bit": (lambda on, disk: flip_bit(disk, on.file("document-"), 120), "identity_damaged"),
    "its private key, cut": (lambda on, disk: cut_in_half(disk, on.file("document-")), "identity_damaged"),
    "its private key, gone": (lambda on, disk: unlink(disk, on.file("document-")), "identity_damaged"),
    "its folder, gone": (lambda on, disk: remove_tree(folder(disk, FOLDER), "identity"), "identity_damaged"),
}


def require_closed(cluster: ClusterState, fabric: Fabric, reason: str) -> None:
    """The cluster is open, says why it fails closed, and does nothing that needs an identity."""
    assert cluster.status()["fail_closed"] == reason
    assert cluster.health.heartbeat().document["fail_closed"] == reason
    calls: list[Callable[[], object]] = [
        lambda: cluster.identity.request(node_id="node-1", membership_id="m-1"),
        lambda: cluster.activate(fabric.peers(["node-1"])),
        lambda: cluster.snapshots.check(fabric.peers(["node-1"])),
        lambda: cluster.activation("peers").stage(b""),
        cluster.checkpoint,
        cluster.workload("svc-a").config,
        lambda: cluster.workload("svc-a", resolver=lambda service, reference: "never").secret("secret:db"),
    ]
    for call in calls:
        with pytest.raises(FailClosed) as caught:
            call()
        assert (caught.value.reason, caught.value.cluster) == (reason, CLUSTER)
    for operation in Operation:
        assert cluster.allows(operation)[:2] == (False, "fail_closed")


@pytest.mark.parametrize("what", DAMAGE)
def test_corrupted_active_identity_fails_closed(enrolled: Enrolled, what: str) -> None:
    damage, reason = DAMAGE[what]
    it = enrolled.opened_with(lambda disk: damage(enrolled, disk))
    for _opening in range(3):
        assert it.kit.store.unopened == {}
        require_closed(it.cluster, it.fabric, reason)
        # Nothing is made up: the identity is the one that was, or none; and it is not asked for anew behind anybody's back.
        assert it.cluster.view().identity in (enrolled.identity, IdentityView())
        # It still leaves diagnostics, and no other cluster is concerned.
        it.cluster.health.contact("control-plane", ok=True)
        it.cluster.flush()
        other = it.kit.store.cluster("other")
        assert (other.digest(), other.status()["fail_closed"]) == (enrolled.digest, None)
        assert it.kit.store.report()["clusters"][CLUSTER]["fail_closed"] == reason
        enrolled.reopened()
    assert it.kit.store.cluster("other").activate(Fabric("other").peers(["node-2"], version=2)).changed


def test_a_sound_identity_does_not_fail_closed(enrolled: Enrolled) -> None:
    it = enrolled.opened_with(lambda disk: None)
    assert it.cluster.status()["fail_closed"] is None
    assert it.cluster.view().identity == enrolled.identity
    assert it.cluster.allows(Operation.RESOLVE_SECRET).ok


def test_a_journal_rolled_back_to_before_the_identity_is_not_taken_for_a_node_without_one(enrolled: Enrolled) -> None:
    def roll_back(disk: MemoryFileSystem) -> None:
        frame = enrolled.frame
        content = files(disk, frame.path)[frame.path]
        write_file(disk, frame.path, content[: frame.offset])

    it = enrolled.opened_with(roll_back)
    assert it.cluster.status()["fail_closed"] is not None
    with pytest.raises(FailClosed):
        it.cluster.identity.request(node_id="node-1", membership_id="m-1")


def test_without_the_witness_the_cluster_is_not_opened_and_the_others_are(enrolled: Enrolled) -> None:
    it = enrolled.opened_with(lambda disk: write_file(disk, f"{FOLDER}/WITNESS", bytes(8192)))
    assert list(it.kit.store.unopened) == [CLUSTER]
    assert it.kit.store.cluster("other").digest() == enrolled.digest


def test_a_bad_slot_of_the_witness_that_no_crash_explains_bars_high_risk_work(enrolled: Enrolled) -> None:
    it = enrolled.opened_with(lambda disk: flip_bit(disk, f"{FOLDER}/WITNESS", 100))
    for _opening in range(2):
        assert it.cluster.view().identity == enrolled.identity
        assert it.cluster.allows(Operation.RESOLVE_SECRET)[:2] == (False, "not_validated")
        assert it.cluster.status()["trust"]["restore_state"] == "restored-not-validated"
        enrolled.reopened()


def test_a_bad_slot_of_the_witness_that_a_crash_explains_costs_nothing(enrolled: Enrolled) -> None:
    # The newer slot is bad and the journal is ahead of the older one: so a power cut in the middle of its writing leaves it (trust, 15).
    it = enrolled.opened_with(lambda disk: flip_bit(disk, f"{FOLDER}/WITNESS", 4096 + 100))
    assert it.cluster.view().identity == enrolled.identity
    assert (it.cluster.recovery.witness_doubtful, it.cluster.allows(Operation.RESOLVE_SECRET).ok) == (False, True)


@pytest.mark.slow
def test_any_byte_of_the_identity_folder_and_of_its_frame_may_be_wrong_and_no_other_identity_comes_of_it(
    enrolled: Enrolled,
) -> None:
    places = [
        (path, offset)
        for path, content in files(enrolled.sound, f"{IDENTITY}/").items()
        for offset in range(0, min(len(content), 700), 3)
    ]
    places += [(enrolled.frame.path, offset) for offset in range(enrolled.frame.offset, enrolled.frame.end)]
    outcomes = set()
    for path, offset in places:
        it = enrolled.opened_with(partial(flip_bit, path=path, offset=offset))
        assert it.kit.store.cluster("other").digest() == enrolled.digest
        try:
            cluster = it.cluster
        except (StateStoreError, OSError):
            outcomes.add("unopened")
            continue
        if cluster.status()["fail_closed"] is None:
            # The key file has a copy in another folder: one of the two may be wrong.
            assert "keys-" in path and cluster.view().identity == enrolled.identity, (path, offset)
            outcomes.add("mended")
        else:
            assert cluster.view().identity in (enrolled.identity, IdentityView()), (path, offset)
            outcomes.add("closed")
    assert {"closed", "mended"} <= outcomes
