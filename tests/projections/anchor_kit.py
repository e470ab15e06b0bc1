"""Stores with an anchor, in memory, and anchors that misbehave.

Example::

    it = anchored()
    older = it.kit.filesystem.image()
    raise_floors(it)
    put_back(it, older)
"""

from typing import Any

from rap_journal.errors import KeyLost, KeyUnavailable
from rap_journal.testing import MemoryFileSystem
from rap_projections import NodeStore
from rap_projections.anchor_events import AnchorNote
from rap_projections.keys import Anchor
from rap_projections.policy import Policy
from rap_projections.testing import Fabric, MemoryAnchor, memory_store
from tests.projections.store_kit import CLUSTER, Ready

HOUR_S = 3600

ANSWERS = object()
"""Stands for the number that it has."""


class MoodyAnchor(MemoryAnchor):
    """An anchor in memory that a test silences or takes away, and that counts what it is asked.

    Attributes:
        mood: "answers", "silent", "gone", or "deaf" or "broken": it can be read and not raised.
        answer: what it answers, or raises, when it is read, where that is not its number.
        reads, raises: how often it was asked for.
    """

    def __init__(self, number: int = 0) -> None:
        super().__init__(number)
        self.mood = "answers"
        self.answer: Any = ANSWERS
        self.reads = 0
        self.raises = 0

    def read(self) -> int:
        """The number, where it is in the mood."""
        self.reads += 1
        if self.mood == "silent":
            raise KeyUnavailable("the anchor does not answer; nothing was done.", reason="tpm")
        if self.mood == "gone":
            raise KeyLost("there is no counter; nothing was done.", reason="no_counter")
        if isinstance(self.answer, Exception):
            raise self.answer
        return super().read() if self.answer is ANSWERS else self.answer

    def raise_to(self, number: int) -> None:
        """As `MemoryAnchor.raise_to`, where it is in the mood."""
        if self.mood == "broken":
            raise RuntimeError("not one of those that a driver should raise")
        if self.mood != "answers":
            raise KeyUnavailable("the anchor does not answer; nothing was done.", reason="tpm")
        self.raises += number > super().read()
        super().raise_to(number)


def anchored(anchor: Anchor | None = None, *, policy: Policy | None = None) -> Ready:
    """A store whose anchor was set up before its cluster was joined; its floors are not written for the anchor yet."""
    it = Ready(memory_store(policy=policy, anchor=anchor or MoodyAnchor()), Fabric(CLUSTER))
    it.kit.store.keys.provision_anchor()
    it.kit.join(it.fabric)
    return it


def in_step(anchor: Anchor | None = None) -> Ready:
    """The same, with its floors written and the anchor raised."""
    it = anchored(anchor)
    tick(it, hours=7)
    return it


def anchor_of(it: Ready) -> MoodyAnchor:
    """The store's anchor."""
    assert isinstance(it.kit.anchor, MoodyAnchor)
    return it.kit.anchor


def tick(it: Ready, *, hours: float = 0) -> None:
    """Let time pass, and the housekeeper look."""
    it.kit.clock.advance(seconds=hours * HOUR_S)
    it.kit.store.tick()


def raise_floors(it: Ready) -> None:
    """Accept a newer bundle, and let it be written for the anchor."""
    it.cluster.trust.update(it.fabric.next_bundle())
    tick(it, hours=7)


def reopened(it: Ready) -> NodeStore:
    """The store, closed in order and opened again."""
    it.kit.store.close()
    return it.kit.open()


def put_back(it: Ready, copy: MemoryFileSystem) -> NodeStore:
    """The store, killed, and opened on an older copy of its whole disk."""
    it.kit.filesystem.crash()
    it.kit.filesystem = copy.image()
    return it.kit.open()


def note_of(it: Ready) -> AnchorNote:
    """What the agent's journal knows of the anchor."""
    return it.kit.store.agent.view().anchor


def told(store: NodeStore) -> tuple[str, str]:
    """What the store reports: the anchor's state, and whether the whole root was rolled back."""
    report = store.report()
    return report["anchor"]["state"], report["whole_root_rollback"]


def restore_state(it: Ready) -> tuple[str, str]:
    """The restore state that the cluster's status shows, and why it is not validated; "" where it is."""
    trust: Any = it.cluster.view().trust
    return it.cluster.status()["trust"]["restore_state"], trust.restore.reason if trust.restore else ""


NORMAL = ("normal", "")
DOUBTED = ("restored-not-validated", "rollback")
