"""What recovery found, decided and did: for people, for status, and for the event that records it.

Example::

    for finding in report.findings:
        print(finding.sentence())
"""

from typing import NamedTuple

from rap_journal.recovery_plan import IS_DAMAGE, Verdict


class Finding(NamedTuple):
    """One thing that was not as it should be.

    Attributes:
        verdict: label of the decision table.
        file: name relative to the journal's folder.
        segment: number of the segment, 0 where none is concerned.
        offset: first byte concerned.
        byte_count: bytes concerned.
        first_lsn, last_lsn: LSNs concerned; 0 and 0 where none.
        state_classes: names of the classes that may have lost something.
        reason: stable word.
        done: what the store did about it.
        advice: what to do next.
        action: the same in one stable word, where it is none of "cut" and "reported".
        quarantine_sha256: SHA-256 of the bytes concerned where they are in quarantine, as the piece itself names it; else None.
    """

    verdict: Verdict
    file: str
    segment: int
    offset: int
    byte_count: int
    first_lsn: int
    last_lsn: int
    state_classes: tuple[str, ...]
    reason: str
    done: str
    advice: str
    quarantine_sha256: bytes | None = None
    action: str = ""

    def sentence(self) -> str:
        """The finding in one line."""
        where = f"{self.file} at byte {self.offset}" if self.file else "the journal"
        lsns = f", LSN {self.first_lsn} to {self.last_lsn}" if self.last_lsn >= self.first_lsn > 0 else ""
        return f"{self.verdict.name.lower()} in {where} ({self.byte_count} bytes{lsns}; {self.reason}): {self.done} {self.advice}".rstrip()


class ClassLoss(NamedTuple):
    """Records that a class has lost, or may have lost."""

    state_class: int
    first_lsn: int
    last_lsn: int
    reason: str


class RecoveryReport(NamedTuple):
    """The outcome of opening a journal.

    Attributes:
        cluster: whose journal.
        verdict: of the tail; that of the recovery before, where it was killed between its cut and its first record; `DIVERGED`
            where anything was tampered with.
        findings: in the order in which they were made; empty for a clean opening.
        losses: by class; a strict class among them means fail closed or repair.
        is_tampered: authenticated bytes did not authenticate, or the journal is not the one the witness and the checkpoints saw.
        cautious: names of the classes that must take their most cautious reading.
        checkpoint_lsn: LSN replay started behind.
        last_lsn: LSN of the last record recovered.
        frame_count, record_count: what was replayed.
        rewrote_last_frame: whether the last frame was written again, since only the page cache vouched for it.
        from_start: numbers of the classes that had no usable checkpoint and lost nothing by that: they were folded from the first record on.
        witness_doubtful: whether a slot of the witness is bad and no crash explains it: floors it kept may be lost (trust, 15).
    """

    cluster: str
    verdict: Verdict
    findings: tuple[Finding, ...]
    losses: tuple[ClassLoss, ...]
    is_tampered: bool
    cautious: tuple[str, ...]
    checkpoint_lsn: int
    last_lsn: int
    frame_count: int
    record_count: int
    rewrote_last_frame: bool
    witness_doubtful: bool = False
    from_start: tuple[int, ...] = ()

    @property
    def is_clean(self) -> bool:
        """Whether there is nothing to report."""
        return not (self.findings or self.losses)

    @property
    def is_damage(self) -> bool:
        """Whether anything but a torn tail was found."""
        return bool(self.losses) or any(finding.verdict in IS_DAMAGE for finding in self.findings)
