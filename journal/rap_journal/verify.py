"""Verification: is every stored byte what was written? Of one journal, or of a whole store, with or without keys, beside a writer or alone.

Rules this file keeps:

- Nothing is changed and no lock is taken. No key is needed; with keys, seals are opened too, and tampering shows.
- In a cleanly closed store any changed bit is found, in whatever file, and so is any file that is shortened, swapped, renamed or
  missing. Not seen: that a document or a whole cluster is missing, since only sealed records name those, and whoever knows what records
  mean has to look; nor a checkpoint of a class that has another one, or a ledger file, since these go in time.
  Not judged: what stands under ``tmp/``, which means nothing. Of LOCK only the form is: it is empty after a clean close, and names
  the writer that was killed otherwise.
- Beside a live writer nothing past a horizon is judged, and what is found counts only if a second look, later, finds it again:
  files come, go and grow meanwhile, but damage stays.
- One journal's damage never hides another's.

How grave damage is, in exit codes (the worst wins; `verify_report.Severity`):

6   torn tail: the last write of a crash, for which nothing vouches; the same for a witness slot, when the journal is ahead of the
    other slot and its last segment was still open.
7   caches only: files of the folders of cache classes, frames that hold records of cache classes only, and what no state depends on:
    the spare, the ledger, quarantine, bytes behind a valid end, strangers among the files.
8   everything else: files of strict and sync classes, marker, witness, keys, segment headers, and frames that hold or may hold records
    of such classes. The class mask in a frame's header counts only where the header check is right and the header accounts for all LSNs
    that are missing: a mask that is itself damaged says nothing. Sync classes count with the strict ones, since a lost flag (degraded,
    offline) changes what the node may do. A doubt is resolved towards 8.
9, 11, 12   not judged: a later format; no key, or not a file the store would open; an error of the operating system.

Example::

    report = verify_store(root, Shapes(CLUSTER_SHAPE, AGENT_SHAPE))
    for finding in report.findings:
        print(finding.sentence())
"""

from typing import NamedTuple

from rap_journal.errors import MisuseError
from rap_journal.filesystem import Directory, read_whole
from rap_journal.journal_verifier import JournalVerifier
from rap_journal.key_files import KeyProvider
from rap_journal.layout import AGENT, AGENT_DAMAGED, AGENT_NEXT, CLUSTERS, JOIN_PREFIX, LOCK, MARKER, TEMPORARY, is_lock_text
from rap_journal.markers import MarkerKind
from rap_journal.values import ClusterId
from rap_journal.verify_files import Findings, JournalShape, check_marker, path_of
from rap_journal.verify_report import JournalSummary, Severity, VerifyReport

_SET_ASIDE = {AGENT_DAMAGED: "set_aside", AGENT_NEXT: "leftover"}
"""Folders of the agent that no opening reads: one that was damaged, and one whose making a crash cut short."""


class Shapes(NamedTuple):
    """What the journals of a store are expected to hold."""

    cluster: JournalShape
    agent: JournalShape


def verify_journal(root: Directory, shape: JournalShape, *, live: bool, keys: KeyProvider | None = None) -> VerifyReport:
    """Verify the journal in `root`.

    Args:
        root: the journal's folder, which holds its MARKER.
        shape: its classes, and where its key files lie.
        live: whether a writer may be at work; then nothing is judged that it may be changing.
        keys: opens the seals, too, where given.

    Raises nothing about what is stored: whatever cannot be read is a finding.
    """
    findings, summary = _look_at_journal(root, shape, live=live, keys=keys)
    if live and any(finding.severity for finding in findings):
        again, summary = _look_at_journal(root, shape, live=live, keys=keys)
        findings = _in_both(findings, again)
    return VerifyReport(tuple(findings), (summary,), live, keys is not None)


def verify_store(root: Directory, shapes: Shapes, *, live: bool | None = None, keys: KeyProvider | None = None) -> VerifyReport:
    """Verify a whole store: its marker, the agent's journal and that of every cluster, each by itself.

    Args:
        root: the store's root.
        shapes: what the journals hold.
        live: whether a writer may be at work; None asks the lock, before and after.
        keys: opens the seals, too, where given.
    """
    if live is not None:
        return _verify_store(root, shapes, live=live, keys=keys)
    if root.lock_holder(LOCK) is None:
        report = _verify_store(root, shapes, live=False, keys=keys)
        if root.lock_holder(LOCK) is None:
            return report
    # A writer is there, or came meanwhile: then what looked like a torn tail may have been its frame in the making.
    return _verify_store(root, shapes, live=True, keys=keys)


def _verify_store(root: Directory, shapes: Shapes, *, live: bool, keys: KeyProvider | None) -> VerifyReport:
    findings, journals = _look_at_store(root, shapes, live=live, keys=keys)
    if live and any(finding.severity for finding in findings):
        again, journals = _look_at_store(root, shapes, live=live, keys=keys)
        findings = _in_both(findings, again)
    return VerifyReport(tuple(findings), tuple(journals), live, keys is not None)


def _in_both(first: Findings, second: Findings) -> Findings:
    """The findings of the second look that stand where the first look had some: LSNs may have moved on, damage stays in its place."""
    places = {finding[:3] for finding in first}
    return Findings(finding for finding in second if finding[:3] in places)


def _look_at_store(
    root: Directory, shapes: Shapes, *, live: bool, keys: KeyProvider | None
) -> tuple[Findings, list[JournalSummary]]:
    findings = Findings()
    marker = check_marker(root, findings)
    if marker is not None and marker.kind is not MarkerKind.STORE:
        findings.add(MARKER, "misplaced", Severity.DAMAGE)
    store_id = marker.journal_id if marker is not None else None
    for name in root.names():
        if name in _SET_ASIDE:
            findings.add(name, _SET_ASIDE[name], Severity.HARMLESS)
        elif name not in (MARKER, LOCK, AGENT, CLUSTERS, TEMPORARY):
            findings.add(name, "unexpected", Severity.CACHE_DAMAGE)
    with findings.noting(LOCK, Severity.CACHE_DAMAGE, may_vanish=True):
        if not live and root.status(LOCK) is not None and not is_lock_text(read_whole(root, LOCK, 256)):
            findings.add(LOCK, "bad_lock_text", Severity.CACHE_DAMAGE)
    journals: list[JournalSummary] = []
    with findings.noting(AGENT, Severity.DAMAGE), root.directory(AGENT) as agent:
        journals.append(
            JournalVerifier(agent, shapes.agent, findings, live=live, keys=keys, store_id=store_id).run(MarkerKind.AGENT, "")
        )
    with findings.noting(CLUSTERS, Severity.DAMAGE), root.directory(CLUSTERS) as clusters:
        for name in clusters.names():
            path = path_of(clusters, name)
            if name.startswith(JOIN_PREFIX):
                findings.add(path, "unfinished_join", Severity.HARMLESS)
            elif not _is_cluster_id(name):
                findings.add(path, "unexpected", Severity.CACHE_DAMAGE)
            else:
                with findings.noting(path, Severity.DAMAGE, may_vanish=live), clusters.directory(name) as cluster:
                    verifier = JournalVerifier(cluster, shapes.cluster, findings, live=live, keys=keys, store_id=store_id)
                    journals.append(verifier.run(MarkerKind.CLUSTER, name))
    return findings, journals


def _look_at_journal(
    root: Directory, shape: JournalShape, *, live: bool, keys: KeyProvider | None
) -> tuple[Findings, JournalSummary]:
    findings = Findings()
    return findings, JournalVerifier(root, shape, findings, live=live, keys=keys).run(None, None)


def _is_cluster_id(name: str) -> bool:
    try:
        ClusterId(name)
    except MisuseError:
        return False
    return True


__all__ = ["JournalShape", "Shapes", "verify_journal", "verify_store"]
