"""Reads round-trip times that others measured, as the peer observations of one node.

Rules this file keeps:

- The layout is that of NetLatency-Data (Zhu et al., IEEE/ACM ToN 25, 2017): a folder with one square matrix per time slice,
  in a file `NAME_<number>.txt` or `NAME_<number>.txt.gz`; entry (i, j) is the round-trip time from node i to node j.
- Slices come in the order of their numbers (2 before 10) and are counted from index 0. Their spacing is unpublished.
- The diagonal is skipped, whatever it holds. An off-diagonal 0 is a failed probe, given as None.
- Times come out in milliseconds. `SeattleData` files hold seconds and `PlanetLabData` files milliseconds, as published; of
  other names the first slice decides: a median below 3 means seconds, because half of all pairs in a wide-area network are
  more than 3 ms and less than 3 s apart. Name the unit where that is not so.
- Nothing is guessed beyond that: what is not such a matrix is a `MisuseError` naming file and line.

Example::

    trace = LatencyTrace.open("seattle")
    for slice_index, row in trace.rows(node=17):
        for peer_index, rtt_ms in row:
            ...                                 # rtt_ms is None where the probe failed
"""

import gzip
import math
import re
import statistics
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NoReturn, Protocol, Self

from rap_journal.errors import MisuseError

Unit = Literal["seconds", "milliseconds"]

Row = tuple[int, list[tuple[int, float | None]]]
"""One slice as one node saw it: index of the slice, then index and round-trip time in ms (None: no answer) of each peer."""

SLICE_BYTES_MAX = 64 << 20
"""Largest uncompressed slice: a matrix of about 2,800 nodes."""

SECONDS_MEDIAN_MAX = 3.0

_SLICE_NAME = re.compile(r"(?P<name>.+)_(?P<number>[0-9]{1,9})\.txt(?:\.gz)?")
_PUBLISHED_UNITS: dict[str, Unit] = {"SeattleData": "seconds", "PlanetLabData": "milliseconds"}
_MS_PER: dict[Unit, float] = {"seconds": 1000.0, "milliseconds": 1.0}


class Trace(Protocol):
    """Round-trip times over time, as any node of a network saw them; measured or made up."""

    @property
    def node_count(self) -> int:
        """How many nodes the network has."""
        ...

    @property
    def slices(self) -> int:
        """How many time slices there are."""
        ...

    def node_name(self, node: int) -> str:
        """A name for the node with this index, which can serve as a node id."""
        ...

    def rows(self, node: int) -> Iterator[Row]:
        """What `node` (an index from 0) saw in each slice, in order; peers by index, `node` itself left out."""
        ...


@dataclass(frozen=True, slots=True)
class LatencyTrace:
    """A folder of slices that somebody measured.

    Attributes:
        files: one file per slice, in the order of their numbers.
        node_count: rows, and columns, of every matrix.
        unit: unit of the values as stored.
    """

    files: tuple[Path, ...]
    node_count: int
    unit: Unit

    @classmethod
    def open(cls, folder: str | Path, *, unit: Unit | None = None) -> Self:
        """Find the slices in `folder` and check the first one whole; `unit` overrides what name or values say.

        Raises `MisuseError` where there are no slices, or the first is not a square matrix of times.
        """
        files = _find_slices(Path(folder))
        lines = _read_lines(files[0])
        matrix = [_parse(files[0], index, line, len(lines)) for index, line in enumerate(lines)]
        return cls(files, len(lines), unit or _published_unit(files[0]) or _likely_unit(matrix))

    @property
    def slices(self) -> int:
        """How many time slices there are."""
        return len(self.files)

    def node_name(self, node: int) -> str:
        """`node-<index>`: the data set names no nodes."""
        return f"node-{node}"

    def rows(self, node: int) -> Iterator[Row]:
        """What `node` (an index from 0) saw in each slice, in order.

        Raises `MisuseError` for a node the trace has not, and when it comes to a slice that is not a matrix of the first
        one's size; only the node's own line is read in full.
        """
        check_node(node, self.node_count)
        return (self._row(slice_index, node) for slice_index in range(self.slices))

    def _row(self, slice_index: int, node: int) -> Row:
        file = self.files[slice_index]
        lines = _read_lines(file)
        if len(lines) != self.node_count:
            _refuse(file, len(lines), f"the file ends after {len(lines)} lines, the first slice has {self.node_count}")
        values = _parse(file, node, lines[node], self.node_count)
        scale = _MS_PER[self.unit]
        return slice_index, [(peer, value * scale if value else None) for peer, value in enumerate(values) if peer != node]


def check_node(node: int, node_count: int) -> None:
    """Raise `MisuseError` unless `node` is an index below `node_count`."""
    if not 0 <= node < node_count:
        raise MisuseError(f"there is no node {node}; this trace has nodes 0 to {node_count - 1}", reason="no_such_node")


def _find_slices(folder: Path) -> tuple[Path, ...]:
    try:
        matches = [(_SLICE_NAME.fullmatch(path.name), path) for path in folder.iterdir()]
    except OSError as error:
        raise MisuseError(
            f"{folder} cannot be read as a folder: {error.strerror}", file=str(folder), reason="no_trace"
        ) from error
    slices = sorted((int(match["number"]), path) for match, path in matches if match)
    if not slices:
        raise MisuseError(f"{folder} holds no file named like SeattleData_1.txt.gz", file=str(folder), reason="no_trace")
    if len({match["name"] for match, _ in matches if match}) > 1:
        raise MisuseError(f"{folder} holds slices of more than one data set", file=str(folder), reason="mixed_trace")
    return tuple(path for _, path in slices)


def _read_lines(file: Path) -> list[bytes]:
    try:
        with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as stream:
            content = stream.read(SLICE_BYTES_MAX + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise MisuseError(f"{file} cannot be read: {error}", file=str(file), reason="malformed_trace") from error
    if len(content) > SLICE_BYTES_MAX:
        raise MisuseError(f"{file} holds more than {SLICE_BYTES_MAX} bytes", file=str(file), reason="malformed_trace")
    lines = content.rstrip().splitlines()
    if len(lines) < 2:
        _refuse(file, len(lines), "a matrix of at least two nodes was expected")
    return lines


def _parse(file: Path, index: int, line: bytes, node_count: int) -> list[float]:
    texts = line.split()
    if len(texts) != node_count:
        _refuse(file, index + 1, f"{len(texts)} values where a square matrix has {node_count}")
    try:
        values = [float(text) for text in texts]
    except ValueError:
        _refuse(file, index + 1, "a value is not a number")
    if not all(0 <= value < math.inf for value in values):
        _refuse(file, index + 1, "a value is negative or not finite")
    return values


def _refuse(file: Path, line: int, what: str) -> NoReturn:
    raise MisuseError(f"{file}, line {line}: {what}", file=str(file), reason="malformed_trace")


def _published_unit(file: Path) -> Unit | None:
    match = _SLICE_NAME.fullmatch(file.name)
    return _PUBLISHED_UNITS.get(match["name"]) if match else None


def _likely_unit(matrix: list[list[float]]) -> Unit:
    answered = [value for node, values in enumerate(matrix) for peer, value in enumerate(values) if peer != node and value]
    return "seconds" if answered and statistics.median(answered) < SECONDS_MEDIAN_MAX else "milliseconds"
