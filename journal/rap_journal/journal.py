"""A journal: made, opened, written, checkpointed, closed. The engine's front door.

Rules this file keeps:

- `create` builds everything durably inside a folder whose name does not count yet; the caller renames it.
- `open` follows the steps of FORMAT.md, "Recovery": marker, keys, witness, segments, checkpoints, replay, verdict, preparation.
- A clean opening appends nothing; epoch and segment come with the first record.
- A journal that was tampered with opens for reading only.

Example::

    journal = Journal.open(directory, setup, projections)
    ticket = journal.submit(records, strict=False, privileged=True)
    journal.wait(ticket)
"""

import threading
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any

from rap_journal.batches import Ticket
from rap_journal.checkpoints import EMPTY_ANCHOR, Anchor, BadCheckpoint, ClassContent, list_checkpoints, load_newest, write_set
from rap_journal.committer import Committer
from rap_journal.errors import FailClosed, FormatTooNew
from rap_journal.filesystem import Directory
from rap_journal.folders import JournalFolders
from rap_journal.format import WITNESS_SLOT_BYTES
from rap_journal.format_levels import require_known_segments
from rap_journal.inventory import Inventory, take_inventory
from rap_journal.key_generations import make_generation
from rap_journal.layout import WITNESS, checkpoint_name
from rap_journal.limits import WITNESS_IDLE_MS
from rap_journal.marker_changes import name_provider, raise_level, rotate_data_key
from rap_journal.markers import Marker, ProviderKind, sealed_marker, write_marker
from rap_journal.payload import StrictHead
from rap_journal.projections import RecoveringProjections
from rap_journal.recovery import Base, Examined, examine
from rap_journal.recovery_report import Finding, RecoveryReport
from rap_journal.repair import doubts_about, prepare, put_away_checkpoints, repair_closed, repair_copies, repair_marker
from rap_journal.sealing import KeyRing, key_check_value
from rap_journal.segment_writer import SegmentWriter, WriterIdentity
from rap_journal.unknown_records import FoldWhatIsKnown
from rap_journal.unlocking import Keys, Setup, Unlocked, unlock
from rap_journal.values import ClassSpec, Epoch
from rap_journal.witness import SealedPart, Slot, WitnessPoint, WitnessWriter, open_slot, read_witness, require_slot


class Journal:
    """One open journal.

    Attributes:
        unknown: what the projections said of the first record that they do not know; None where they know all. See `folded_lsn`.
        folded_lsn: LSN up to which the projections were given records when it was opened.
        bad_checkpoints: those that the opening found damaged, or not there.
    """

    def __init__(
        self, folders: JournalFolders, setup: Setup, keys: Keys, report: RecoveryReport, floors: Any, committer: Committer | None
    ) -> None:
        self.folders = folders
        self.setup = setup
        self.keys = keys
        self.report = report
        self.recovered_floors = floors
        self.node_us = 0
        self.unknown: FormatTooNew | None = None
        self.folded_lsn = report.last_lsn
        self.bad_checkpoints: tuple[BadCheckpoint, ...] = ()
        self._committer = committer
        self._renewing = threading.Lock()

    @staticmethod
    def create(root: Directory, marker: Marker, setup: Setup, values: Mapping[int, Any], floors: Any, node_us: int) -> None:
        """Make a journal in the empty directory `root`: folders, keys, witness, a checkpoint at LSN 0 for every class, marker last.

        Everything in it is synced; `root`'s own name is the caller's to sync.
        """
        folders = JournalFolders.create(root, setup.specs)
        data_key = make_generation(folders, setup.key_folders, setup.provider, marker.journal_id, 1, setup.randomness)
        ring = KeyRing(marker.journal_id, {1: data_key}, 1)
        contents = {number: ClassContent(StrictHead(), node_us, value) for number, value in values.items()}
        write_set(
            folders, setup.specs, EMPTY_ANCHOR, contents,
            journal_id=marker.journal_id, fold_set=setup.fold_set, keys=ring, randomness=setup.randomness,
        )  # fmt: skip
        with root.create(WITNESS) as file:
            file.write_at(0, bytes(2 * WITNESS_SLOT_BYTES))
            writer = WitnessWriter(file, marker.journal_id, ring, setup.randomness)
            point = WitnessPoint(bytes(16), 0, bytes(16), 0, 0, 0, 0)
            for _slot in range(2):
                writer.write(point, SealedPart((), floors))
        complete = marker._replace(key_generation=1, key_check=key_check_value(data_key, marker.journal_id))
        write_marker(root, folders.temporary, sealed_marker(complete, ring))
        root.sync()
        folders.close()

    @classmethod
    def open(cls, root: Directory, setup: Setup, projections: RecoveringProjections) -> "Journal":
        """`unlock` and `recover` in one step."""
        return cls.recover(unlock(root, setup), setup, projections)

    @classmethod
    def recover(cls, unlocked: Unlocked, setup: Setup, projections: RecoveringProjections) -> "Journal":
        """Recover an unlocked journal and make it ready to write. The caller holds the store's lock.

        Raises `DamageError` (no witness, foreign files), `SealBroken` (the witness was tampered with), `FormatTooNew`,
        `KeyUnavailable` (a segment needs another key), `UnsafeFile`, `OSError`; the folders are closed then.
        """
        try:
            return cls._recover(unlocked, setup, projections)
        except BaseException:
            unlocked.folders.close()
            raise

    @classmethod
    def _recover(cls, unlocked: Unlocked, setup: Setup, projections: RecoveringProjections) -> "Journal":
        root, folders, keys = unlocked
        marker = keys.marker
        witness = read_witness(root)
        slot = require_slot(witness, marker.journal_id, f"{root.name}/{WITNESS}")
        sealed = open_slot(slot, keys.ring)
        inventory = take_inventory(folders.journal, marker.journal_id)
        require_known_segments(inventory, setup.levels, folders.journal.name)
        base = load_base(folders, keys, setup, inventory)
        fold = FoldWhatIsKnown(projections, lambda: _restore(projections, setup.specs, base))
        examined = fold.through(
            lambda known: examine(folders, inventory, keys.ring, base, slot, sealed, setup.specs, marker.cluster, known)
        )
        if examined.report.is_tampered or fold.unknown is not None:
            journal = cls(folders, setup, keys, examined.report, sealed.floors, None)
            journal.unknown, journal.folded_lsn = fold.unknown, fold.last_lsn or 0
        else:
            repair_closed(folders, inventory, quarantine_bytes_max=setup.quarantine_bytes_max)
            marker, behind = repair_marker(folders, *keys, setup.key_folders, inventory, witness)
            unlocked = Unlocked(root, folders, Keys(marker, keys.ring))
            repaired = behind + repair_copies(root, folders, setup.key_folders)
            epoch = Epoch(1 + max([slot.point.epoch] + [segment.header.epoch for segment in inventory.chain]))
            next_number = 1 + max(slot.point.segment, inventory.number_max)
            journal = cls._writable(unlocked, setup, examined, slot, sealed, projections, next_number, epoch)
            doubts = doubts_about(witness, examined.report.last_lsn)
            journal.report = put_away_checkpoints(
                folders, base.bad, setup.specs, journal.report, marker.journal_id, quarantine_bytes_max=setup.quarantine_bytes_max
            )
            journal.report = journal.report._replace(
                findings=journal.report.findings + repaired + doubts, witness_doubtful=bool(doubts)
            )
            folders.wipe_temporary()
        journal.node_us = examined.node_us
        journal.bad_checkpoints = tuple(bad for bad in base.bad if bad.is_damaged or bad.reason == "no_checkpoint")
        return journal

    @classmethod
    def _writable(
        cls, unlocked: Unlocked, setup: Setup, examined: Examined, slot: Slot, sealed: SealedPart,
        projections: RecoveringProjections, next_number: int, epoch: Epoch,
    ) -> "Journal":  # fmt: skip
        root, folders, keys = unlocked
        ready = prepare(folders, examined, slot.point.lsn, quarantine_bytes_max=setup.quarantine_bytes_max)
        incarnation = setup.randomness(16)
        marker = keys.marker
        writer = SegmentWriter(
            folders.journal,
            WriterIdentity(marker.journal_id, marker.cluster, incarnation, epoch, marker.format_level),
            keys.ring,
            setup.randomness,
            segment_bytes_max=setup.segment_bytes_max,
            next_number=next_number,
            predecessor=ready.predecessor,
            cut=ready.cut,
            chain=ready.chain,
            leftover=ready.leftover,
        )
        witness = WitnessWriter(root.open(WITNESS, writable=True), marker.journal_id, keys.ring, setup.randomness, slot)
        identity = (marker.cluster, incarnation, int(epoch))
        committer = Committer(writer, witness, slot.point, examined.heads, projections, identity)
        return cls(folders, setup, keys, ready.report, sealed.floors, committer)

    @property
    def is_writable(self) -> bool:
        """False for a journal that was tampered with, or holds records of a later release."""
        return self._committer is not None

    @property
    def incarnation(self) -> bytes:
        """The random id of this opening, 16 bytes; of one that only reads, zeros."""
        return self._committer.incarnation if self._committer else bytes(16)

    @property
    def durable_lsn(self) -> int:
        """LSN of the last durable record."""
        return self._committer.durable_lsn if self._committer else self.report.last_lsn

    @property
    def witnessed_lsn(self) -> int:
        """LSN the witness vouches for."""
        return self._committer.witnessed_lsn if self._committer else 0

    @property
    def frames_written(self) -> int:
        """Frames this opening wrote: one sync each."""
        return self._committer.frames_written if self._committer else 0

    @property
    def written_bytes(self) -> int:
        """Bytes of the frames this opening wrote."""
        return self._committer.written_bytes if self._committer else 0

    @property
    def is_poisoned(self) -> bool:
        """Whether a write failed, so that only reopening helps."""
        return self._committer is not None and self._committer.is_poisoned

    @property
    def has_waiting(self) -> bool:
        """Whether queued records wait for their frame."""
        return self._committer is not None and self._committer.oldest_waiting_boot_us() is not None

    def submit(self, records: Sequence[Any], *, strict: bool, privileged: bool) -> Ticket:
        """Queue records for one frame. Raises `Poisoned`, `MisuseError` (too large, none, or closed) or `FailClosed`."""
        return self._writing().submit(records, strict=strict, privileged=privileged)

    def wait(self, ticket: Ticket) -> None:
        """Return when durable and visible; raises `NoSpace`, `OutcomeUnknown` or `Poisoned`."""
        self._writing().wait(ticket)

    def flush(self) -> None:
        """Commit everything that waits; raises `NoSpace`, `OutcomeUnknown` or `Poisoned` where some of it was not written."""
        self._writing().flush()

    def tick(self, boot_us: int) -> None:
        """Do what time asks for: commit batches that waited long enough, bring an idle witness up to date. Raises like `flush`."""
        committer = self._writing()
        oldest = committer.oldest_waiting_boot_us()
        if oldest is not None and boot_us - oldest >= self.setup.batch_delay_ms * 1000:
            committer.flush()
        if committer.witnessed_lsn < committer.durable_lsn and boot_us - committer.durable_boot_us >= WITNESS_IDLE_MS * 1000:
            committer.write_witness()

    def bring_witness_up(self) -> None:
        """Let the witness vouch for everything durable, so that a reader beside this writer sees all of it."""
        self._writing().write_witness()

    def seal_active(self) -> int:
        """Commit what waits, close the active segment and witness it; returns the LSN up to which files no longer change.

        What had no room is not in it, and its waiters know. On a full disk that has no spare segment left nothing is sealed: what must
        be writable then would have no place. Raises `NoSpace`, `OutcomeUnknown` or `Poisoned`.
        """
        return self._writing().seal(to_go_on=True)

    @property
    def format_level(self) -> int:
        """The level that is written."""
        return self.keys.marker.format_level

    def raise_level(self, level: int) -> None:
        """Write at `level` from now on. Durable on return; where it is that level already, nothing happens.

        Raises `NoSpace` with nothing changed, `OutcomeUnknown`, `Poisoned`, `FailClosed`, `FormatTooNew`.
        """
        with self._renewing:
            committer, (marker, ring) = self._writing(), self.keys
            self.keys = Keys(raise_level(self.folders, marker, ring, committer, level), ring)

    def name_provider(self, kind: ProviderKind) -> None:
        """Let the marker name this kind of key provider. Raises `NoSpace` with nothing changed, `OSError`."""
        with self._renewing:
            marker, ring = self.keys
            if marker.provider is not kind:
                self.keys = Keys(name_provider(self.folders, marker, ring, kind), ring)

    def rotate_data_key(self) -> int:
        """Make a new data key and seal with it from now on; returns its generation. What was sealed before stays readable.

        Raises `KeyUnavailable`, `KeyLost`, and like `raise_level`; `OSError` where the new key file cannot be made, and then nothing changed.
        """
        with self._renewing:
            committer, (marker, ring), setup = self._writing(), self.keys, self.setup
            marker = rotate_data_key(
                self.folders, marker, ring, committer, key_folders=setup.key_folders, provider=setup.provider,
                randomness=setup.randomness,
            )  # fmt: skip
            self.keys = Keys(marker, ring)
            return marker.key_generation

    def repair_copies(self) -> tuple[Finding, ...]:
        """Write marker and key files again where one of their two copies is damaged, never beside a change of them. Raises `OSError`."""
        with self._renewing:
            return repair_copies(self.folders.root, self.folders, self.setup.key_folders)

    def require_writable(self) -> None:
        """Raise `FailClosed` or `FormatTooNew` where the journal is open for reading only."""
        self._writing()

    def close(self) -> None:
        """Commit what waits, truncate, witness, close. A poisoned or read-only journal is only closed.

        Raises `NoSpace` where something that waited had no room, and `OutcomeUnknown`; all is closed then, too.
        """
        try:
            if self._committer is not None and not self._committer.is_poisoned:
                self._flush_and_seal(self._committer)
        finally:
            if self._committer is not None:
                self._committer.close()
            self.folders.close()

    def _flush_and_seal(self, committer: Committer) -> None:
        try:
            committer.flush()
        finally:
            if not committer.is_poisoned:
                committer.seal()

    def _writing(self) -> Committer:
        if self._committer is None:
            cluster = self.keys.marker.cluster
            if self.unknown is not None:
                raise FormatTooNew(
                    f"the journal of {cluster or 'the agent'} is open for reading only, up to LSN {self.folded_lsn}; nothing was done: "
                    f"{self.unknown}",
                    cluster=cluster or None,
                    lsn=self.unknown.lsn,
                    reason=self.unknown.reason,
                )
            raise FailClosed(
                f"the journal of {cluster} was tampered with and is open for reading only; nothing was done.",
                cluster=cluster,
                reason="tampered",
            )
        return self._committer


def _restore(projections: RecoveringProjections, specs: Sequence[ClassSpec], base: Base) -> None:
    """Put the projections where replay starts."""
    for spec in specs:
        loaded = base.checkpoints.get(spec.number)
        projections.restore(spec.number, loaded.content.value if loaded else None)


def load_base(folders: JournalFolders, keys: Keys, setup: Setup, inventory: Inventory, *, lsn_max: int | None = None) -> Base:
    """The newest usable checkpoints; of a class that has none, the start of the journal, where `inventory` reaches back to it."""
    loaded, bad = load_newest(
        folders, keys.ring, keys.marker.journal_id, setup.specs,
        fold_set=setup.fold_set, lsn_max=lsn_max, reaches_back=inventory.reaches_back,
    )  # fmt: skip
    return Base(loaded, bad)


def write_checkpoint_set(
    journal: Journal, anchor: Anchor, contents: Mapping[int, ClassContent], *, spared: Collection[int] = ()
) -> int:
    """Write a verified set, then drop sets that are neither the history floor's nor one of the two newest. Returns bytes written.

    `spared`: LSNs of sets in between that stay, for the floor to move to.
    """
    keys, setup = journal.keys, journal.setup
    fresh = [folder for folder in journal.folders.classes.values() if anchor.lsn not in list_checkpoints(folder)]
    try:
        total = write_set(
            journal.folders, setup.specs, anchor, contents,
            journal_id=keys.marker.journal_id, fold_set=setup.fold_set, keys=keys.ring, randomness=setup.randomness,
        )  # fmt: skip
    except OSError:
        # Half a set is worth less than the room it takes: sealing has just freed what the next segment needs.
        for folder in fresh:
            with suppress(OSError):
                folder.unlink(checkpoint_name(anchor.lsn))
        raise
    for folder in journal.folders.classes.values():
        for lsn in list_checkpoints(folder)[1:-2]:
            if lsn not in spared:
                folder.unlink(checkpoint_name(lsn))
        folder.sync()
    return total
