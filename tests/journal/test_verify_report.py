"""The report of a verification: sentences, and the exit code that the gravest finding decides."""

import itertools

import pytest

from rap_journal.verify_report import JournalSummary, Severity, VerifyFinding, VerifyReport

MILDEST_FIRST = [
    (Severity.HARMLESS, 0, "harmless"),
    (Severity.TORN, 6, "torn by a crash; the next opening cuts it"),
    (Severity.CACHE_DAMAGE, 7, "damage to caches only; they are rebuilt"),
    (Severity.UNKNOWN_FORMAT, 9, "of a later format; not judged"),
    (Severity.UNAVAILABLE, 11, "not judged: no access"),
    (Severity.UNREADABLE, 12, "not judged: unreadable"),
    (Severity.DAMAGE, 8, "damage"),
]


def report(*severities: Severity) -> VerifyReport:
    findings = tuple(VerifyFinding("file", number, "reason", severity) for number, severity in enumerate(severities))
    return VerifyReport(findings, (), False, False)


def test_severities_are_ordered_as_the_worst_of_several_results_wins() -> None:
    assert [severity for severity, _code, _meaning in MILDEST_FIRST] == sorted(Severity)


@pytest.mark.parametrize(("severity", "exit_code", "meaning"), MILDEST_FIRST, ids=lambda value: getattr(value, "name", ""))
def test_each_severity_has_its_exit_code_and_says_what_it_means(severity: Severity, exit_code: int, meaning: str) -> None:
    assert severity.exit_code == report(severity).exit_code == exit_code
    assert VerifyFinding("tmp", 0, "leftover", severity).sentence() == f"tmp at byte 0: leftover: {meaning}"


def test_the_gravest_finding_decides_wherever_it_stands() -> None:
    for one, other in itertools.permutations(Severity, 2):
        assert report(one, other).exit_code == max(one, other).exit_code
    assert report(*Severity).exit_code == 8


def test_nothing_found_and_harmless_things_are_sound_and_all_else_is_not() -> None:
    assert (report().exit_code, report().is_sound) == (0, True)
    assert [severity for severity in Severity if report(severity).is_sound] == [Severity.HARMLESS]


def test_a_sentence_names_place_classes_and_lsns_where_there_are_any() -> None:
    whole = VerifyFinding("journal/00000001-00000001", 512, "bad_digest", Severity.CACHE_DAMAGE, ("peers", "routes"), 3, 7)
    assert whole.sentence() == (
        "journal/00000001-00000001 at byte 512: bad_digest of peers, routes, LSN 3 to 7: damage to caches only; they are rebuilt"
    )
    assert whole._replace(state_classes=()).sentence() == (
        "journal/00000001-00000001 at byte 512: bad_digest, LSN 3 to 7: damage to caches only; they are rebuilt"
    )
    assert whole._replace(first_lsn=0, last_lsn=0).sentence() == (
        "journal/00000001-00000001 at byte 512: bad_digest of peers, routes: damage to caches only; they are rebuilt"
    )


def test_findings_sort_by_file_offset_and_reason() -> None:
    findings = [
        VerifyFinding("a", 0, "bad_block", Severity.DAMAGE),
        VerifyFinding("a", 0, "no_marker", Severity.HARMLESS),
        VerifyFinding("a", 512, "bad_block", Severity.HARMLESS),
        VerifyFinding("b", 0, "bad_block", Severity.HARMLESS),
    ]
    backwards = list(reversed(findings))
    assert sorted(backwards) == findings


def test_a_summary_of_a_journal_nobody_could_look_into_says_so_in_zeros() -> None:
    assert JournalSummary("clusters/eu-1", "")[2:] == (0, 0, 0, 0)
