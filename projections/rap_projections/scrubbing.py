"""The background scrub of one cluster: when it runs, how fast, what it repairs and what it tells.

Rules this file keeps:

- One tick reads little, and no lock is held meanwhile; over time the policy's rate is kept.
- What has a second copy is written again: marker, key files, witness. What has none is told once, as an event, and stands in status.
- What the process itself closed under the scrub's hands is no damage: then nothing is told, and the next opening begins anew.

Example::

    scrubbing = Scrubbing(context)
    scrubbing.opened()
    scrubbing.tick()      # by the housekeeper, every so often
"""

import threading
from contextlib import suppress

from rap_journal.clock import Instant
from rap_journal.errors import StateStoreError
from rap_journal.journal import Journal
from rap_journal.layout import WITNESS
from rap_journal.scrub import Scrub, ScrubFinding
from rap_journal.verify_files import JournalShape
from rap_projections.cluster_context import ClusterContext
from rap_projections.event_kinds import HEALTH
from rap_projections.retention import HOUR_US
from rap_projections.retiring import SUBJECT, report
from rap_projections.upkeep_decisions import Found, decide_scrub_done, is_scrub_due

STEP_BYTES_MAX = 1 << 20
"""At most about so much is read in one tick: the housekeeper has batches to commit."""


class Scrubbing:
    """The scrub of one cluster."""

    def __init__(self, context: ClusterContext) -> None:
        self._context = context
        self._turn = threading.Lock()
        self._opened_us = 0
        self._pass: _Pass | None = None

    def opened(self) -> None:
        """Begin anew on a freshly opened journal."""
        with self._turn:
            self._opened_us = self._context.core.node_us()
            self._pass = None

    def tick(self) -> None:
        """Read a little further, if it is time to. Raises what writing raises; what was not told then is told at a later tick."""
        if self._turn.acquire(blocking=False):
            try:
                self._tick()
            finally:
                self._turn.release()

    def _tick(self) -> None:
        core, policy = self._context.core, self._context.policy
        if core.journal.is_poisoned or not core.journal.is_writable:
            return
        instant = core.machine.clock.now()
        if self._pass is None:
            upkeep, interval_us = core.state.view(HEALTH).upkeep, policy.scrub_interval_h * HOUR_US
            if not is_scrub_due(upkeep, now_us=core.node_us(), opened_us=self._opened_us, interval_us=interval_us):
                return
            self._pass = _Pass(core.journal, instant)
        done = self._pass.read_on(instant, policy.scrub_bytes_per_s)
        if not core.is_open or core.journal is not self._pass.journal:
            self._pass = None
            return
        self._tell(self._pass)
        if done:
            ended = self._pass
            core.execute(SUBJECT, lambda now: ended.decide_done())
            self._pass = None

    def _tell(self, current: "_Pass") -> None:
        untold = [current.judged(finding) for finding in current.untold()]
        if untold:
            report(self._context.core, untold)
            current.note_told(untold)


class _Pass:
    """One look at everything at rest."""

    def __init__(self, journal: Journal, started: Instant) -> None:
        self.journal = journal
        self._scrub = Scrub(journal.folders, JournalShape(journal.setup.specs, journal.setup.key_folders), journal.keys.marker)
        self._credit_bytes = 0
        self._seen_boot_us = started.boot_us
        self._told_count = 0
        self._repaired_count = 0
        self._standing: set[str] = set()

    def read_on(self, instant: Instant, bytes_per_s: int) -> bool:
        """Read as much as the time since the last call allows; True once everything was looked at."""
        elapsed_us = max(0, instant.boot_us - self._seen_boot_us)
        self._seen_boot_us = instant.boot_us
        self._credit_bytes = min(STEP_BYTES_MAX, self._credit_bytes + elapsed_us * bytes_per_s // 1_000_000)
        if self._credit_bytes <= 0:
            return False
        before = self._scrub.byte_count
        done = self._scrub.step(self._credit_bytes)
        self._credit_bytes -= self._scrub.byte_count - before
        return done

    def untold(self) -> list[ScrubFinding]:
        """What was found and not told yet."""
        return self._scrub.found[self._told_count :]

    def judged(self, finding: ScrubFinding) -> Found:
        """Repair what can be repaired, and say which it was."""
        with suppress(StateStoreError, OSError):
            if finding.file == WITNESS:
                # Both slots, one after the other, with what is known in memory.
                self.journal.bring_witness_up()
                self.journal.bring_witness_up()
            elif self._scrub.has_copy(finding.file):
                self.journal.repair_copies()
        is_repaired = self._scrub.has_copy(finding.file) and self._scrub.fault_of(finding.file) is None
        return Found(finding.file, finding.offset, finding.reason, finding.class_mask, is_repaired=is_repaired)

    def note_told(self, told: list[Found]) -> None:
        """These findings are written down."""
        self._told_count += len(told)
        self._repaired_count += sum(each.is_repaired for each in told)
        self._standing.update(each.file for each in told if not each.is_repaired)

    def decide_done(self) -> tuple[tuple[object, ...], ...]:
        """The event that ends this look."""
        return decide_scrub_done(
            file_count=self._scrub.file_count,
            byte_count=self._scrub.byte_count,
            repaired_count=self._repaired_count,
            standing=self._standing,
        )
