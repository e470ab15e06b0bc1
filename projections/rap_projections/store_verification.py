"""Verification of a whole store by whoever knows what its records mean: what `rap_journal.verify` finds, and what is missing.

Rules this file keeps:

- Which documents a state names, and which clusters were joined, stands in sealed records alone: without keys nobody can miss them, and
  whoever shows the report has to say so (`NOT_CHECKED`).
- A document that is missing is damage to its class, also where a second copy serves. So is a cluster that the agent joined and did not
  leave.
- Beside a live writer only what a second look misses again is missing.

Example::

    report = verify_whole_store(root, keys=keys)
    report.exit_code
"""

from collections.abc import Iterator
from contextlib import suppress

from rap_journal.errors import StateStoreError
from rap_journal.filesystem import Directory
from rap_journal.key_files import KeyProvider
from rap_journal.layout import AGENT as AGENT_FOLDER
from rap_journal.layout import AGENT_KEY_FOLDERS, CLUSTERS, KEY_FOLDERS, document_name
from rap_journal.reader import JournalReader
from rap_journal.verify import JournalShape, Shapes, verify_store
from rap_journal.verify_files import Findings, damage_to
from rap_journal.verify_report import Severity, VerifyFinding, VerifyReport
from rap_projections.agent_reading import read_agent
from rap_projections.event_kinds import AGENT_CLASSES, CLUSTER_CLASSES
from rap_projections.history import ClusterHistory
from rap_projections.named_documents import Use, named_documents
from rap_projections.policy import Policy
from rap_projections.store_folders import agent_setup, cluster_setup

SHAPES = Shapes(JournalShape(CLUSTER_CLASSES, KEY_FOLDERS), JournalShape(AGENT_CLASSES, AGENT_KEY_FOLDERS))
"""What the journals of a store are expected to hold."""

NOT_CHECKED = ("missing documents", "missing clusters")
"""What a report cannot tell of where no seals were opened."""


def verify_whole_store(root: Directory, *, keys: KeyProvider | None = None, live: bool | None = None) -> VerifyReport:
    """Verify every stored byte, and with keys also that nothing is missing that the state names.

    Args:
        root: the store's root.
        keys: opens the seals, where given.
        live: whether a writer may be at work; None asks the lock.

    Raises nothing about what is stored: whatever cannot be read is a finding.
    """
    report = verify_store(root, SHAPES, live=live, keys=keys)
    if keys is None:
        return report
    missing = _missing(root, keys, report)
    if report.is_live and missing:
        missing &= _missing(root, keys, report)
    return report._replace(findings=tuple(Findings([*report.findings, *missing])))


def _missing(root: Directory, keys: KeyProvider, report: VerifyReport) -> set[VerifyFinding]:
    """What the sealed records name and the disk lacks. A journal that cannot be read for that has findings that say why."""
    found: set[VerifyFinding] = set()
    folders: list[str] = []
    with suppress(StateStoreError, OSError), root.directory(CLUSTERS) as clusters:
        folders = clusters.names()
    with suppress(StateStoreError, OSError):
        found.update(_missing_clusters(root, keys, folders, live=report.is_live))
    for journal in report.journals:
        if journal.cluster in folders:
            with suppress(StateStoreError, OSError):
                found.update(_missing_documents(root, keys, journal.cluster, live=report.is_live))
    return found


def _missing_clusters(root: Directory, keys: KeyProvider, folders: list[str], *, live: bool) -> Iterator[VerifyFinding]:
    with JournalReader.open(root.directory(AGENT_FOLDER), agent_setup(keys, _no_randomness), live=live) as reader:
        for name in read_agent(reader).joined():
            if name not in folders:
                yield VerifyFinding(f"{CLUSTERS}/{name}", 0, "missing_cluster", Severity.DAMAGE)


def _missing_documents(root: Directory, keys: KeyProvider, name: str, *, live: bool) -> Iterator[VerifyFinding]:
    with root.directory(CLUSTERS) as clusters:
        folder = clusters.directory(name)
    with JournalReader.open(folder, cluster_setup(keys, _no_randomness, Policy()), live=live) as reader:
        for named in named_documents(ClusterHistory(name, reader).state_at(reader.horizon.lsn)):
            held = reader.folders.classes.get(named.spec.number)
            if held is None or held.status(document_name(named.stored.file_id)) is None:
                # Nothing goes by evidence: losing it costs no state.
                severity = Severity.CACHE_DAMAGE if named.use is Use.EVIDENCE else damage_to(named.spec)
                file = f"{CLUSTERS}/{name}/{named.file}"
                yield VerifyFinding(file, 0, "missing_document", severity, (named.spec.name,))


def _no_randomness(length: int) -> bytes:
    raise AssertionError("reading needs no randomness")
