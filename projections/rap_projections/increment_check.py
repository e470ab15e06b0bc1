"""What every rule says about an increment, offered on the documents that are active now. Pure code.

Rules this file keeps:

- An increment states the header of what it leads to: floor, time and audience are judged of that. Not to start from the active
  document breaks the floor.
- What passes every rule here passes `verify_offered`, which gives the value and judges once more.

Example::

    report = check_increment(data, trust, active_of, trusted_s=now.trusted_s, recipient=me, floors=floors)
"""

from collections.abc import Mapping
from functools import cached_property, partial

from rap_projections.document_case import DocumentCase
from rap_projections.document_rules import (
    check_audience,
    check_generation,
    check_head,
    check_time,
    is_at_floor,
)
from rap_projections.document_schema import SnapshotHeader, header_of
from rap_projections.documents import DocumentType, Floor, Scope
from rap_projections.increments import ActiveOf, base_for, naming, result_of, verify_offered
from rap_projections.refusals import BadSchema
from rap_projections.rule_report import CheckReport, NotReached, report_of
from rap_projections.trust_in_force import TrustInForce
from rap_projections.verification import NO_FLOORS, Recipient, authentic_increment
from rap_projections.verified import VerifiedHead, VerifiedIncrement, VerifiedResult


def check_increment(
    data: bytes,
    trust: TrustInForce,
    active_of: ActiveOf,
    *,
    trusted_s: int,
    recipient: Recipient,
    floors: Mapping[Scope, Floor] = NO_FLOORS,
    head: VerifiedHead | None = None,
    scope: Scope | None = None,
) -> CheckReport:
    """What every rule says about `data`; takes what `verify_offered` takes and never raises a `RefusedError`."""
    case = _IncrementCase(data, trust, scope)
    checks = (
        ("size", case.check_size),
        ("structure", case.check_structure),
        ("claims", case.check_claims),
        ("keys", case.check_keys),
        ("threshold", case.check_threshold),
        ("signature", case.check_signature),
        ("floor", partial(case.check_floor, active_of, floors)),
        ("head", partial(case.check_head, head, trusted_s)),
        ("time", lambda: check_time(case.header.expires_at_s, trusted_s)),
        ("audience", lambda: check_audience(case.header.audience, *recipient)),
        ("schema", case.check_schema),
    )

    def verified() -> VerifiedResult:
        return verify_offered(
            data, trust, active_of, trusted_s=trusted_s, recipient=recipient, floors=floors, head=head, scope=scope
        )

    return report_of(checks, verified, lambda: naming(trust.cluster_id, getattr(case, "scope", scope)))


class _IncrementCase(DocumentCase):
    """One increment on its way through the rules, and what is known of it so far."""

    def __init__(self, data: bytes, trust: TrustInForce, scope: Scope | None) -> None:
        super().__init__(data, trust, DocumentType.INCREMENT, scope)
        self._payload_bytes: int | None = None
        self._is_active = False
        self._flaw: BadSchema | None = None

    @cached_property
    def increment(self) -> VerifiedIncrement:
        """What it says; asked for behind the signature. Raises `BadSchema`."""
        return authentic_increment(self.data, self.trust)

    @property
    def header(self) -> SnapshotHeader:
        """The header of what it leads to."""
        return header_of(self.increment.increment)

    def check_floor(self, active_of: ActiveOf, floors: Mapping[Scope, Floor]) -> None:
        increment = self.increment.increment
        check_generation(self.header, self.trust, increment.scope)
        base = base_for(increment, active_of)
        self._is_active = increment.result_content_id == base.content_id
        if not self._is_active:
            try:
                _payload, outcome = result_of(self.increment, *base, self.trust)
            except BadSchema as flaw:
                self._flaw = flaw
                raise
            self._payload_bytes = len(outcome)
        floor = floors.get(increment.scope)
        if floor is not None:
            is_at_floor(self.header, increment.result_content_id, floor)

    def check_head(self, head: VerifiedHead | None, trusted_s: int) -> None:
        if self._is_active or not self.trust.requires_head:
            return
        if self._payload_bytes is None:
            raise NotReached
        scope, result_id = self.increment.increment.scope, self.increment.increment.result_content_id
        check_head(result_id, self._payload_bytes, self.header, scope, self.trust, head, trusted_s)

    def check_schema(self) -> None:
        if self._flaw is not None:
            raise self._flaw
        _ = self.increment
