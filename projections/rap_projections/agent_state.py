"""The agent's own state: this installation, its openings, and the clusters it joined. Never cluster authority (spec 4).

Example::

    store.agent.view().clusters
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import Unpack

from rap_journal.errors import NoSpace
from rap_journal.markers import ProviderKind
from rap_journal.recovery_report import RecoveryReport
from rap_journal.sealing import Purpose
from rap_projections import agent
from rap_projections.agent import AgentView
from rap_projections.arguments import require
from rap_projections.checkpointing import write_checkpoint
from rap_projections.event_kinds import AGENT, Event
from rap_projections.journaled_state import Decide, JournaledState
from rap_projections.lifecycle import ClassReset
from rap_projections.node_time import Now
from rap_projections.receipts import Context, Receipt


class AgentState:
    """What `store.agent` is."""

    def __init__(self, core: JournaledState) -> None:
        self._core = core

    @property
    def recovery(self) -> RecoveryReport:
        """What the last opening of the agent's journal found."""
        return self._core.journal.report

    @property
    def is_writable(self) -> bool:
        """False where the agent's journal was tampered with, or holds records of a later release, so that it can only be read."""
        return self._core.journal.is_writable

    @property
    def is_too_new(self) -> bool:
        """Whether it holds records of a later release."""
        return self._core.journal.unknown is not None

    @property
    def format_level(self) -> int:
        """The level at which its journal is written."""
        return self._core.journal.format_level

    def name_provider(self, kind: ProviderKind) -> None:
        """Let the marker name this kind of key provider; `StoreKeys` calls it. Where the journal is not open, it keeps its name."""
        if self._core.is_open:
            self._core.journal.name_provider(kind)

    def rotate_data_key(self) -> int:
        """Make a new data key; `StoreKeys` calls it. Returns its generation. Raises what writing raises."""
        self._core.require_open()
        return self._core.journal.rotate_data_key()

    def raise_level(self, level: int) -> None:
        """Write at this level from now on. Raises what writing raises."""
        self._core.journal.raise_level(level)

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits for time to pass."""
        journal = self._core.journal
        return (
            not self._core.is_open
            or journal.is_poisoned
            or not journal.is_writable
            or journal.witnessed_lsn >= journal.durable_lsn
        )

    def view(self) -> AgentView:
        """Install id, openings, feature flags, clusters, update engine, diagnostics."""
        view: AgentView = self._core.state.view(AGENT)
        return view

    def flag(self, name: str, *, on: bool, **context: Unpack[Context]) -> Receipt:
        """Set or clear a local feature flag."""
        require("on", on, bool)
        return self.execute(lambda now: agent.decide_flag(self.view(), name, on=on), context)

    def diagnostic(self, code: str, *, text: str, cluster: str = "", **context: Unpack[Context]) -> Receipt:
        """Keep a diagnostic; the oldest give way."""
        require("text", text, str)
        require("cluster", cluster, str)
        return self.execute(lambda now: agent.decide_diagnostic(code, cluster_id=cluster, text=text), context)

    def update_engine(self, *, name: str, version: str, state: str, **context: Unpack[Context]) -> Receipt:
        """Note which update engine runs, and how it fares."""
        for argument, value in (("name", name), ("version", version), ("state", state)):
            require(argument, value, str)
        return self.execute(lambda now: agent.decide_update_engine(self.view(), name=name, version=version, state=state), context)

    def node_us(self) -> int:
        """Node time now, microseconds."""
        return self._core.node_us()

    def execute(self, decide: Decide, context: Context | None = None) -> Receipt:
        """Decide and write."""
        return self._core.execute("agent", decide, context)

    def backup_seed(self, store_id: bytes) -> bytes:
        """Seed of the key that this store signs its backups with, 32 secret bytes; as long as the agent's journal lives, the same."""
        return self._core.secret(Purpose.BACKUP, store_id)

    def tick(self) -> None:
        """Called by the housekeeper."""
        self._core.tick()

    def digest(self) -> str:
        """SHA-256, in hex, of the agent's state."""
        return self._core.digest()

    def open(self) -> None:
        """Recover. What is lost is lost, and reported: it never blocks a cluster."""
        self._core.open()
        for loss in self._core.journal.report.losses if self.is_writable else ():
            if (loss.state_class, loss.first_lsn, loss.last_lsn) not in self._core.resets_seen:
                reset = ClassReset(AGENT.number, loss.first_lsn, loss.last_lsn, loss.reason)
                self.execute(_always(reset))
        findings = self._core.journal.report.findings if self.is_writable else ()
        for finding in findings:
            self.diagnostic("agent-journal-damaged", text=finding.sentence())
        if findings:
            # From here on nothing is folded again from what was damaged, so that it is told once.
            with suppress(NoSpace):
                write_checkpoint(self._core)

    def close(self) -> None:
        """Commit what waits and close."""
        self._core.close()


def _always(event: Event) -> Decide:
    def decide(now: Now) -> Sequence[Event]:
        return (event,)

    return decide
