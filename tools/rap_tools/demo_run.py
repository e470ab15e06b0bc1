"""Running the demonstration's writers: one that is killed at a random moment, and one that comes back and goes on.

Rules this file keeps:

- The signal is SIGKILL, to a process of its own: no handler runs, nothing is flushed, nothing is said.
- When is drawn from the seed: a slice behind the checkpoint, one of its clusters, and how far into writing it. So the kill falls
  between "begun" and "durable", or a little later if that work was quicker than its likes before.
- What the writer told before it died is read to the end of the pipe; only then is it known what it had acknowledged.

Example::

    first = run_writer(order, kill=plan_kill(network), listen=print)
    assert first.returncode == -SIGKILL
"""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from random import Random
from signal import SIGKILL
from types import TracebackType
from typing import NamedTuple, Self

from rap_tools.demo_messages import Acknowledged, Begun, Closed, Failed, Message, Opened, Order, from_line, order_text
from rap_tools.demo_network import DemoNetwork
from rap_tools.machine import environment

Listener = Callable[[Message], None]

_RECENT = 12
"""The pace is that of so many slices."""

_STEP_S_UNKNOWN = 0.02


class Watcher:
    """Is told what goes on. This one does not care; `demo_tables.Meter` draws a bar."""

    def say(self, what: str) -> None:
        """Name what is being done."""

    def listen(self, message: Message) -> None:
        """Take note of what a writer said."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        return None


class KillPlan(NamedTuple):
    """When to kill: so far (0 to 1) into writing one slice of one cluster."""

    cluster: str
    slice_index: int
    part: float


class Transcript(NamedTuple):
    """What became of one writer: everything it said, and how it ended (as `subprocess` counts: -9 is SIGKILL)."""

    messages: tuple[Message, ...]
    returncode: int

    def opened(self, cluster: str) -> Opened | None:
        """How it found a cluster."""
        return next((said for said in self.messages if isinstance(said, Opened) and said.cluster == cluster), None)

    def acknowledged(self, cluster: str) -> tuple[Acknowledged, ...]:
        """What it acknowledged of a cluster, in order."""
        return tuple(said for said in self.messages if isinstance(said, Acknowledged) and said.cluster == cluster)

    @property
    def under_way(self) -> Begun | None:
        """What it had begun and not acknowledged."""
        steps = [said for said in self.messages if isinstance(said, Begun | Acknowledged)]
        return steps[-1] if steps and isinstance(steps[-1], Begun) else None

    @property
    def is_complete(self) -> bool:
        """Whether it came to the end of its order and closed the store."""
        return self.returncode == 0 and any(isinstance(said, Closed) for said in self.messages)


class WriterFailed(Exception):
    """Raised when a writer gave up by itself, or died of something that this program did not do.

    Attributes:
        exit_code: what the demonstration exits with.
    """

    def __init__(self, text: str, exit_code: int) -> None:
        super().__init__(text)
        self.exit_code = exit_code

    @classmethod
    def of(cls, transcript: Transcript) -> Self:
        """What a writer's last words, or their absence, say."""
        last = transcript.messages[-1] if transcript.messages else None
        if isinstance(last, Failed):
            return cls(last.text, last.exit_code)
        return cls(f"the writer ended with status {transcript.returncode} and did not say why; what it printed stands above.", 70)


def plan_kill(network: DemoNetwork) -> KillPlan:
    """Draw the moment from the seed: behind the checkpoint, and with slices left for the writer that comes back."""
    draw = Random(f"{network.seed}/kill")
    slice_index = draw.randrange(network.checkpoint_slice + 1, network.slices - 1)
    return KillPlan(draw.choice(network.clusters).id, slice_index, draw.random())


def run_writer(order: Order, listen: Listener, kill: KillPlan | None = None) -> Transcript:
    """Run a writer to its end, which is SIGKILL where there is a plan to kill it. Raises `WriterFailed`."""
    command = [sys.executable, "-m", "rap_tools.demo_writer", order_text(order)]
    # The child finds its packages where this process found them. In a session of its own, Ctrl-C comes to this process alone.
    places = {"PYTHONPATH": ":".join(filter(None, sys.path))}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=environment() | places, start_new_session=True
    ) as process:
        try:
            messages = _follow(process, listen, kill)
        finally:
            process.kill()
    transcript = Transcript(tuple(messages), process.returncode)
    # Where a kill was planned, a writer that was quicker than the signal is told of in the result.
    if not transcript.is_complete and (kill is None or process.returncode != -SIGKILL):
        raise WriterFailed.of(transcript)
    return transcript


def resume_after(transcript: Transcript, network: DemoNetwork) -> dict[str, int]:
    """Per cluster the slice to go on with: the first that was not acknowledged."""
    return {
        cluster.id: 1 + max((said.slice_index for said in transcript.acknowledged(cluster.id)), default=-1)
        for cluster in network.clusters
    }


def _follow(process: "subprocess.Popen[str]", listen: Listener, kill: KillPlan | None) -> list[Message]:
    """Read what the writer says to the end of its pipe, killing it on the way if so planned."""
    assert process.stdout is not None
    messages: list[Message] = []
    pace = _Pace()
    for line in process.stdout:
        message = from_line(line)
        if message is None:
            break
        messages.append(message)
        listen(message)
        pace.note(message)
        if kill and isinstance(message, Begun) and (message.cluster, message.slice_index) == kill[:2]:
            time.sleep(kill.part * pace.step_s)
            process.kill()
    process.wait()
    return messages


class _Pace:
    """How long the store took for a slice lately, by what the writer says of it."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._steps: list[float] = []

    def note(self, message: Message) -> None:
        if isinstance(message, Acknowledged):
            step_s = message.seconds - self._seconds.get(message.cluster, 0.0)
            self._seconds[message.cluster] = message.seconds
            self._steps = [*self._steps[1 - _RECENT :], step_s]

    @property
    def step_s(self) -> float:
        return statistics.median(self._steps) if self._steps else _STEP_S_UNKNOWN
