"""`rap-state fabric`: the issuing side of a cluster in small, for trials: bundles and snapshots, signed with keys that a seed makes.

Under `-o json` an object of format `rap-state-fabric`: `is_trial` (always true), `document_type`, `scope`, `version` ([generation,
version]; of a bundle and a head [0, version]), `content_id` (of a snapshot, else null), `sha256` (of the bytes; for the first bundle
it is what `join` expects), `byte_count`, `file` and `warning`.

Rules this file keeps:

- Whoever knows the seed has the keys: nothing issued here is for a cluster that matters, and the output says so.
- It is issued now, by this machine's clock; with --issued-at the same call gives the same bytes. Each
  call stands alone: the next version of a document is asked for with --number.
- The document goes to -O FILE, or to standard output where that is no terminal; what is told of it then goes to standard error.

Example::

    rap-state fabric bundle -c lab -O bundle.cbor
    rap-state fabric routes node-1 node-2=node-1 -c lab --number 2 -O routes.cbor
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, get_type_hints

from rap_journal.errors import MisuseError
from rap_journal.values import ClusterId
from rap_projections.document_schema import read_snapshot
from rap_projections.documents import CAUTIOUS_POLICY, CLUSTER_WIDE, DocumentType, HeadEntry, Scope, SignedPolicy
from rap_projections.refusals import RefusedError
from rap_projections.signed_document import open_document
from rap_projections.testing.entries import make_reference
from rap_projections.testing.fabric import Fabric
from rap_tools.json_output import JsonWriter, head
from rap_tools.machine import open_output
from rap_tools.session import Session
from rap_tools.text_output import TextWriter
from rap_tools.times import parse_rfc3339

WARNING = "for trials only: anyone who knows the seed can sign with these keys"


class Issued(NamedTuple):
    """A document, and what it is."""

    data: bytes
    document_type: DocumentType
    scope: str
    version: tuple[int, int]
    content_id: bytes | None


def run(session: Session) -> int:
    """Issue one document."""
    options = session.options
    if session.cluster is None:
        raise MisuseError("a document is for a cluster; nothing was issued. Name it with -c CLUSTER.", reason="no_cluster")
    fabric = Fabric(ClusterId(session.cluster), options.seed, _issued_at_s(session))
    try:
        issued = _KINDS[options.kind](fabric, options.entries, options.number)
    except RefusedError as refusal:
        raise MisuseError(
            f"these entries make no {options.kind} document ({refusal.what}); nothing was issued.", reason="entries"
        ) from refusal
    file = getattr(options, "out_file", None)
    if file is None and session.is_terminal:
        raise MisuseError("a document is not text; nothing was issued. Write it to a file with -O FILE.", reason="terminal")
    if file is not None:
        with open_output(file) as out:
            out.write(issued.data)
    else:
        session.stream.flush()
        session.stream.buffer.write(issued.data)
    _tell(session, issued, file)
    return 0


def _issued_at_s(session: Session) -> int:
    """When the document is issued, in seconds. People are warned of a time that no node has reached yet."""
    text, now_s = session.options.issued_at, session.clock.now().wall_us // 1_000_000
    if text == "now":
        return now_s
    issued_at_s = parse_rfc3339(text) // 1_000_000
    if issued_at_s > now_s:
        session.remark(f"rap-state: {text} lies in the future: a node refuses the document until its clock gets there.")
    return issued_at_s


def _bundle(fabric: Fabric, entries: list[str], number: int) -> Issued:
    if entries:
        raise MisuseError("a bundle takes no entries; nothing was issued.", reason="entries")
    for _step in range(number - 1):
        fabric.next_bundle()
    return Issued(fabric.bundles[-1], DocumentType.BUNDLE, CLUSTER_WIDE, (0, number), None)


def _peers(fabric: Fabric, entries: list[str], number: int) -> Issued:
    return _snapshot(fabric, Scope.PEERS, fabric.peers(entries, version=number))


def _services(fabric: Fabric, entries: list[str], number: int) -> Issued:
    return _snapshot(fabric, Scope.SERVICES, fabric.services(entries, version=number))


def _routes(fabric: Fabric, entries: list[str], number: int) -> Issued:
    routes = [
        (destination, relays.split(",") if relays else [])
        for destination, _, relays in (entry.partition("=") for entry in entries)
    ]
    return _snapshot(fabric, Scope.ROUTES, fabric.routes(routes, version=number))


def _updates(fabric: Fabric, entries: list[str], number: int) -> Issued:
    references = [
        make_reference(subject, _number(sequence or "1")) for subject, _, sequence in (entry.partition("=") for entry in entries)
    ]
    return _snapshot(fabric, Scope.UPDATES, fabric.updates(references, version=number))


def _policy(fabric: Fabric, entries: list[str], number: int) -> Issued:
    fields = dict(_policy_field(entry) for entry in entries)
    return _snapshot(fabric, Scope.POLICY, fabric.policy(snapshot={"version": number}, **fields))


def _head(fabric: Fabric, entries: list[str], number: int) -> Issued:
    listed = tuple(sorted((_head_entry(Path(file).read_bytes()) for file in entries), key=lambda entry: entry.scope.value))
    return Issued(fabric.head(entries=listed, version=number), DocumentType.HEAD, CLUSTER_WIDE, (0, number), None)


_KINDS: dict[str, Callable[[Fabric, list[str], int], Issued]] = {
    "bundle": _bundle,
    "peers": _peers,
    "routes": _routes,
    "services": _services,
    "updates": _updates,
    "policy": _policy,
    "head": _head,
}


def _snapshot(fabric: Fabric, scope: Scope, data: bytes) -> Issued:
    entry = _head_entry(data)
    return Issued(data, DocumentType.SNAPSHOT, scope.value, (entry.version.generation, entry.version.version), entry.content_id)


def _head_entry(data: bytes) -> HeadEntry:
    document = open_document(data, DocumentType.SNAPSHOT)
    payload, scope = document.envelope.payload, Scope(document.claims.scope)
    return HeadEntry(scope, read_snapshot(payload, scope).version, document.content_id(), len(payload))


def _policy_field(entry: str) -> tuple[str, Any]:
    name, _, text = entry.partition("=")
    kind = get_type_hints(SignedPolicy).get(name)
    if kind is None:
        raise MisuseError(
            f"{name!r:.40} is no field of a policy; nothing was issued. The fields are {', '.join(SignedPolicy._fields)}.",
            reason="entries",
        )
    if kind is bool:
        if text not in ("yes", "no"):
            raise MisuseError(f"{name} is yes or no; nothing was issued.", reason="entries")
        return name, text == "yes"
    return name, _number(text) if kind is int else type(getattr(CAUTIOUS_POLICY, name))(filter(None, text.split(",")))


def _number(text: str) -> int:
    if not text.isdecimal():
        raise MisuseError(f"{text!r:.40} is not a number; nothing was issued.", reason="entries")
    return int(text)


def _tell(session: Session, issued: Issued, file: str | None) -> None:
    stream = session.stream if file is not None else session.errors
    sha256 = hashlib.sha256(issued.data).hexdigest()
    if not session.is_text:
        JsonWriter(stream, lines=session.form == "ndjson").document(
            head(
                "rap-state-fabric", session.cluster, None, is_trial=True, warning=WARNING, document_type=issued.document_type.value,
                scope=issued.scope, version=list(issued.version), content_id=issued.content_id.hex() if issued.content_id else None,
                sha256=sha256, byte_count=len(issued.data), file=file,
            )
        )  # fmt: skip
        return
    text = TextWriter(stream, color=False) if file is None else session.text()
    # Bundles and heads have one number, and status says "bundle 1": what is told here can be compared with it.
    is_snapshot = issued.document_type is DocumentType.SNAPSHOT
    name = f"{issued.scope} {issued.document_type.value}" if is_snapshot else issued.document_type.value
    version = ".".join(map(str, issued.version if is_snapshot else issued.version[1:]))
    text.line(
        (f"{name} {version} of {session.cluster}", "bold"),
        f", {len(issued.data)} bytes, {WARNING}",
    )
    text.pairs(
        [
            ("file", file or "standard output"),
            ("sha256", sha256),
            *([("content id", issued.content_id.hex())] if issued.content_id else []),
        ]
    )
    if issued.document_type is DocumentType.BUNDLE and issued.version == (0, 1):
        text.line(f'join with it: store.join("{session.cluster}", bundle=..., expect="{sha256}")')
