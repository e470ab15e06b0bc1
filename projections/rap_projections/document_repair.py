"""Kept documents whose file is missing or damaged: written again from their second copy, or named as lost.

Rules this file keeps (architecture, 4; spec 8):

- The second copy is the one inside the event, which the journal proves. Without one a document is lost, and nothing is made up.
- A file that is written again has the name that the state knows it by.
- What is lost is named here; that something else takes its place, or nothing does, is for the opening to decide.

Example::

    repaired = repair_documents(core)
    repaired.lost_file_ids
"""

from typing import NamedTuple

from rap_journal.errors import DamageError, NoSpace
from rap_journal.layout import document_name
from rap_journal.recovery_plan import Verdict
from rap_journal.recovery_report import Finding
from rap_journal.sealing import SealBroken
from rap_projections.journaled_state import JournaledState
from rap_projections.named_documents import NamedDocument, Use, named_documents

REPAIRED = "repaired"
"""What a `RecoveryDone` says was done."""

_ELSEWHERE = frozenset({Use.KEY, Use.WAITING, Use.EVIDENCE})
"""A key that is gone fails closed, by the identity's own rules; what waited is dropped, by an event of its own (spec 8, step 2); nothing goes
by evidence."""


class RepairedDocuments(NamedTuple):
    """What was found, in words, and what became of it."""

    findings: tuple[Finding, ...]
    repaired: tuple[NamedDocument, ...]
    lost_file_ids: frozenset[bytes]


def repair_documents(core: JournaledState) -> RepairedDocuments:
    """Look at every document that the state names, and write again what can be. Raises `StorageError` but for a lack of space."""
    findings: list[Finding] = []
    repaired: list[NamedDocument] = []
    lost: set[bytes] = set()
    for named in named_documents(core.state):
        reason = _fault(core, named)
        if reason is None:
            continue
        if not named.stored.inline:
            lost.add(named.stored.file_id)
            findings.append(_finding(named, reason, "lost", "there is no other copy of it.", "Fetch it again."))
        elif _write_again(core, named):
            repaired.append(named)
            findings.append(
                _finding(named, reason, REPAIRED, "it was written again from the copy in its event.", "Check the disk.")
            )
        else:
            findings.append(
                _finding(named, reason, "reported", "the copy in its event serves until there is space.", "Free space.")
            )
    return RepairedDocuments(tuple(findings), tuple(repaired), frozenset(lost))


def _fault(core: JournaledState, named: NamedDocument) -> str | None:
    """What is wrong with the file, as a stable word. What nothing goes by now is only looked for; rot in it is the scrub's to find."""
    if named.use in _ELSEWHERE:
        return None
    if named.use is Use.PREVIOUS:
        is_there = core.journal.folders.classes[named.spec.number].status(document_name(named.stored.file_id)) is not None
        return None if is_there else "missing"
    try:
        core.load(named.spec, named.stored.file_id)
    except FileNotFoundError:
        return "missing"
    except (DamageError, SealBroken) as error:
        return error.reason or "damaged"
    except OSError:
        return "unreadable"
    return None


def _write_again(core: JournaledState, named: NamedDocument) -> bool:
    try:
        core.store(named.spec, named.stored.inline, again=named.stored.file_id)
    except NoSpace:
        return False
    return True


def _finding(named: NamedDocument, reason: str, action: str, done: str, advice: str) -> Finding:
    return Finding(Verdict.GAP, named.file, 0, 0, 0, 0, 0, (named.spec.name,), reason, done, advice, action=action)
