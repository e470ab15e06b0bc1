"""Opening the agent's own journal, which may cost diagnostics and never a start.

Rules this file keeps:

- One that is damaged, or another store's, is put aside and begun anew, and the new one says so. A key that is missing or a disk that
  fails is no damage: it is raised, and nothing is put aside.
- One that is begun anew has one way in, the one that was used. So where the given key opens a cluster of this store and not the
  agent's journal, that one is begun anew as well: a recovery passphrase is for the day on which the usual key is gone.
- On a full disk the agent is silent: an opening that cannot be noted is an opening all the same.

Example::

    state = AgentState(agent_core(folders, machine))
    open_agent(state, folders)
"""

from contextlib import suppress

from rap_journal.deterministic_cbor import MalformedCbor
from rap_journal.errors import DamageError, FormatTooNew, KeyTampered, KeyUnavailable, NoSpace, StateStoreError
from rap_journal.layout import AGENT as AGENT_FOLDER
from rap_journal.layout import AGENT_DAMAGED
from rap_journal.sealing import SealBroken
from rap_projections import agent
from rap_projections.agent_state import AgentState
from rap_projections.event_kinds import Event
from rap_projections.format_commit import keep_in_step
from rap_projections.journaled_state import JournaledState, Machine
from rap_projections.node_time import Now
from rap_projections.store_folders import StoreFolders, agent_setup
from rap_projections.version import __version__

_AGENT_LOST = (DamageError, KeyTampered, MalformedCbor, SealBroken, FileNotFoundError)
"""What tells that the agent's journal is damaged, as opposed to a key that is missing or a disk that fails."""

_NO_WAY_IN = ("no_slot", "wrong_key")
"""Reasons of `KeyUnavailable` where the key is there, and is not one of this journal's."""


def agent_core(folders: StoreFolders, machine: Machine) -> JournaledState:
    """The agent's journal and state, not opened yet."""
    setup = agent_setup(folders.keys, folders.randomness, folders.release)
    return JournaledState(lambda: folders.root.directory(AGENT_FOLDER), setup, machine, folders.release.agent, AGENT_FOLDER)


def open_agent(state: AgentState, folders: StoreFolders) -> None:
    """Open the agent's journal, or begin it anew where it is damaged, and note the opening.

    Raises `KeyUnavailable`, `KeyLost`, `FormatTooNew`, `UnsafeFile`, `OSError`.
    """
    lost = _open_or_say_what_is_lost(state, folders)
    if lost is not None:
        folders.begin_agent_anew()
        state.open()
    install_id, incarnation = folders.store_id.hex(), folders.randomness(16)

    def decide(now: Now) -> tuple[Event, ...]:
        view = state.view()
        note = _journal_lost(lost) if lost is not None else ()
        opened = agent.decide_opened(
            view, agent_version=__version__, build=__version__, incarnation=incarnation, is_begun_anew=lost is not None
        )
        return (*agent.decide_installed(view, install_id), *opened, *note)

    with suppress(NoSpace, FormatTooNew):
        state.execute(decide)
        keep_in_step(folders, state)


def _open_or_say_what_is_lost(state: AgentState, folders: StoreFolders) -> StateStoreError | OSError | None:
    """Open the journal; where it is damaged or not to be opened, what says so, and then it is not open."""
    try:
        folders.check_own_agent()
        state.open()
    except _AGENT_LOST as error:
        return error
    except KeyUnavailable as error:
        if error.reason in _NO_WAY_IN and folders.opens_a_cluster():
            return error
        raise
    if state.is_writable or state.is_too_new:
        return None
    state.close()
    return DamageError("the agent's journal was tampered with", reason="tampered")


def _journal_lost(error: StateStoreError | OSError) -> tuple[Event, ...]:
    reason = error.reason if isinstance(error, StateStoreError) else "missing"
    return agent.decide_diagnostic(
        "agent-journal-lost",
        text=f"the agent's journal could not be opened ({reason}) and was begun anew; the old one is in {AGENT_DAMAGED}. "
        "It has the way in that was used, and no other: see store.keys.lacking().",
    )
