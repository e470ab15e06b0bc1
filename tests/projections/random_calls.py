"""A store driven by random calls, sensible and absurd, with crashes, full disks and failing ones in between.

Rules this file keeps:

- Everything follows from the seed: what is called with what, when the power goes, what of the unsynced is left.
- After every call: only errors of the store came out of it, and every bound of the policy holds.
- After every opening: the state is the one that was durable before, and a replay from the first record gives it again.

Example::

    drive = RandomCalls(7, CALLS)
    drive.run(200)
    drive.answers          # how often each call was answered with what
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any, NamedTuple

from rap_journal.errors import OutcomeUnknown, Poisoned, StateStoreError
from rap_journal.testing import RandomSurvival, SeededRandomness
from rap_projections import ClusterState, History
from rap_projections.event_kinds import PEERS, ROUTES, TELEMETRY
from rap_projections.policy import Policy
from rap_projections.refusal_log import REFUSALS_MAX, UNSAID_MAX
from rap_projections.services import COMMANDS_MAX
from rap_projections.testing import Fabric, memory_store
from rap_projections.testing.entries import make_peer, make_service
from rap_projections.testing.memory_store import ROOT
from tests.projections.store_kit import CLUSTER

LIMITS = Policy(
    segment_bytes_max=64 * 1024, peers_max=6, routes_max=5, alternatives_max=2, hints_max=4, hint_bytes_max=64, telemetry_bytes_max=2000,
    failures_per_peer_max=3, previous_snapshots_max=2, refusal_interval_s=30, observation_age_s_max=600, route_age_s_max=300,
    pending_age_s_max=200, quarantine_bytes_max=1000, checkpoint_interval_events=150,
)  # fmt: skip

ABSURD: tuple[Any, ...] = (
    None, True, 0, -1, 7, 2**31, 2**63, 2**64, -(2**70), 0.5, -1.5, float("nan"), float("inf"), 1e300, "", " ", "x", "x" * 65, "y" * 100_000,
    "\ud800", "\0", "é", "\x1b[31m", "../../trust", "a\nb", b"", b"x", b"\xff" * 200, (), [], {}, [1], ("x",), {"x": 1}, object(),
)  # fmt: skip
"""Values that no call was made for, of every type."""

NAMES = tuple(f"node-{number}" for number in range(9))
SERVICES = ("svc-a", "svc-b", "svc-c")
MEETS_THE_DISK = ("store.join", "store.cluster")
"""Calls that let out what keeps a cluster from being opened, which may be the operating system's error as it is."""


Call = Callable[["RandomCalls"], object]
"""One call, which draws its arguments from the drive."""


class Known(NamedTuple):
    """A state that was durable: its LSN and digest."""

    lsn: int
    digest: str


class RandomCalls:
    """One store and what is done to it.

    Attributes:
        answers: how often each call was answered with what.
        openings: how often the store was opened, by why.
        wrong: what must not be, each with the step it was seen at.
    """

    def __init__(self, seed: int, calls: Mapping[str, "Call"]) -> None:
        self.random = Random(f"random calls {seed}")
        self._calls = calls
        self.answers: Counter[tuple[str, str]] = Counter()
        self.openings: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.step = 0
        self.fabric = Fabric(CLUSTER, seed=seed)
        self.fabric.issued_at_s += 60
        self.foreign = Fabric("other")
        self.kit = memory_store(seed=seed, policy=LIMITS)
        self.kit.join(self.fabric)
        permits = self.fabric.policy(high_risk_operations=("activate_update", "resolve_secret"))
        for document in (permits, self._services(SERVICES)):
            self.cluster.activate(document)
        self._documents: list[bytes] = []
        self.bundles: list[bytes] = []
        self._request: bytes | None = None
        self._receipts: list[Any] = [None, 1]
        self._bases: list[tuple[bytes, Any]] = []

    @property
    def cluster(self) -> ClusterState:
        """The cluster, as the store has it open now."""
        return self.kit.store.cluster(CLUSTER)

    def run(self, steps: int) -> None:
        """Do so many things, one after the other."""
        for _step in range(steps):
            self.step += 1
            if self.random.random() < 0.04:
                self._disturb()
            else:
                self._call()
            self._check_bounds()
        self.kit.filesystem.capacity_bytes = None
        self.kit.filesystem.heal()
        self._reopen("kill")

    # What is called.

    def _call(self) -> None:
        name = self.random.choice(sorted(self._calls))
        was_poisoned = self.cluster._core.journal.is_poisoned
        try:
            answer = self._calls[name](self)
        except StateStoreError as error:
            self.answers[name, type(error).__name__] += 1
            if isinstance(error, (OutcomeUnknown, Poisoned)):
                self._reopen("reopen")
        except Exception as error:  # noqa: BLE001 - the very thing that is looked for
            self.answers[name, type(error).__name__] += 1
            if isinstance(error, OSError) and name in MEETS_THE_DISK:
                return
            self._say(f"{name} raised {type(error).__name__}: {str(error)[:200]}")
            if self.cluster._core.journal.is_poisoned and not was_poisoned:
                self._say(f"{name} poisoned the journal")
                self._reopen("reopen")
        else:
            self.answers[name, "ok"] += 1
            if name == "identity.request" and isinstance(answer, bytes):
                self._request = answer
            if hasattr(answer, "lsn"):
                self._receipts = [*self._receipts[-5:], answer]

    def text(self, *good: str) -> Any:
        """One of `good`, or now and then something else."""
        return self.random.choice(good) if self.random.random() < 0.85 else self.absurd()

    def number(self, low: float, high: float) -> Any:
        """A number in the range, or now and then something else."""
        return self.random.uniform(low, high) if self.random.random() < 0.85 else self.absurd()

    def whole(self, low: int, high: int) -> Any:
        """A whole number in the range, or now and then something else."""
        return self.random.randint(low, high) if self.random.random() < 0.85 else self.absurd()

    def flag(self) -> Any:
        """Yes or no, or now and then something else."""
        return self.random.random() < 0.5 if self.random.random() < 0.95 else self.absurd()

    def absurd(self) -> Any:
        """A value that nothing was made for."""
        return self.random.choice(ABSURD)

    def context(self) -> dict[str, Any]:
        """What a writing call takes by keyword, or nothing."""
        given: dict[str, Any] = {}
        if self.random.random() < 0.1:
            given["cause"] = self.random.choice([*self._receipts, self.absurd()])
        if self.random.random() < 0.05:
            given["actor"] = self.text("tester")
        if self.random.random() < 0.05:
            given["trace_id"] = self.text("trace-1")
        return given

    def document(self) -> Any:
        """A signed document: new, old, damaged, foreign, or no document at all."""
        dice = self.random.random()
        if dice < 0.1 and self._documents:
            return self.random.choice(self._documents)
        if dice < 0.15:
            return self.foreign.peers(["node-1"])
        document = self._issue()
        self._documents = [*self._documents[-20:], document]
        if dice < 0.25:
            place = self.random.randrange(len(document))
            return document[:place] + bytes([document[place] ^ 1 << self.random.randrange(8)]) + document[place + 1 :]
        return self.absurd() if dice < 0.3 else document

    def certificate(self) -> Any:
        """The certificate that answers the request, or something else."""
        return self.fabric.certificate(self._request) if self._request and self.random.random() < 0.7 else self.absurd()

    def newer_bundles(self) -> Any:
        """The bundles since the first, now and then with one more, or something else."""
        if self.random.random() < 0.2:
            return self.absurd()
        if len(self.bundles) < 6 and self.random.random() < 0.5:
            scope = self.random.choice(["routes", "services"])
            self.bundles.append(self.fabric.raise_generation(scope) if self.random.random() < 0.3 else self.fabric.next_bundle())
        return list(self.bundles)

    def _issue(self) -> bytes:
        dice = self.random.random()
        if self._bases and dice < 0.15:
            base, entries = self.random.choice(self._bases)
            return self.fabric.increment(base, entries)
        return self._issue_snapshot()

    def _issue_snapshot(self) -> bytes:
        names = sorted(self.random.sample(NAMES, self.random.randrange(1, 8)))
        self.fabric.issued_at_s += self.random.randrange(50)
        kind = self.random.choice(["peers", "routes", "services", "updates", "policy", "peers", "routes", "services"])
        if kind == "peers":
            document = self.fabric.peers(names)
            self._bases = [*self._bases[-3:], (document, tuple(make_peer(name) for name in sorted(self.random.sample(NAMES, 3))))]
            return document
        if kind == "routes":
            hops = [(name, self.random.sample(names, self.random.randrange(min(3, len(names))))) for name in names]
            return self.fabric.routes([(name, [hop for hop in relays if hop != name]) for name, relays in hops])
        if kind == "services":
            return self._services(self.random.sample(SERVICES, self.random.randrange(4)))
        if kind == "updates":
            return self.fabric.updates(["agent"])
        return self.fabric.policy(
            fallback_allowed=self.random.random() < 0.5, high_risk_operations=("activate_update", "resolve_secret")
        )

    def _services(self, names: Sequence[str]) -> bytes:
        return self.fabric.services([make_service(name)._replace(resource_refs=("secret:db",)) for name in sorted(names)])

    # What happens to the machine.

    def _disturb(self) -> None:
        what = self.random.choice(["kill", "crash", "torn", "reopen", "close", "time", "wall", "full", "space", "fail", "tick"])
        filesystem, clock = self.kit.filesystem, self.kit.clock
        if what == "time":
            clock.advance(seconds=self.random.choice([0.01, 0.2, 5, 100, 1000, 90_000]))
        elif what == "wall":
            clock.step_wall(seconds=self.random.choice([-1e6, -5, 5, 1e6]))
        elif what == "full":
            filesystem.capacity_bytes = filesystem.used_bytes + self.random.choice([0, 4096, 40_960])
        elif what == "space":
            filesystem.capacity_bytes = None
        elif what == "fail":
            filesystem.fail(self.random.choice(["write", "sync"]), self.random.choice(["*/0*-0*", "*/WITNESS", "*"]), 5)
        elif what == "tick":
            self._guarded("tick", self.kit.store.tick)
        else:
            self._reopen(what)
        self.openings[what] += 1

    def _guarded(self, name: str, call: Callable[[], object]) -> None:
        try:
            call()
        except StateStoreError as error:
            self.answers[name, type(error).__name__] += 1
        except Exception as error:  # noqa: BLE001 - the very thing that is looked for
            self._say(f"{name} raised {type(error).__name__}: {str(error)[:200]}")

    def _reopen(self, how: str) -> None:
        """Open the store again; what was durable and visible must be there."""
        filesystem = self.kit.filesystem
        filesystem.heal()
        if how == "reopen":
            try:
                self.cluster.reopen()
            except (StateStoreError, OSError) as error:
                self.answers["reopen", type(error).__name__] += 1
                how = "kill"
        known: Known | None = None
        if self._is_flushed():
            view = self.cluster.view(digest=True)
            known = Known(view.lsn, str(view.digest))
        if how == "reopen":
            return
        filesystem.capacity_bytes = None
        if how == "close":
            self._guarded("close", self.kit.store.close)
            self.kit.filesystem = filesystem.kill()
            self.kit.open()
        elif how == "kill":
            self.kit.kill()
        else:
            self.kit.power_cut(RandomSurvival(SeededRandomness(self.random.randrange(2**32))) if how == "torn" else None)
        self._check_opened(how, known)

    def _is_flushed(self) -> bool:
        try:
            self.cluster.flush()
        except StateStoreError:
            return False
        return True

    def _check_opened(self, how: str, known: Known | None) -> None:
        if self.kit.store.unopened:
            self._say(f"after {how}: {self.kit.store.unopened!r:.300}")
            return
        cluster = self.cluster
        if not cluster.recovery.is_clean:
            self._say(f"after {how}: recovery found {cluster.recovery.findings!r:.300}")
        if cluster.status()["fail_closed"]:
            self._say(f"after {how}: fails closed, {cluster.status()['fail_closed']}")
        cluster._core.journal.bring_witness_up()
        with History.open(ROOT, keys=self.kit.keys, filesystem=self.kit.filesystem) as history:
            replayed = history.cluster(CLUSTER)
            lsn = cluster.view().lsn
            if known is not None and replayed.state_at(known.lsn).digest() != known.digest:
                self._say(f"after {how}: another state than before")
            if replayed.state_at(lsn, from_floor=True).digest() != cluster.digest():
                self._say(f"after {how}: a replay gives another state")

    # What must hold.

    def _say(self, what: str) -> None:
        self.wrong.append(f"step {self.step}: {what}")

    def _check_bounds(self) -> None:
        if self.kit.store.unopened:
            return
        cluster = self.cluster
        core, view, policy = cluster._core, cluster.view(), cluster.policy
        telemetry = core.state[TELEMETRY]
        bounds = {
            "peers": (len(core.state[PEERS].directory.ids), policy.peers_max),
            "routes": (len(core.state[ROUTES].selected), policy.routes_max),
            "hints": (len(telemetry.hints), policy.hints_max),
            "telemetry": (telemetry.waiting_bytes, policy.telemetry_bytes_max),
            "snapshot refusals": (len(view.snapshots.refusals), REFUSALS_MAX),
            "service refusals": (len(view.services.refusals), REFUSALS_MAX),
            "unsaid": (len(cluster._context._unsaid._times), UNSAID_MAX),
            "commands": (max((len(it.commands) for it in view.services.services.values()), default=0), COMMANDS_MAX),
            "previous": (
                max((len(it.previous) for it in view.snapshots.scopes.values()), default=0),
                policy.previous_snapshots_max,
            ),
            "degraded": (len(view.health.degraded), 64),
            "flags": (len(view.health.partition_flags), 64),
        }
        for name, (count, bound) in bounds.items():
            if count > bound:
                self._say(f"{name}: {count} of at most {bound}")
