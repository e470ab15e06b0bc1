"""`rap-state keys`: who may open a store, what protects what, and what lacks a way in. Never a key.

Under `-o json` an object of format `rap-state-keys`: `store_id`, `key_provider` (kind that the store's marker names), `is_live`,
`given` (kind of the key that the command has, or null), `anchor` (as `rap_tools.anchor_report` describes it; `(sealed)` without
the key, null where the agent's journal cannot be read), `lacking` (per journal the kinds of provider of which another journal has
more slots, one for each that is missing) and `journals`. Each of these has `journal` (a cluster, or `agent`), `key_provider`
(kind that its marker names), `error` (the complaint, or null), `exit_code`, and `generations` of its data key, oldest first:
`generation`, `is_current`, `written_at` (of its file, as the file system has it), `copies` (per folder `whole`, `damaged` or
`differs`), `is_authentic` (of the list of slots: null where no key could tell) and `slots`, each with `id`, `provider` and
`opens`: whether the command's key opens it, or null.

Rules this file keeps:

- No key is needed, and none is shown: neither one that opens nor one that is wrapped. Nothing is changed and no lock is taken.
- Exit codes: 0 where all is in order, 1 where a journal lacks a slot that another has, 8 for key files of which a copy is damaged, or
  whose list of slots was changed, 9 for those of a later release, 11 where the key that was given opens nothing.
- With -c it is about that cluster alone; what it lacks is told by all the others.

Example::

    rap-state keys -D /var/lib/rap-node-agent -o json
"""

from pathlib import Path
from typing import Any

from rap_journal.errors import DamageError, StateStoreError
from rap_journal.layout import CLUSTERS, keys_name
from rap_projections.agent_reading import read_agent
from rap_projections.key_overview import DAMAGED, GenerationSeen, JournalKeys, lacking, slots_seen
from rap_tools.anchor_report import anchor_object
from rap_tools.complaint import Scene, complain
from rap_tools.exit_codes import ExitCode, worst
from rap_tools.json_output import head
from rap_tools.key_lines import print_journal, print_keys
from rap_tools.opening import AGENT_NAME, SEALED, StoreReading
from rap_tools.session import Session
from rap_tools.times import rfc3339


def run(session: Session) -> int:
    """Show the keys."""
    with session.open_store() as store:
        chosen = store.choose(session.cluster) if session.cluster else None
        everything = [_read(store, name) for name in (None, *store.clusters())]
        shown = [keys for keys in everything if chosen in (None, keys.journal)]
        journals = [_journal(store, keys) for keys in shown]
        missing = {name: kinds for name, kinds in lacking(slots_seen(everything)).items() if chosen in (None, name)}
        anchor, anchor_code = _anchor(store)
        fields = head(
            "rap-state-keys", chosen, None, store_id=store.marker.store_id.hex(), key_provider=_kind(store.marker.provider),
            is_live=store.is_live, given=_kind(store.keys.kind) if store.keys is not None else None, anchor=anchor,
            lacking={name: [_kind(kind) for kind in kinds] for name, kinds in missing.items()},
        )  # fmt: skip
    codes = [journal["exit_code"] for journal in journals]
    code = worst([*codes, anchor_code, ExitCode.NEGATIVE if missing else ExitCode.DONE])
    if session.is_text:
        text = session.text()
        print_keys(text, session.root(), fields)
        for journal in journals:
            print_journal(text, journal)
        return code
    writer = session.json()
    writer.begin(fields, type="journal", items="journals")
    for journal in journals:
        writer.item(journal)
    writer.end(code)
    return code


def _read(store: StoreReading, cluster: str | None) -> JournalKeys:
    """The keys of one journal; a folder that cannot be opened is a problem of that journal alone."""
    try:
        seen = store.journal_keys(cluster)
        # A writer puts one copy after the other into place: what looked damaged in between is whole at the second look.
        return store.journal_keys(cluster) if seen.damaged_copies and store.is_live else seen
    except (StateStoreError, OSError) as error:
        return JournalKeys(cluster or AGENT_NAME, None, (), error)


def _journal(store: StoreReading, keys: JournalKeys) -> dict[str, Any]:
    problem = keys.problem or _damage(keys)
    complaint = None
    if problem is not None:
        complaint = complain(problem, Scene(store.path, keys.journal, "keys", ("keys",), store.key_file))
    code = complaint.exit_code if complaint else ExitCode.DONE
    return {
        "journal": keys.journal,
        "key_provider": _kind(keys.provider),
        "generations": [_generation(store, keys.journal, generation) for generation in keys.generations],
        "error": complaint.as_object(keys.journal) if complaint else None,
        # What is damaged here opens identity and trust: it is no cache.
        "exit_code": int(ExitCode.FAIL_CLOSED if code is ExitCode.CACHE_DAMAGE else code),
    }


def _damage(keys: JournalKeys) -> DamageError | None:
    damaged = keys.damaged_copies
    if not damaged:
        return None
    is_lost = any(set(generation.copies.values()) == {DAMAGED} for generation in keys.generations)
    what = "what it sealed cannot be read" if is_lost else "the next opening writes it again from the other one"
    return DamageError(
        f"a copy of the key file of {keys.journal} is damaged or missing ({', '.join(damaged)}): {what}.",
        cluster=keys.journal,
        reason="key_file_copy",
    )


def _generation(store: StoreReading, journal: str, generation: GenerationSeen) -> dict[str, Any]:
    return {
        "generation": generation.number,
        "is_current": generation.is_current,
        "written_at": _written_at(store, journal, generation),
        "copies": dict(generation.copies),
        "is_authentic": generation.is_authentic,
        "slots": [{"id": slot.id, "provider": _kind(slot.provider), "opens": slot.opens} for slot in generation.slots],
    }


def _written_at(store: StoreReading, journal: str, generation: GenerationSeen) -> str | None:
    """When the newest copy of the key file was written, as the file system has it: the file itself names no time."""
    home = Path(store.path) / AGENT_NAME if journal == AGENT_NAME else Path(store.path) / CLUSTERS / journal
    times = []
    for folder in generation.copies:
        try:
            times.append((home / folder / keys_name(generation.number)).lstat().st_mtime_ns // 1000)
        except OSError:
            continue
    return rfc3339(max(times)) if times else None


def _anchor(store: StoreReading) -> tuple[dict[str, Any] | str | None, ExitCode]:
    """What is known of the anchor, and what comes of not being able to read it."""
    if not store.has_keys:
        return SEALED, ExitCode.DONE
    try:
        return anchor_object(read_agent(store.agent_reader()).anchor), ExitCode.DONE
    except (StateStoreError, OSError) as error:
        return None, complain(error, Scene(store.path, None, "keys", ("keys",), store.key_file)).exit_code


def _kind(kind: Any) -> str | None:
    return None if kind is None else str(kind.name.lower())
