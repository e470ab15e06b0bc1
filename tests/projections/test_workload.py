"""What a workload may do, and that nothing else comes of it."""

import hashlib
import logging
import threading
from collections.abc import Callable
from traceback import format_exception

import pytest

from rap_journal.errors import FailClosed, MisuseError, NoSpace
from rap_projections import ClusterState
from rap_projections.event_kinds import CLUSTER_CLASSES, SERVICES, kind_of_type
from rap_projections.operations import Operation
from rap_projections.refusals import NotAllowed, NotValidated, TooOften
from rap_projections.service_events import CommandTaken, SecretAllowed, ServiceRefused, ServiceReported
from rap_projections.subscriptions import Delivered, Subscription
from rap_projections.testing.entries import make_service
from rap_projections.trust_events import RestoreMarked
from rap_projections.workload import Resolver, Workload
from tests.projections.store_kit import FOLDER, Ready, crashed_at_every_operation, files, fill, flip_bit, names, ready

VALUE = "correct-horse-battery-staple"
LISTED = "secret:db"


def staffed(*, policy: bool = True, services: tuple[str, ...] = ("svc-a", "svc-b")) -> Ready:
    """A cluster that assigns workloads, each of which may resolve one secret."""
    it = ready()
    # Signed after the bundle: only a newer signed instant starts the time in which high-risk work is allowed.
    it.fabric.issued_at_s += 60
    if policy:
        it.cluster.activate(it.fabric.policy(high_risk_operations=("resolve_secret",)))
    assign(it, *services)
    it.cluster.flush()
    return it


def assign(it: Ready, *services: str, version: str = "1.0.0") -> None:
    it.cluster.activate(
        it.fabric.services([make_service(name)._replace(version=version, resource_refs=(LISTED,)) for name in services])
    )


def workload(it: Ready, resolver: Resolver | None = lambda service, reference: VALUE) -> Workload:
    return it.cluster.workload("svc-a", resolver=resolver)


def kinds_after(cluster: ClusterState, lsn: int) -> list[int]:
    return [record.kind for record in cluster._core.history_after(lsn)]


def kinds(it: Ready, work: Callable[[], object]) -> list[int]:
    """Numbers of the kinds of event that `work` writes, whatever it raises."""
    it.cluster.flush()
    lsn = it.cluster._core.journal.durable_lsn
    work()
    it.cluster.flush()
    return kinds_after(it.cluster, lsn)


def other_classes(cluster: ClusterState) -> dict[str, bytes]:
    state = cluster._core.state
    return {spec.name: state.class_digest(spec.number) for spec in CLUSTER_CLASSES if spec is not SERVICES}


REPORTED, TAKEN, GRANTED, REFUSED = (
    kind_of_type(kind).number for kind in (ServiceReported, CommandTaken, SecretAllowed, ServiceRefused)
)


def test_a_workload_has_five_calls_and_no_other() -> None:
    assert {name for name in dir(Workload) if not name.startswith("_")} == {
        "config",
        "wait_config",
        "report",
        "secret",
        "commands",
    }


def test_the_configuration_is_the_signed_assignment() -> None:
    it = staffed()
    assert workload(it).config() == make_service("svc-a")._replace(resource_refs=(LISTED,))
    assign(it, "svc-a", version="2.0.0")
    assert workload(it).config().version == "2.0.0"


def test_a_report_is_kept_with_who_made_it_and_the_same_one_again_writes_nothing() -> None:
    it = staffed()
    mine = workload(it)
    receipt = mine.report(state="running", version="1.0.0", detail="warm")
    assert receipt.durable and receipt.lsn is not None
    (record,) = it.cluster._core.history_after(receipt.lsn - 1)
    assert (record.kind, record.actor, tuple(record.body)) == (REPORTED, "workload:svc-a", ("svc-a", "running", "1.0.0", "warm"))
    assert not mine.report(state="running", version="1.0.0", detail="warm").changed
    it.kit.power_cut()
    reported = it.cluster.services.assigned()[0].reported
    assert reported is not None and reported[:3] == ("running", "1.0.0", "warm")


@pytest.mark.parametrize(
    "report",
    [{"state": ""}, {"state": "Running"}, {"state": "running", "detail": "a b"}, {"state": "running", "version": "v" * 65}],
)
def test_a_refused_report_changes_nothing_not_even_the_command_it_names(report: dict[str, str]) -> None:
    it = staffed()
    it.cluster.services.command("svc-a", "restart")
    mine, before = workload(it), it.cluster.digest()
    (command,) = mine.commands()
    with pytest.raises(MisuseError) as caught:
        mine.report(**report, command=command)
    assert caught.value.reason == "report"
    assert (it.cluster.digest(), mine.commands()) == (before, (command,))


def test_a_report_with_an_unknown_outcome_changes_nothing() -> None:
    it = staffed()
    it.cluster.services.command("svc-a", "restart")
    mine, before = workload(it), it.cluster.digest()
    with pytest.raises(MisuseError):
        mine.report(state="running", command=mine.commands()[0], outcome="perhaps")
    assert it.cluster.digest() == before


def test_commands_wait_oldest_first_and_one_that_was_taken_goes_with_those_before_it() -> None:
    it = staffed()
    mine = workload(it)
    for command in ("start", "reload", "stop"):
        it.cluster.services.command("svc-a", command)
    assert [command.command for command in mine.commands()] == ["start", "reload", "stop"]
    mine.report(state="running", command=mine.commands()[1], outcome="failed")
    assert [command.command for command in mine.commands()] == ["stop"]
    last = it.cluster.services.assigned()[0].last_command
    assert last is not None and (last.command, last.outcome) == ("reload", "failed")
    assert it.cluster.workload("svc-b").commands() == ()


def test_a_report_and_the_command_it_answers_are_whole_or_absent_at_whatever_operation_the_power_goes() -> None:
    def prepare() -> Ready:
        it = staffed()
        it.cluster.services.command("svc-a", "restart")
        return it

    def work(it: Ready) -> object:
        mine = workload(it)
        return mine.report(state="running", command=mine.commands()[0])

    outcomes = []
    for crash in crashed_at_every_operation(prepare, work):
        crash.it.kit.open()
        service = crash.it.cluster.services.assigned()[0]
        outcomes.append((service.reported is not None, len(service.commands)))
    first = outcomes.index((True, 0))
    assert outcomes == [(False, 1)] * first + [(True, 0)] * (len(outcomes) - first)
    assert first > 0


def test_a_workload_that_is_not_assigned_any_more_is_refused_everything_and_writes_nothing() -> None:
    """Mutation: the handle is believed for as long as it is held."""
    it = staffed()
    mine = workload(it)
    config = mine.config()
    assign(it, "svc-b")
    before = it.cluster.digest()
    for call in (
        mine.config, mine.commands, lambda: mine.wait_config(after=config, timeout_s=0), lambda: mine.report(state="running"),
        lambda: mine.secret(LISTED),
    ):  # fmt: skip
        with pytest.raises(NotAllowed) as caught:
            call()
        assert caught.value.reason == "not_assigned"
    assert it.cluster.digest() == before


def test_waiting_returns_at_once_where_the_configuration_differs_already() -> None:
    it = staffed()
    mine = workload(it)
    before = mine.config()
    assign(it, "svc-a", version="2.0.0")
    assert mine.wait_config(after=before, timeout_s=60).version == "2.0.0"


def test_waiting_without_a_change_returns_what_there_is() -> None:
    mine = workload(staffed())
    assert mine.wait_config(after=mine.config(), timeout_s=0) == mine.config()


class Waiting:
    """A workload that waits for another configuration on a thread of its own, and is subscribed to changes when this is made."""

    def __init__(self, it: Ready) -> None:
        subscribed = threading.Event()

        def subscribe(callback: Callable[[Delivered], None]) -> Subscription:
            self.subscription = it.cluster.subscribe(callback)
            subscribed.set()
            return self.subscription

        self._mine = Workload(it.cluster._context, "svc-a", subscribe, None)
        self._before = self._mine.config()
        self.got: list[str | None] = []
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        assert subscribed.wait(30)

    def _run(self) -> None:
        try:
            self.got.append(self._mine.wait_config(after=self._before, timeout_s=60).version)
        except NotAllowed as error:
            self.got.append(error.reason)


def test_a_change_for_another_workload_does_not_end_the_waiting() -> None:
    it = staffed()
    waiting = Waiting(it)
    assign(it, "svc-a", "svc-b", "svc-c")
    assert waiting.subscription.wait_idle(30)
    assign(it, "svc-a", "svc-b", version="2.0.0")
    waiting.thread.join(30)
    assert waiting.got == ["2.0.0"]


def test_losing_the_assignment_ends_the_waiting() -> None:
    it = staffed()
    waiting = Waiting(it)
    assign(it, "svc-b")
    waiting.thread.join(30)
    assert waiting.got == ["not_assigned"]


def test_waiting_again_and_again_leaves_no_subscriber_behind() -> None:
    it = staffed()
    mine = workload(it)
    for _time in range(5):
        mine.wait_config(after=mine.config(), timeout_s=0)
    assert len(it.cluster._core.subscriptions) <= 1
    it.cluster.note("one more")
    assert [len(subscription._queue) for subscription in it.cluster._core.subscriptions._all] in ([], [0])


def test_a_listed_secret_is_resolved_and_the_answer_is_recorded() -> None:
    it = staffed()
    asked: list[tuple[str, str]] = []

    def resolver(service: str, reference: str) -> str:
        asked.append((service, reference))
        return VALUE

    mine = workload(it, resolver)
    lsn = it.cluster._core.journal.durable_lsn
    assert mine.secret(LISTED) == VALUE
    assert asked == [("svc-a", LISTED)]
    (record,) = [record for record in it.cluster._core.history_after(lsn) if record.kind == GRANTED]
    assert (record.actor, tuple(record.body)) == ("workload:svc-a", ("svc-a", LISTED, 1))


def test_the_value_of_a_secret_is_in_no_file_log_repr_report_or_record(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    it = staffed()
    mine = workload(it)
    assert mine.secret(LISTED) == VALUE
    it.cluster.checkpoint()
    it.cluster.flush()
    records = list(it.cluster._core.history_after(0))
    texts = [repr(mine), repr(it.cluster.view()), repr(it.kit.store.report()), repr(it.cluster.health.heartbeat()), repr(records)]
    assert not [text for text in (*texts, caplog.text) if VALUE in text]
    state = it.cluster._core.state
    assert VALUE not in repr([state.value(spec.number) for spec in CLUSTER_CLASSES])
    it.kit.store.close()
    it.kit.filesystem = it.kit.filesystem.kill()
    assert not [path for path, content in files(it.kit.filesystem).items() if VALUE.encode() in content]


def refusals() -> dict[str, tuple[Callable[[], Ready], Resolver | None, str, str]]:
    """How asking for a secret is refused: the store, the resolver, the reference, and the reason told."""

    def answer(service: str, reference: str) -> str:
        raise AssertionError("a refused secret is never asked for")

    return {
        "not listed": (staffed, answer, "secret:other", "not_listed"),
        "the policy does not allow it": (lambda: staffed(policy=False), answer, LISTED, "policy"),
        "the agent gave no resolver": (staffed, None, LISTED, "no_resolver"),
    }


@pytest.mark.parametrize("what", refusals())
def test_a_refused_secret_is_recorded_as_refused_and_nobody_is_asked_for_it(what: str) -> None:
    prepare, resolver, reference, reason = refusals()[what]
    it = prepare()
    mine, before = workload(it, resolver), other_classes(it.cluster)

    def work() -> None:
        with pytest.raises(NotAllowed) as caught:
            mine.secret(reference)
        assert (caught.value.reason, caught.value.cluster, caught.value.state_class) == (reason, "lab", "services")

    assert [kind for kind in kinds(it, work) if kind in (GRANTED, REFUSED)] == [REFUSED]
    (refused,) = it.cluster.view().services.refusals
    assert refused[:5] == ("workload", "svc-a", reason, 1, hashlib.sha256(reference.encode()).digest())
    # The first question about high-risk work pays for the time in advance (trust, 16): health may have moved, nothing else.
    after = other_classes(it.cluster)
    assert {name for name in after if after[name] != before[name]} <= {"health"}


@pytest.mark.parametrize(
    "reference", ["", VALUE, f"secret:{VALUE.upper()}", "secret:" + "x" * 65, "secret:a\nb", "secret:\ud800", "a" * 10**6]
)
def test_what_is_no_reference_is_refused_and_kept_nowhere(reference: str) -> None:
    """Mutation: whatever is asked for goes into the journal as it is."""
    it = staffed()
    mine = workload(it)
    it.cluster.allows(Operation.RESOLVE_SECRET)
    before = it.cluster.digest(), it.cluster._core.journal.durable_lsn
    with pytest.raises(MisuseError) as caught:
        mine.secret(reference)
    assert caught.value.reason == "reference"
    assert VALUE.lower() not in "".join(format_exception(caught.value)).lower().replace("mine.secret", "")
    assert (it.cluster.digest(), it.cluster._core.journal.durable_lsn) == before


def test_what_a_resolver_raises_reaches_the_workload_and_changes_nothing_else() -> None:
    it = staffed()

    def resolver(service: str, reference: str) -> str:
        raise ConnectionError("the vault is sealed")

    with pytest.raises(ConnectionError, match="the vault is sealed"):
        workload(it, resolver).secret(LISTED)
    assert [grant.reference for grant in it.cluster.services.assigned()[0].secrets] == [LISTED]


def test_past_the_deadline_no_secret_is_resolved() -> None:
    it = staffed()
    mine = workload(it)
    assert mine.secret(LISTED) == VALUE
    until_us = it.cluster.allows(Operation.RESOLVE_SECRET).until_us
    assert until_us is not None
    seconds = (until_us - it.cluster.node_time_us()) // 1_000_000
    assert seconds == 86_400
    it.kit.clock.advance(seconds=seconds - 1)
    assert mine.secret(LISTED) == VALUE
    it.kit.clock.advance(seconds=1)
    with pytest.raises(NotAllowed) as caught:
        mine.secret(LISTED)
    assert caught.value.reason == "deadline"


def test_no_call_of_a_workload_changes_any_other_class() -> None:
    it = staffed()
    it.cluster.allows(Operation.RESOLVE_SECRET)
    it.cluster.services.command("svc-a", "restart")
    mine, before = workload(it), other_classes(it.cluster)

    def work() -> None:
        mine.report(state="running", command=mine.commands()[0])
        mine.secret(LISTED)
        mine.wait_config(after=mine.config(), timeout_s=0)

    assert kinds(it, work) == [TAKEN, REPORTED, GRANTED]
    assert other_classes(it.cluster) == before


def failed_closed() -> Ready:
    """A cluster that assigns workloads and whose identity is damaged."""
    it = staffed()
    it.cluster.services.command("svc-a", "restart")
    it.cluster.identity.request(node_id="node-1", membership_id="m-1")
    it.kit.store.close()
    it.kit.filesystem = it.kit.filesystem.kill()
    (path,) = names(it.kit.filesystem, f"{FOLDER}/identity", part="document-")
    flip_bit(it.kit.filesystem, path)
    it.kit.open()
    return it


def test_where_the_cluster_fails_closed_a_workload_gets_neither_configuration_nor_commands_nor_secrets() -> None:
    it = failed_closed()
    mine, before = workload(it), (it.cluster.digest(), it.cluster._core.journal.durable_lsn)
    config = make_service("svc-a")
    calls: tuple[Callable[[], object], ...] = (
        mine.config, mine.commands, lambda: mine.wait_config(after=config, timeout_s=0), lambda: mine.secret(LISTED),
        lambda: mine.secret("secret:other"),
    )  # fmt: skip
    for call in calls:
        with pytest.raises(FailClosed) as caught:
            call()
        assert caught.value.reason == "identity_damaged"
    assert (it.cluster.digest(), it.cluster._core.journal.durable_lsn) == before


def test_where_the_cluster_fails_closed_a_workload_still_reports_and_says_what_became_of_its_command() -> None:
    it = failed_closed()
    before = other_classes(it.cluster)
    (command,) = it.cluster.services.assigned()[0].commands
    assert workload(it).report(state="running", command=command).durable
    it.kit.power_cut()
    service = it.cluster.services.assigned()[0]
    assert service.reported is not None and service.reported.state == "running"
    assert (service.commands, service.last_command and service.last_command.outcome) == ((), "done")
    assert other_classes(it.cluster) == before


def test_however_often_a_workload_asks_for_secrets_the_answers_are_written_once_per_interval_and_counted() -> None:
    it = staffed()
    mine = workload(it)
    it.cluster.allows(Operation.RESOLVE_SECRET)

    def flood() -> None:
        for number in range(200):
            assert mine.secret(LISTED) == VALUE
            with pytest.raises(NotAllowed):
                mine.secret(f"secret:guess-{number}")

    assert kinds(it, flood) == [GRANTED, REFUSED]
    assert kinds(it, flood) == []
    it.kit.clock.advance(seconds=61)
    it.kit.store.tick()
    assert kinds(it, flood) == [GRANTED, REFUSED]
    (grant,), (refused,) = it.cluster.services.assigned()[0].secrets, it.cluster.view().services.refusals
    assert (grant.times, refused.times) == (401, 401)


def test_nothing_a_workload_does_takes_the_space_reserve_and_no_secret_is_given_without_a_record() -> None:
    it = staffed()
    it.cluster.services.command("svc-a", "restart")
    mine = workload(it)
    (command,) = mine.commands()
    fill(it)
    before = it.cluster.digest(), it.cluster._core.journal.durable_lsn
    calls: tuple[Callable[[], object], ...] = (
        lambda: mine.report(state="running"), lambda: mine.report(state="running", command=command), lambda: mine.secret(LISTED),
    )  # fmt: skip
    for call in calls:
        with pytest.raises(NoSpace):
            call()
    with pytest.raises(NotAllowed) as caught:
        mine.secret("secret:other")
    assert caught.value.reason == "not_listed"
    assert (it.cluster.digest(), it.cluster._core.journal.durable_lsn) == before
    # What matters is written all the same.
    assert it.cluster.health.partition("storage", on=True).durable


def test_before_a_restore_is_validated_a_secret_is_refused_as_such() -> None:
    it = staffed()
    it.cluster._context.execute("trust", lambda now: (RestoreMarked("copy", b"", bytes(32)),))
    with pytest.raises(NotValidated) as caught:
        workload(it).secret(LISTED)
    assert (caught.value.reason, caught.value.cluster) == ("not_validated", "lab")


def test_a_workload_that_reports_without_end_is_told_to_wait_and_silences_nobody() -> None:
    it = staffed()
    it.cluster.services.command("svc-a", "restart")
    mine, states = workload(it), ("starting", "running")
    (command,) = mine.commands()

    def flood() -> None:
        for number in range(30):
            assert mine.report(state=states[number % 2]).changed
        for _time in range(100):
            with pytest.raises(TooOften) as caught:
                mine.report(state="starting", command=command)
            assert (caught.value.reason, caught.value.cluster, caught.value.action) == ("too_often", "lab", "retry")

    assert kinds(it, flood) == [REPORTED] * 30 + [REFUSED]
    assert mine.commands() == (command,)
    # The same report again, an answer to a command, the agent's word, and other workloads are not affected.
    assert not mine.report(state="running").changed
    assert mine.report(state="running", command=command).changed
    assert it.cluster.services.report("svc-a", state="failed").changed
    assert it.cluster.workload("svc-b").report(state="running").changed
    with pytest.raises(TooOften):
        mine.report(state="running")
    it.kit.clock.advance(seconds=2)
    assert mine.report(state="running").changed


def test_a_reboot_gives_a_workload_no_new_time_for_reports() -> None:
    it = staffed()
    for number in range(30):
        workload(it).report(state=("starting", "running")[number % 2])
    it.kit.power_cut()
    with pytest.raises(TooOften):
        workload(it).report(state="starting")
