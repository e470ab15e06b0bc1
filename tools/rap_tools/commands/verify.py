"""`rap-state verify`: is every stored byte what was written?

Under `-o json` an object of format `rap-state-verify`: `is_live` (a writer was at work: nothing past its last durable record was judged),
`is_unsealed` (a key opened the seals, so that what is in them was looked at as well), `is_sound`, `meaning` and `next` (of the exit code,
for people), `not_checked` (what only a key can tell, and none did), `journals` (what was looked at) and `findings`, each with `file`, `offset`,
`reason`, `severity`, `exit_code`, `state_classes`, `first_lsn` and `last_lsn` (null where no LSN is concerned).

Rules this file keeps:

- No key is needed: digests are over stored bytes. With --key-file, tampering shows that made the digests fit.
- A key file that is named and not there is an error: it was meant to open something.
- Of FILE nothing is told but what concerns it, and the exit code is that of FILE alone.
- Nothing is changed and no lock is taken. The exit code is that of the gravest finding: 6, 7, 8, 9, 11 or 12; the last line says what it
  means and what to do next.

Example::

    rap-state verify clusters/lab/journal -o ndjson
"""

from pathlib import Path
from typing import Any, NamedTuple

from rap_journal.errors import MisuseError, NoSuchRecord
from rap_journal.filesystem import Directory
from rap_journal.layout import CLUSTERS
from rap_journal.os_filesystem import OsFileSystem
from rap_journal.verify_report import JournalSummary, Severity, VerifyFinding
from rap_projections.store_verification import NOT_CHECKED, verify_whole_store
from rap_tools.exit_codes import ExitCode, worst
from rap_tools.json_output import head
from rap_tools.log_lines import lsn_range
from rap_tools.opening import NamedKeyFile
from rap_tools.printable import counted
from rap_tools.session import Session

MEANINGS: dict[ExitCode, tuple[str, str]] = {
    ExitCode.DONE: ("every byte that was looked at is what was written", "nothing needs to be done"),
    ExitCode.TORN_TAIL: (
        "a crash cut the last write short, and nothing that was acknowledged is lost",
        "start the agent: opening the store cuts the torn end",
    ),
    ExitCode.CACHE_DAMAGE: (
        "damage, and nothing but caches can have lost something",
        "start the agent, which rebuilds them; where it comes back, check the disk",
    ),
    ExitCode.FAIL_CLOSED: (
        "damage to more than caches: identity, trust or what is active may be concerned, and what is fails closed",
        "keep a copy of the folder and start the agent, which repairs what has a second copy; rap-state status tells what it could not",
    ),
    ExitCode.UNKNOWN_FORMAT: (
        "something was written by a later release, and was not judged",
        "verify with that release; rap-state --version names this one",
    ),
    ExitCode.NO_ACCESS: (
        "not everything could be judged: a key does not fit, or access was denied",
        "give the right key, as the store's owner",
    ),
    ExitCode.DISK: ("the operating system could not read everything", "check the disk"),
}
"""What each exit code of this command means, and what to do next."""

_STYLES = {Severity.HARMLESS: "", Severity.TORN: "yellow", Severity.CACHE_DAMAGE: "yellow"}


WORDS = {
    "unexpected": "the store did not make this file",
    "wrong_key": "the key that was given is not the one that this is sealed with; not judged",
}
"""Findings that a sentence of its own tells better."""

STRANGERS = (
    "files lie in the store that it did not make, and everything that it made is what was written",
    "look at them and move them out of the store: nobody but the store writes there",
)
"""What to say where nothing worse was found than such files."""


class _Verified(NamedTuple):
    """What was asked about (None: everything), and what was found of it."""

    place: str | None
    findings: list[VerifyFinding]
    journals: list[JournalSummary]
    is_live: bool
    has_keys: bool
    is_unsealed: bool
    code: ExitCode


def run(session: Session) -> int:
    """Verify a store, a cluster of it, or one file or folder of it."""
    with session.open_store() as store:
        cluster = store.choose(session.cluster) if session.cluster else None
        keys = store.keys
    if isinstance(keys, NamedKeyFile):
        keys.key_encryption_key()
    with OsFileSystem().open_root(session.root()) as root:
        place = _place(session, root, cluster)
        report = verify_whole_store(root, keys=keys)
        findings = [finding for finding in report.findings if place is None or _is_below(finding.file, place)]
        if place is not None and not findings and not _exists(root, place):
            raise NoSuchRecord(
                f"{place} is not in this store, and nothing should be there; nothing was judged.",
                file=place,
                reason="no_such_file",
            )
    code = worst(finding.severity.exit_code for finding in findings)
    journals = [journal for journal in report.journals if place is None or _is_below(journal.folder, place)]
    # A key that does not fit leaves the seals of that journal as they are.
    is_unsealed = report.is_unsealed and not any(finding.severity is Severity.UNAVAILABLE for finding in report.findings)
    found = _Verified(place, findings, journals, report.is_live, keys is not None, is_unsealed, code)
    if session.is_text:
        _print(session, found)
    else:
        _write(session, found, cluster)
    return code


def _place(session: Session, root: Directory, cluster: str | None) -> str | None:
    """What findings are to be shown of, relative to the root; None for everything."""
    file = session.options.file
    if file is None:
        return f"{CLUSTERS}/{cluster}" if cluster else None
    path = Path(file)
    if ".." in path.parts and not path.resolve().is_relative_to(Path(session.root()).resolve()):
        raise MisuseError(f"{file} lies outside the store {session.root()}; nothing was read.", reason="outside")
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


def _print(session: Session, found: _Verified) -> None:
    text = session.text()
    for journal in found.journals:
        lsns = lsn_range(journal.first_lsn, journal.last_lsn) if journal.first_lsn else "no records"
        segments, frames = counted(journal.segment_count, "segment"), counted(journal.frame_count, "frame")
        text.line((journal.folder, "bold"), f"  {lsns}, {segments}, {frames}")
    for finding in found.findings:
        text.line((_sentence(finding), _STYLES.get(finding.severity, "red")))
    grave = sum(finding.severity > Severity.HARMLESS for finding in found.findings)
    verdict: tuple[str, str] = (counted(grave, "finding"), "red") if grave else ("sound", "green")
    live = " A writer is at work: nothing past its last durable record was judged." if found.is_live else ""
    where = "" if found.place is None else f"{found.place}: "
    text.line(where, verdict, f" ({_seals_text(found)}).{live}")
    meaning, following = _meaning(found)
    text.line(f"exit {int(found.code)}: {meaning}. Next: {following}.")


def _seals_text(found: _Verified) -> str:
    if found.is_unsealed:
        return "seals were opened"
    seals = "seals stay closed: the key does not open all of them" if found.has_keys else "without a key, seals stay closed"
    return f"{seals}; {' and '.join(NOT_CHECKED)} are not seen then"


def _write(session: Session, found: _Verified, cluster: str | None) -> None:
    writer = session.json()
    last = next((journal.last_lsn for journal in found.journals if cluster and journal.cluster == cluster), None)
    meaning, following = _meaning(found)
    fields = head(
        "rap-state-verify", cluster, last, is_live=found.is_live, is_unsealed=found.is_unsealed,
        not_checked=[] if found.is_unsealed else list(NOT_CHECKED), is_sound=found.code is ExitCode.DONE, meaning=meaning, next=following,
        journals=[journal._asdict() for journal in found.journals],
    )  # fmt: skip
    writer.begin(fields, type="finding", items="findings")
    for finding in found.findings:
        writer.item(_finding_object(finding))
    writer.end(found.code)


def _sentence(finding: VerifyFinding) -> str:
    words = WORDS.get(finding.reason)
    return f"{finding.file}: {words} ({finding.reason})" if words else finding.sentence()


def _meaning(found: _Verified) -> tuple[str, str]:
    grave = [finding.reason for finding in found.findings if finding.severity > Severity.HARMLESS]
    is_strangers = found.code is ExitCode.CACHE_DAMAGE and set(grave) == {"unexpected"}
    return STRANGERS if is_strangers else MEANINGS[found.code]


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
