"""`rap-state verify`: is every stored byte what was written?

Under `-o json` an object of format `rap-state-verify`: `is_live` (a writer was at work: nothing past its last durable record was judged),
`is_unsealed` (a key was at hand, so that seals were opened as well), `journals` (what was looked at) and `findings`, each with
`file`, `offset`, `reason`, `severity`, `exit_code`, `state_classes`, `first_lsn` and `last_lsn` (null where no LSN is concerned).

Rules this file keeps:

- No key is needed: digests are over stored bytes. With --key-file, tampering shows that made the digests fit.
- Nothing is changed and no lock is taken. The exit code is that of the gravest finding: 6, 7, 8, 9, 11 or 12.

Example::

    rap-state verify clusters/lab/journal -o ndjson
"""

from pathlib import Path
from typing import Any

from rap_journal.errors import MisuseError, NoSuchRecord
from rap_journal.filesystem import Directory
from rap_journal.layout import CLUSTERS, KEY_FOLDERS
from rap_journal.os_filesystem import OsFileSystem
from rap_journal.verify import JournalShape, Shapes, verify_store
from rap_journal.verify_report import Severity, VerifyFinding, VerifyReport
from rap_projections.event_kinds import AGENT_CLASSES, CLUSTER_CLASSES
from rap_tools.exit_codes import ExitCode, worst
from rap_tools.json_output import head
from rap_tools.log_lines import lsn_range
from rap_tools.opening import NamedKeyFile
from rap_tools.printable import counted
from rap_tools.session import Session

SHAPES = Shapes(JournalShape(CLUSTER_CLASSES, KEY_FOLDERS), JournalShape(AGENT_CLASSES, ("agent", "quarantine")))
"""What the journals of a store are expected to hold."""

_STYLES = {Severity.HARMLESS: "", Severity.TORN: "yellow", Severity.CACHE_DAMAGE: "yellow"}


def run(session: Session) -> int:
    """Verify a store, a cluster of it, or one file or folder of it."""
    with session.open_store() as store:
        cluster = store.choose(session.cluster) if session.cluster else None
    keys = NamedKeyFile(session.key_file) if session.key_file else None
    with OsFileSystem().open_root(session.root()) as root:
        place = _place(session, root, cluster)
        report = verify_store(root, SHAPES, keys=keys)
        findings = [finding for finding in report.findings if place is None or _is_below(finding.file, place)]
        if place is not None and not findings and not _exists(root, place):
            raise NoSuchRecord(f"{place} is not in this store, and nothing should be there.", file=place, reason="no_such_file")
    code = worst(finding.severity.exit_code for finding in findings)
    if session.is_text:
        _print(session, report, findings, place)
    else:
        _write(session, report, findings, cluster, code)
    return code


def _place(session: Session, root: Directory, cluster: str | None) -> str | None:
    """What findings are to be shown of, relative to the root; None for everything."""
    file = session.options.file
    if file is None:
        return f"{CLUSTERS}/{cluster}" if cluster else None
    path = Path(file)
    if path.is_absolute() or path.resolve().is_relative_to(Path(session.root()).resolve()):
        base = Path(session.root()).resolve()
        if not path.resolve().is_relative_to(base):
            raise MisuseError(f"{file} lies outside the store {session.root()}; nothing was read.", reason="outside")
        path = path.resolve().relative_to(base)
    return path.as_posix().strip("/").removeprefix("./") if path.parts else None


def _exists(root: Directory, place: str) -> bool:
    """Whether there is something of this name, reached without following links."""
    name, _, rest = place.partition("/")
    status = root.status(name) if name not in ("", ".", "..") else None
    if status is None or not rest:
        return status is not None
    if status.kind != "directory":
        return False
    with root.directory(name) as folder:
        return _exists(folder, rest)


def _is_below(file: str, place: str) -> bool:
    return file == place or file.startswith(f"{place}/")


def _print(session: Session, report: VerifyReport, findings: list[VerifyFinding], place: str | None) -> None:
    text = session.text()
    for journal in report.journals:
        lsns = lsn_range(journal.first_lsn, journal.last_lsn) if journal.first_lsn else "no records"
        if place is None or _is_below(journal.folder, place) or _is_below(place, journal.folder):
            text.line(
                (journal.folder, "bold"),
                f"  {lsns}, {counted(journal.segment_count, 'segment')}, {counted(journal.frame_count, 'frame')}",
            )
    for finding in findings:
        text.line((finding.sentence(), _STYLES.get(finding.severity, "red")))
    live = " A writer is at work: nothing past its last durable record was judged." if report.is_live else ""
    seals = "seals were opened" if report.is_unsealed else "without a key, seals stay closed"
    grave = [finding for finding in findings if finding.severity > Severity.HARMLESS]
    verdict: tuple[str, str] = (f"{counted(len(grave), 'finding')}", "red") if grave else ("sound", "green")
    text.line(verdict, f" ({seals}).{live}")


def _write(session: Session, report: VerifyReport, findings: list[VerifyFinding], cluster: str | None, code: ExitCode) -> None:
    writer = session.json()
    journals = [journal._asdict() for journal in report.journals]
    last = next((journal.last_lsn for journal in report.journals if cluster and journal.cluster == cluster), None)
    writer.begin(
        head("rap-state-verify", cluster, last, is_live=report.is_live, is_unsealed=report.is_unsealed, is_sound=code == 0, journals=journals),
        type="finding", items="findings",
    )  # fmt: skip
    for finding in findings:
        writer.item(_finding_object(finding))
    writer.end(code)


def _finding_object(finding: VerifyFinding) -> dict[str, Any]:
    return {
        "file": finding.file,
        "offset": finding.offset,
        "reason": finding.reason,
        "severity": finding.severity.name.lower(),
        "exit_code": finding.severity.exit_code,
        "state_classes": list(finding.state_classes),
        "first_lsn": finding.first_lsn or None,
        "last_lsn": finding.last_lsn or None,
    }
