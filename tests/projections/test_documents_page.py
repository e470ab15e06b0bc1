"""DOCUMENTS.md is true: its CDDL takes every good document, its example and its numbers are those of the code."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from rap_journal.deterministic_cbor import decode, encode
from rap_projections.bundle_schema import BUNDLE, CERTIFICATE_BYTES_MAX, KEYS_MAX, REVOCATIONS_MAX, ROOTS_MAX
from rap_projections.cose import PROTECTED_BYTES_MAX, SIGN_TAG, SIGNATURES_MAX
from rap_projections.document_schema import ARTIFACT, ENTRIES_MAX, HEAD, INCREMENTS, RESTORE_TICKET, SNAPSHOTS, TICKET_LIFE_MAX_S
from rap_projections.documents import DocumentType, Scope
from rap_projections.payload_fields import COUNT_MAX, GENERATION_MAX, SPAN_MAX_S, TIME_MAX_S, Field
from rap_projections.refusals import RULES, BadSchema, RefusedError
from rap_projections.signed_document import FORMS, open_document
from tests.conftest import Tally
from tests.projections.documents_support import CERTIFICATE_REASONS
from tests.projections.golden_case import Golden
from tests.projections.golden_documents import PAGE, golden_cases, page_blocks, page_with

TEXT = PAGE.read_text()
CDDL = "".join(re.findall(r"```cddl\n(.*?)```", TEXT, re.DOTALL))
CASES = golden_cases()
GOOD = [case for case in CASES if case.verdict[0] == "verified"]
TYPES = {"bootstrap": DocumentType.BUNDLE, "next-bundle": DocumentType.BUNDLE}

ONLY_HERE = (
    "do not rise by id",
    "an item occurs twice",
    "are not in this order",
    "below its own minimum",
    "sequence below its own",
    "ends before it was issued",
    "valid for more than an hour",
    "both changed and removed",
    "its own base",
    "not the SHA-256 of its key",
    "public key",
    "do not go together",
    "a root threshold above",
    "a root key that is",
    "under another digest",
    "no DER certificate",
    "does not know",
)
"""What the page lists as beyond CDDL: in words of the refusals."""


def rule_of(case: Golden) -> str:
    """Name of the CDDL rule of a document's payload."""
    document = open_document(case.data, type_of(case))
    scope = document.claims.scope
    prefix = f"{scope}-" if scope in set(Scope) and document.document_type is not DocumentType.ARTIFACT else ""
    return prefix + document.document_type.value


def type_of(case: Golden) -> DocumentType:
    return TYPES.get(case.call) or DocumentType(case.call)


def field_of(case: Golden) -> Field[Any]:
    """The code's schema of a document's payload."""
    scope = open_document(case.data, type_of(case)).claims.scope
    match type_of(case):
        case DocumentType.SNAPSHOT:
            return SNAPSHOTS[Scope(scope)]
        case DocumentType.INCREMENT:
            return INCREMENTS[Scope(scope)]
    fields: dict[DocumentType, Field[Any]] = {
        DocumentType.BUNDLE: BUNDLE,
        DocumentType.HEAD: HEAD,
        DocumentType.ARTIFACT: ARTIFACT,
        DocumentType.RESTORE_TICKET: RESTORE_TICKET,
    }
    return fields[type_of(case)]


def mutations(value: Any) -> list[Any]:
    """The value with one thing changed, each place in turn: other types, borders, something more and something less."""
    if isinstance(value, dict):
        inner: list[Any] = [value | {key: changed} for key, item in value.items() for changed in mutations(item)]
        return [*inner, {key: value[key] for key in list(value)[:-1]}, value | {23: 0}, [], 0]
    if isinstance(value, list):
        inner = [[*value[:at], changed, *value[at + 1 :]] for at, item in enumerate(value[:2]) for changed in mutations(item)]
        return [*inner, value[:-1], [*value, 0], [*value, "x"], [], {}, None]
    if isinstance(value, bool):
        return [not value, 0, None]
    if isinstance(value, int):
        borders = [COUNT_MAX, COUNT_MAX + 1, GENERATION_MAX + 1, SPAN_MAX_S + 1, TIME_MAX_S + 1, 10**6 + 1, 64, 65]
        return [value - 1, value + 1, 0, -1, True, str(value), *borders]
    if isinstance(value, str):
        return [
            value.upper(),
            value + "\n",
            value + "-",
            "x" * 65,
            "é",
            "",
            f"{value}@{value}",
            value.encode(),
            "secret:x",
            "node:x",
        ]
    if isinstance(value, bytes):
        return [value[:-1], value + b"\0", b"", bytes(len(value)), value.hex()]
    return [0, False]


ONE_PER_RULE = list({rule_of(case): case for case in reversed(GOOD)}.values())
"""The first good golden document of every payload rule."""


def test_cddl_of_the_page_takes_every_good_golden_document() -> None:
    verifier = pytest.importorskip("cddl_verifier", reason="cddl-verifier is not installed").Validator(CDDL)
    refused = [case.name for case in GOOD if not verifier.validate(case.data, root_type=envelope_rule(case)).valid]
    assert refused == []
    assert all(verifier.validate(case.data, root_type="document").valid for case in GOOD)


def envelope_rule(case: Golden) -> str:
    return f"{rule_of(case)}-document"


BEYOND_CDDL = {
    "bad-header-not-deterministic": "order of labels",
    "bad-payload-long-integer": "shortest form",
    "bad-payload-issued-after-its-end": "order of times",
    "bad-payload-unsorted": "order of entries",
    "bad-payload-twice": "order of entries",
    "bad-increment-changed-and-removed": "an id in both lists",
    "bad-increment-to-its-own-base": "two digests differ",
    "bad-head-scope-twice": "order of entries",
    "bad-head-ends-before-its-issue": "order of times",
    "bad-artifact-below-its-own-minimum": "two numbers compared",
    "bad-ticket-for-two-hours": "a difference of times",
    "bad-bundle-weak-key": "arithmetic of the curve",
    "bad-bundle-unsorted-roots": "order of entries",
    "bad-bundle-kid-of-another-key": "a digest",
    "bad-bundle-root-as-everyday-key": "two lists compared",
    "bad-bundle-usage-without-threshold": "two lists compared",
    "bad-bundle-threshold-above-roots": "a count",
    "bad-bundle-ends-before-its-issue": "order of times",
    "bad-bundle-anchor-under-another-digest": "a digest",
}
"""Golden documents whose structure or schema is bad for what CDDL cannot say (the list behind the CDDL on the page)."""

CLAIMS_BEYOND_THE_PAGE = {
    "bad-format-2",
    "bad-unknown-scope",
    "bad-increment-of-policy",
    "bad-head-of-a-scope",
    "bad-artifact-other-scope",
}
"""Golden documents that claim what no document can be: the CDDL refuses them, too."""


def test_cddl_of_the_page_takes_and_refuses_every_golden_document_as_the_code_does(tally: Tally) -> None:
    """Refused: bad by size, structure or schema, but for what CDDL cannot say. Taken: all others, bad by trust alone or good."""
    verifier = pytest.importorskip("cddl_verifier", reason="cddl-verifier is not installed").Validator(CDDL)
    counts: Counter[str] = Counter()
    differ = []
    for case in CASES:
        try:
            taken = verifier.validate(case.data, root_type="document", require_deterministic=True).valid
        except (ValueError, TypeError):
            taken = False
        by_form = case.verdict[0] in {"size", "structure", "schema"} and case.name not in BEYOND_CDDL
        differ += [case.name] if taken == (by_form or case.name in CLAIMS_BEYOND_THE_PAGE) else []
        counts["taken" if taken else "refused"] += 1
    assert differ == []
    assert {case.name for case in CASES} >= BEYOND_CDDL.keys() | CLAIMS_BEYOND_THE_PAGE
    tally("golden documents, CDDL of DOCUMENTS.md", counts)


@pytest.mark.parametrize(
    "case", [case for case in ONE_PER_RULE if type_of(case) is not DocumentType.BUNDLE], ids=lambda case: case.name
)
def test_a_second_cddl_tool_takes_the_payload(case: Golden) -> None:
    """All but the bundle's: the tool cannot choose between arrays within arrays."""
    pycddl = pytest.importorskip("pycddl", reason="pycddl is not installed")
    schema = pycddl.Schema(f"start = {rule_of(case)}\n{CDDL}")
    payload = open_document(case.data, type_of(case)).envelope.payload
    schema.validate_cbor(payload)
    with pytest.raises(pycddl.ValidationError):
        schema.validate_cbor(encode(decode(payload, size_max=len(payload)) | {23: "a field that is not there"}))


@pytest.mark.parametrize("case", ONE_PER_RULE, ids=lambda case: case.name)
def test_code_and_cddl_agree_on_every_small_change_of_a_payload(case: Golden) -> None:
    """Mutation: any limit, pattern or field that differs between the page and the code."""
    verifier = pytest.importorskip("cddl_verifier", reason="cddl-verifier is not installed").Validator(CDDL)
    rule, field = rule_of(case), field_of(case)
    differ = []
    for changed in mutations(decode(open_document(case.data, type_of(case)).envelope.payload, size_max=1 << 20)):
        verdict = code_verdict(field, changed)
        taken = verifier.validate(encode(changed), root_type=rule).valid
        is_beyond_cddl = any(words in verdict for words in ONLY_HERE)
        if not is_beyond_cddl and taken != (verdict == ""):
            differ.append((verdict, taken, str(changed)[:2000]))
    assert differ == []


def code_verdict(field: Field[Any], value: Any) -> str:
    try:
        field.read(value)
    except BadSchema as refusal:
        return refusal.what
    return ""


def test_worked_example_is_the_golden_document() -> None:
    assert page_with(page_blocks(CASES), TEXT) == TEXT


def test_table_of_types_gives_structure_scopes_and_sizes_of_the_code() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \| (COSE_Sign1?) \| (.*?) \| .* \| (\d+) \|$", TEXT, re.MULTILINE)
    listed = {
        DocumentType(name): (structure == "COSE_Sign", int(size), tuple(re.findall("`([a-z]+)`", scopes)))
        for name, structure, scopes, size in rows
    }
    assert listed == {kind: (form.tag == SIGN_TAG, form.bytes_max, form.scopes) for kind, form in FORMS.items()}


def test_table_of_certificate_rules_lists_the_refusals_of_certificates() -> None:
    section = TEXT.split("## 8. Certificates")[1].split("## 9.")[0]
    rows = re.findall(r"^\| ([a-z]+) \| ((?:`[a-z_]+`(?:, )?)+) \|", section, re.MULTILINE)
    listed = {(rule, word) for rule, words in rows for word in re.findall("`([a-z_]+)`", words)}
    every = {(kind.rule, kind.word) for kind in RefusedError.__subclasses__()}
    assert listed <= every
    assert {word for _, word in listed} >= CERTIFICATE_REASONS | {"wrong_key"}


def test_table_of_rules_lists_rules_and_reasons_in_the_order_of_the_code() -> None:
    section = TEXT.split("## 4.")[1].split("## 5.")[0]
    rows = re.findall(r"^\| ([a-z]+) \| ((?:`[a-z_]+`(?:, )?)+) \|", section, re.MULTILINE)
    assert tuple(rule for rule, _ in rows) == RULES
    listed = {rule: set(re.findall("`([a-z_]+)`", reasons)) for rule, reasons in rows}
    elsewhere = {
        "version_gap",
        "wrong_base",
        "wrong_key",
        "wrong_artifact",
        "ticket_mismatch",
        "bundle_too_old",
        *CERTIFICATE_REASONS,
    }
    by_rule = {rule: {kind.word for kind in RefusedError.__subclasses__() if kind.rule == rule} - elsewhere for rule in RULES}
    assert listed == by_rule


@pytest.mark.parametrize(
    "number",
    [
        f"At most {SIGNATURES_MAX} signatures",
        f"at most {PROTECTED_BYTES_MAX} bytes of protected header",
        f"at most {TICKET_LIFE_MAX_S} seconds",
        f"0*{ENTRIES_MAX} peer",
        f"0*{REVOCATIONS_MAX} revocation",
        f"0*{KEYS_MAX} signing-key",
        f"1*{ROOTS_MAX} root-key",
        f"(1..{CERTIFICATE_BYTES_MAX})",
    ],
)
def test_limit_of_the_code_stands_on_the_page(number: str) -> None:
    assert number in TEXT


def test_every_rule_of_the_cddl_is_defined_once_and_used() -> None:
    code = "\n".join(re.sub(r'"(\\.|[^"\\])*"', "", line).split(";")[0] for line in CDDL.splitlines())
    defined = re.findall(r"^([a-z][a-z0-9-]*) = ", code, re.MULTILINE)
    words = re.findall(r"(?<![\w.-])([a-z][a-z0-9-]*)(?![\w-]*:)", re.sub(r"\.(size|cbor|regexp)\b", "", code))
    prelude = {"bstr", "tstr", "bool", "null", "uint"}
    roots = {"document", "external-aad", "content-id-input", "payload", "restore-request", "backup"}
    assert len(defined) == len(set(defined))
    assert set(words) - prelude - roots == set(defined) - roots
    assert all(words.count(name) > 1 for name in set(defined) - roots)


def test_page_stands_beside_the_package() -> None:
    assert Path("projections") / "DOCUMENTS.md" == PAGE.relative_to(PAGE.parents[1])
