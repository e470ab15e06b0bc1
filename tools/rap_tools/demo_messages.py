"""What the demonstration's writer and the process that watches and kills it tell each other: one line of JSON per message.

Rules this file keeps:

- The order goes in as the writer's only argument; the writer's messages come out on its standard output.
- A last line without its end was cut by the kill, and is no message.
- `Acknowledged` is sent after `flush` returned, and never before: what it names must survive everything.

Example::

    message = from_line(to_line(Begun("eu-west-1", 12, 95)))
"""

import json
from typing import Any, NamedTuple


class Order(NamedTuple):
    """What a writer is to do.

    Attributes:
        root: folder of the store.
        key_file: its key.
        trace: folder of the trace; None for the model network.
        slices: how many slices are used.
        seed: what is made up is drawn from it.
        began_boot_us: boot clock of the machine when the demo began, microseconds.
        issued_at_s: the issuers' time, seconds since 1970.
        resume: per cluster the first slice to take; a cluster that is not named begins at slice 0.
    """

    root: str
    key_file: str
    trace: str | None
    slices: int
    seed: int
    began_boot_us: int
    issued_at_s: int
    resume: dict[str, int]


class Opened(NamedTuple):
    """The store is open, and one of its clusters is as this says.

    Attributes:
        cluster: its id.
        lsn: last LSN of the state in memory, what the opening wrote itself included.
        digest: digest of that state.
        store_open_ms: how long opening the store took, all clusters and the agent's journal together.
        last_lsn: last LSN that was found on disk.
        checkpoint_lsn: LSN of the checkpoint that recovery began with.
        replayed_records, replayed_frames: what was replayed behind it.
        verdict: what recovery made of the end of the journal.
        cut_bytes: bytes that recovery found not to be part of it.
        rewrote_last_frame: whether the last frame was written again, since only the page cache vouched for it.
        findings: what else recovery has to say, in sentences.
    """

    cluster: str
    lsn: int
    digest: str
    store_open_ms: float
    last_lsn: int
    checkpoint_lsn: int
    replayed_records: int
    replayed_frames: int
    verdict: str
    cut_bytes: int
    rewrote_last_frame: bool
    findings: list[str]


class Begun(NamedTuple):
    """A slice of one cluster is about to be written: so many observations."""

    cluster: str
    slice_index: int
    observations: int


class Acknowledged(NamedTuple):
    """A slice of one cluster is durable.

    Attributes:
        cluster, slice_index: which.
        lsn: last durable LSN.
        digest: digest of the state at that LSN.
        observations, events, seconds: taken in by this writer up to now, and the time that the store's calls for them took.
        frames: frames this writer wrote up to now, one sync each.
    """

    cluster: str
    slice_index: int
    lsn: int
    digest: str
    observations: int
    events: int
    seconds: float
    frames: int


class Checkpointed(NamedTuple):
    """A checkpoint set was written: its LSN and bytes, and how long it took."""

    cluster: str
    lsn: int
    byte_count: int
    took_ms: float


class Failed(NamedTuple):
    """The writer gives up: what happened, and the exit code of it."""

    text: str
    exit_code: int


class Closed(NamedTuple):
    """The store was closed after the last slice."""


Message = Opened | Begun | Acknowledged | Checkpointed | Failed | Closed

_KINDS: dict[str, Any] = {kind.__name__: kind for kind in (Opened, Begun, Acknowledged, Checkpointed, Failed, Closed)}


def to_line(message: Message) -> str:
    """The message as one line."""
    return json.dumps({"message": type(message).__name__, **message._asdict()}) + "\n"


def from_line(line: str) -> Message | None:
    """The message of a line; None for a line that was cut short."""
    if not line.endswith("\n"):
        return None
    fields = json.loads(line)
    message: Message = _KINDS[fields.pop("message")](**fields)
    return message


def order_text(order: Order) -> str:
    """The order as one argument."""
    return json.dumps(order._asdict())


def read_order(text: str) -> Order:
    """The inverse of `order_text`."""
    return Order(**json.loads(text))
