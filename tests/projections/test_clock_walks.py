"""Walks of the clock: whatever wall clock, boot clock and reboots do, trusted time and deadlines stay honest (trust, 16 and 17).

The model is an outside observer who knows how much time really passed.
"""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from rap_projections import Operation
from rap_projections.documents import Scope
from rap_projections.health_decisions import ADVANCE_S
from rap_projections.refusals import Expired
from tests.projections.store_kit import Ready, ready

DAY_S = 86_400
BUDGET_S = 3 * DAY_S
LIFE_S = 2 * DAY_S

walls = st.sampled_from((-60 * 365 * DAY_S, -400 * DAY_S, -3600, 5, 3600, 400 * DAY_S, 12 * 365 * DAY_S))
passing = st.sampled_from((0, 1, 59, 61, 3600, DAY_S))


class ClockWalk(RuleBasedStateMachine):
    """A node whose clocks do anything, and an issuer whose time is the real one."""

    @initialize()
    def join(self) -> None:
        self.it: Ready = ready()
        self.passed_s = 0
        self.reboots = 0
        self.real_s: float = self.it.fabric.issued_at_s
        self.signed_at_s = 0
        self.low_end_s = self.trusted_s
        self.left_s: int | None = None
        self.refused: bytes | None = None
        self.activate()

    @property
    def trusted_s(self) -> int:
        return int(self.it.cluster.status()["trusted_time_s"])

    def elapse(self, seconds: float) -> None:
        self.real_s += seconds
        self.it.fabric.issued_at_s = int(self.real_s)

    @rule(seconds=passing)
    def time_passes(self, seconds: int) -> None:
        """Suspended or not: the boot clock counts both."""
        self.it.kit.clock.advance(seconds=seconds)
        self.elapse(seconds)
        self.it.cluster.tick()

    @rule(step=walls)
    def the_wall_clock_jumps(self, step: int) -> None:
        self.it.kit.clock.step_wall(seconds=step)

    @rule(down=passing, power_cut=st.booleans())
    def the_machine_reboots(self, down: int, *, power_cut: bool) -> None:
        if power_cut:
            self.it.kit.filesystem = self.it.kit.filesystem.crash(None)
        else:
            self.it.kit.store.close()
        self.it.kit.clock.reboot(down_seconds=down)
        self.elapse(down)
        self.reboots += 1
        self.it.kit.open()

    @rule()
    def activate(self) -> None:
        """A document that is issued now, valid for two days, with a budget of three."""
        fabric = self.it.fabric
        policy = fabric.policy(offline_s_max=BUDGET_S, snapshot={"expires_at_s": fabric.issued_at_s + LIFE_S})
        self.it.cluster.activate(policy)
        if fabric.issued_at_s > self.signed_at_s:
            # Only a strictly newer instant may refill the deadline.
            self.signed_at_s, self.left_s = fabric.issued_at_s, None

    @rule()
    def an_expired_document_is_offered(self) -> None:
        """One that ended before the low end of trusted time is refused, however the clock stands."""
        fabric, now_s = self.it.fabric, self.trusted_s
        old = fabric.snapshot(Scope.PEERS, (), issued_at_s=now_s - 10, expires_at_s=now_s, refresh_after_s=now_s - 5)
        self.refused = old
        try:
            self.it.cluster.activate(old)
        except Expired:
            return
        raise AssertionError("a document past its end was activated")

    @precondition(lambda self: self.refused is not None)
    @rule()
    def what_was_refused_is_not_revived(self) -> None:
        assert self.refused is not None
        try:
            self.it.cluster.activate(self.refused)
        except Expired:
            return
        raise AssertionError("a clock that moved revived a document")

    @invariant()
    def trusted_time_never_falls(self) -> None:
        assert self.trusted_s >= self.low_end_s
        self.low_end_s = self.trusted_s

    @invariant()
    def trusted_time_is_no_later_than_real_time_and_what_reboots_cost(self) -> None:
        """Every boot pays up to a minute in advance, which counts in full once the machine has rebooted."""
        assert self.trusted_s <= self.real_s + ADVANCE_S * (self.reboots + 1) + 1

    @invariant()
    def the_deadline_is_refilled_by_signed_instants_only(self) -> None:
        left_s = self.it.cluster.status()["degraded"]["seconds_left"]
        assert left_s is None or 0 <= left_s <= BUDGET_S
        if self.left_s is not None:
            assert left_s <= self.left_s
        self.left_s = left_s

    @invariant()
    def past_the_deadline_or_the_documents_end_nothing_risky_is_allowed(self) -> None:
        status = self.it.cluster.status()
        is_over = status["degraded"]["seconds_left"] == 0 or status["snapshots"]["policy"]["is_expired"]
        if is_over:
            assert not self.it.cluster.allows(Operation.RESOLVE_SECRET).ok


TestClockWalk = ClockWalk.TestCase
TestClockWalk.settings = settings(
    max_examples=60, stateful_step_count=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
