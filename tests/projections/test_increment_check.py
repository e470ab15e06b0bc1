"""Checking an increment: every rule is tried, and it says yes exactly where the increment would be activated."""

from collections.abc import Callable
from typing import Any

import pytest

from rap_projections.document_schema import read_snapshot, write_increment
from rap_projections.documents import Audience, DocumentType, Floor, RevocationKind, Scope, UsageThreshold, Version
from rap_projections.increment_check import check_increment
from rap_projections.increments import Base, verify_offered
from rap_projections.refusals import RULES, BadSchema, RefusedError
from rap_projections.rule_report import CheckReport
from rap_projections.signed_document import open_document
from rap_projections.testing import Fabric
from rap_projections.testing.entries import make_peer
from rap_projections.verification import verify_increment
from tests.projections.documents_support import CLUSTER, NODE, NOW_S

BODY = (make_peer("node-a"), make_peer("node-b"))
LARGE_BYTES = 4 * 1024 * 1024 + 1


class Offered:
    """An increment, what it is offered on, and by what it is judged."""

    def __init__(self, **options: Any) -> None:
        self.fabric = Fabric(CLUSTER, requires_head=options.pop("requires_head", False))
        self.base = self.fabric.snapshot(Scope.PEERS, BODY[:1])
        self.data = self.fabric.increment(self.base, BODY, **options)
        self.active: bytes | None = self.base
        self.given: dict[str, Any] = {"trusted_s": NOW_S, "recipient": NODE}

    def active_of(self, scope: Scope) -> Base | None:
        """The active document, where it is asked for the peers."""
        if self.active is None or scope is not Scope.PEERS:
            return None
        payload = open_document(self.active, DocumentType.SNAPSHOT).envelope.payload
        return Base(read_snapshot(payload, scope), self.fabric.content_id(self.active))

    def result_id(self) -> bytes:
        """The content id of what it leads to."""
        return verify_increment(self.data, self.fabric.trust(), trusted_s=0, recipient=NODE).increment.result_content_id

    def report(self) -> CheckReport:
        """What every rule says; the rules are all there, and no is told by who would refuse it."""
        report = check_increment(self.data, self.fabric.trust(), self.active_of, **self.given)
        assert [result.rule for result in report.rules] == list(RULES)
        try:
            verified = verify_offered(self.data, self.fabric.trust(), self.active_of, **self.given)
        except RefusedError:
            assert not report.ok and report.refusal is not None
        else:
            assert report.ok and report.snapshot == verified
        return report

    def failed(self) -> list[str]:
        """The rules that it breaks."""
        return [result.rule for result in self.report().rules if result.outcome == "failed"]


def size(it: Offered) -> None:
    it.data += bytes(LARGE_BYTES)


def structure(it: Offered) -> None:
    it.data = it.data[:-1]


def claims(it: Offered) -> None:
    it.given["scope"] = Scope.ROUTES


def keys(it: Offered) -> None:
    it.fabric.revoke(RevocationKind.KID, it.fabric.key("peers").kid)


def threshold(it: Offered) -> None:
    draft = it.fabric.draft
    demanded = tuple(UsageThreshold(item.usage, 2 if item.usage.scope == "peers" else 1) for item in draft.thresholds)
    it.fabric.next_bundle(thresholds=demanded)


def signature(it: Offered) -> None:
    it.data = it.data[:-1] + bytes([it.data[-1] ^ 1])


def floor(it: Offered) -> None:
    it.given["floors"] = {Scope.PEERS: Floor(Version(1, 9), bytes(32))}


def generation(it: Offered) -> None:
    it.data = it.fabric.increment(it.base, BODY, version=Version(2, 1))


def another_base(it: Offered) -> None:
    it.active = it.fabric.snapshot(Scope.PEERS, BODY, version=9)


def no_base(it: Offered) -> None:
    it.active = None


def time(it: Offered) -> None:
    it.given["trusted_s"] = NOW_S + 365 * 86_400


def audience(it: Offered) -> None:
    it.given["recipient"] = NODE._replace(node_id="node-other", roles=frozenset())
    it.data = it.fabric.increment(it.base, BODY, audience=Audience(False, nodes=("node-1",)))


def schema(it: Offered) -> None:
    odd = verify_increment(it.data, it.fabric.trust(), trusted_s=NOW_S, recipient=NODE).increment
    it.data = it.fabric.sign(DocumentType.INCREMENT, "peers", write_increment(odd) + b"\0")


BREAKING: dict[Callable[[Offered], None], list[str]] = {
    size: ["size"],
    structure: ["structure"],
    claims: ["claims"],
    keys: ["keys"],
    threshold: ["threshold"],
    signature: ["signature"],
    floor: ["floor"],
    generation: ["floor"],
    another_base: ["floor"],
    no_base: ["floor"],
    time: ["time"],
    audience: ["audience"],
    schema: ["schema"],
}


def test_an_increment_that_would_be_activated_passes_every_rule() -> None:
    """Mutation: judge it as a full document, which it is not."""
    it = Offered()
    report = it.report()
    assert {result.outcome for result in report.rules} == {"passed"}
    assert report.snapshot is not None and report.snapshot.snapshot.body == BODY


@pytest.mark.parametrize("broken", BREAKING)
def test_each_rule_is_told_by_its_name(broken: Callable[[Offered], None]) -> None:
    """Mutation: leave one of the checks out."""
    it = Offered()
    broken(it)
    assert it.failed() == BREAKING[broken]
    refusal = it.report().refusal
    assert refusal is not None and (refusal.cluster, refusal.document_type) == (CLUSTER, "increment")


def test_behind_the_signature_every_rule_is_tried() -> None:
    """Mutation: stop at the first rule that is broken."""
    it = Offered(requires_head=True)
    another_base(it)
    time(it)
    report = it.report()
    assert it.failed() == ["floor", "time"]
    assert [result.rule for result in report.rules if result.outcome == "not reached"] == ["head"]


def test_where_the_bundle_demands_a_head_the_result_must_be_listed() -> None:
    """Mutation: without the head, a check says yes to what is refused."""
    it = Offered(requires_head=True)
    assert it.failed() == ["head"]


def test_a_result_that_is_revoked_is_told_at_the_floor() -> None:
    """Mutation: a refusal of another rule than the one that is tried is not told by any."""
    it = Offered()
    it.fabric.revoke(RevocationKind.CONTENT, it.result_id())
    assert it.failed() == ["floor"]


def test_a_result_that_breaks_the_schema_is_told_by_the_schema(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mutation: nothing fails, and still it does not pass."""

    def refuse(*_arguments: object) -> None:
        raise BadSchema("it lists more than may be listed")

    it = Offered()
    it.report()
    monkeypatch.setattr("rap_projections.increments.read_snapshot", refuse)
    assert it.failed() == ["schema"]


def test_an_increment_that_was_applied_before_passes_without_being_applied_again() -> None:
    """Mutation: look for its base, or the head, once more."""
    it = Offered(requires_head=True)
    it.active = it.fabric.snapshot(Scope.PEERS, BODY, version=2)
    assert it.fabric.content_id(it.active) == it.result_id()
    report = it.report()
    assert report.ok and report.snapshot is not None and report.snapshot.unchanged
