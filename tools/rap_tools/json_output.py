"""What `-o json` and `-o ndjson` write.

Rules this file keeps:

- Every object starts with `format` (what it is), `format_version` (fields are added, never changed, within one), `cluster` (its id, or
  null) and `horizon` (LSN of the last durable record that was looked at, or null).
- Under `json` a command writes one object. A list in it is written as it comes, and the object is closed, with `exit_code`, also
  where the list broke off.
- Under `ndjson` each line is an object whose `type` says what it is: first one `header`, then the items, last one `end` with
  `record_count`, `cursor` (where to go on: `log --after CURSOR`; or null) and `exit_code`. A file without an `end` was cut off.
- Everything is ASCII: whatever else is in a text stands there as \\u escapes, so that no text steers a terminal.
- An error is an object of format `rap-state-error` on standard error: `error` (its class), `message`, `action`, `exit_code`, `facts`,
  `candidates` (of an ambiguous selector) and `try` (a command to try next, or null).

Example::

    writer = JsonWriter(stream, lines=False)
    writer.begin(head("rap-state-log", "lab", 17), items="records", type="record")
    writer.item({"lsn": 17})
    writer.end(ExitCode.DONE, cursor="lab@17")
"""

import json
from collections.abc import Mapping
from typing import Any, TextIO

FORMAT_VERSION = 1


def head(name: str, cluster: str | None, horizon: int | None, **fields: Any) -> dict[str, Any]:
    """The fields every object starts with, and `fields`."""
    return {"format": name, "format_version": FORMAT_VERSION, "cluster": cluster, "horizon": horizon, **fields}


class JsonWriter:
    """Writes the result of one command, as one object or as lines."""

    def __init__(self, stream: TextIO, *, lines: bool) -> None:
        self._stream = stream
        self._lines = lines
        self._count = 0
        self._type = ""
        self._is_open = False

    def document(self, fields: Mapping[str, Any], exit_code: int = 0) -> None:
        """Write a result that is one object: under `ndjson` its first four fields are the header, and all of it one item."""
        if self._lines:
            self.begin({name: fields[name] for name in ("format", "format_version", "cluster", "horizon")}, type="document")
            self.item(fields)
            self.end(exit_code)
        else:
            self._write(fields, indent=2)

    def begin(self, fields: Mapping[str, Any], *, type: str, items: str = "items") -> None:  # noqa: A002
        """Start a result that holds a list: `items` is its name in the object, `type` that of its lines."""
        self._type, self._is_open = type, True
        if self._lines:
            self._write({"type": "header", **fields})
            return
        text = json.dumps(fields, indent=2)
        self._stream.write(f'{text.rstrip("}").rstrip()},\n  "{items}": [')

    def item(self, fields: Mapping[str, Any], *, type: str | None = None) -> None:  # noqa: A002
        """Add one item to the list; `type` where it is another than that of the rest."""
        line = {"type": type or self._type, **fields}
        if self._lines:
            self._write(line)
        else:
            self._stream.write(f"{',' if self._count else ''}\n    {json.dumps(line)}")
        self._count += 1

    def end(self, exit_code: int, *, cursor: str | None = None) -> None:
        """Close the list, if one is open."""
        if not self._is_open:
            return
        self._is_open = False
        tail = {"record_count": self._count, "cursor": cursor, "exit_code": int(exit_code)}
        if self._lines:
            self._write({"type": "end", **tail})
            return
        closing = "\n  ]" if self._count else "]"
        self._stream.write(f"{closing},{json.dumps(tail, indent=2)[1:]}\n")

    def flush(self) -> None:
        """Let a reader of the stream see everything up to here."""
        self._stream.flush()

    def _write(self, fields: Mapping[str, Any], indent: int | None = None) -> None:
        self._stream.write(json.dumps(fields, indent=indent) + "\n")
