"""A cluster's history as finding places needs it: when records were made, checkpoints, activations.

Example::

    places = Places(HistoryTimeline("eu-west-1", history, frames, now_us))
"""

from collections.abc import Callable, Iterator, Sequence

from rap_journal.errors import KeyUnavailable
from rap_projections.event_kinds import event_of
from rap_projections.history import ClusterHistory
from rap_projections.snapshot_events import IncrementApplied, SnapshotActivated, SnapshotFellBack
from rap_tools.frame_reading import FrameReader
from rap_tools.selector_places import Stamp


class HistoryTimeline:
    """One history. Without a key (`history` is None) LSNs and checkpoints can be found, and nothing that is sealed.

    `now_us` is asked for this machine's wall clock, microseconds since 1970.
    """

    def __init__(self, cluster: str, history: ClusterHistory | None, frames: FrameReader, now_us: Callable[[], int]) -> None:
        self.cluster = cluster
        self.now_us = now_us
        self._history = history
        self._frames = frames

    @property
    def horizon_lsn(self) -> int:
        """LSN of the last durable record."""
        return (self._history or self._frames).horizon.lsn

    @property
    def oldest_lsn(self) -> int:
        """The history floor."""
        return (self._history or self._frames).horizon.oldest_lsn

    def stamps(self) -> Iterator[Stamp]:
        """When each record was made, oldest first. Raises `KeyUnavailable` without a key."""
        for record in self._unsealed().records():
            yield Stamp(record.lsn, record.lsn + record.rows - 1, record.wall_us, record.boot_us, record.boot_id)

    def checkpoints(self) -> Sequence[int]:
        """LSNs of the checkpoint sets within the horizon, oldest first."""
        return [lsn for lsn in self._frames.checkpoints() if lsn <= self.horizon_lsn]

    def activations(self, scope: str) -> Sequence[int]:
        """LSNs at which a document of the scope became active, oldest first. Raises `KeyUnavailable` without a key."""
        found = []
        for record in self._unsealed().records():
            event = event_of(record)
            if isinstance(event, SnapshotActivated | IncrementApplied | SnapshotFellBack) and event.scope == scope:
                found.append(record.lsn)
        return found

    def _unsealed(self) -> ClusterHistory:
        if self._history is None:
            raise KeyUnavailable(
                f"times, boots and activations of {self.cluster} are sealed, and no key is at hand; nothing was read. "
                "Name the place by its LSN, or give --key-file FILE.",
                cluster=self.cluster,
                reason="no_key",
            )
        return self._history
