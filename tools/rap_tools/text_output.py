"""Text for people: lines in colour on a terminal, plain lines everywhere else.

Rules this file keeps:

- Whatever is printed passes `printable`, so that no command can forget to escape what a peer, a workload or a document wrote.
- Colour only on a terminal, and not with NO_COLOR or --no-color; then there is no escape sequence at all.
- No line is ever cut, and off a terminal none is wrapped: what is piped on is whole.

Example::

    text = TextWriter(sys.stdout, color=True)
    text.line(("@17", "cyan"), "  degraded")
    text.pairs([("trust", "bundle 3"), ("degraded", "no")])
"""

import importlib
from collections.abc import Iterator, Sequence
from textwrap import wrap
from typing import Any, TextIO

from rap_journal.errors import MisuseError
from rap_tools.printable import printable

Piece = str | tuple[str, str]
"""A text, or a text and its style: colours and attributes as rich names them."""

COLUMN_WIDTH_MAX = 64
"""Wider cells do not push the columns behind them further to the right in every row."""

WRAPPED_WIDTH_MIN = 20
"""A narrower column is not worth wrapping into."""

INSTALL = "pip install 'rap-node-state[tools]'"


class TextWriter:
    """Writes lines.

    Args:
        stream: where they go.
        color: whether styles are shown.
        width: columns of the terminal, into which `pairs` are wrapped; None: into none.

    Raises `MisuseError` where the extra that colours them is not installed.
    """

    def __init__(self, stream: TextIO, *, color: bool, width: int | None = None) -> None:
        self._stream = stream
        self._width = width
        self._rich = _load_rich()
        # With a colour system of None nothing is ever styled; "markup" and "highlight" would give meaning to text from elsewhere.
        self._console = self._rich.console.Console(
            file=stream,
            force_terminal=color,
            color_system="standard" if color else None,
            markup=False,
            highlight=False,
            emoji=False,
        )
        self._color = color

    def line(self, *pieces: Piece) -> None:
        """Write one line made of pieces."""
        parts = [(piece, "") if isinstance(piece, str) else piece for piece in pieces]
        if not self._color:
            self._stream.write("".join([printable(text) for text, _ in parts]) + "\n")
            return
        text = self._rich.text.Text.assemble(*((printable(part), style) for part, style in parts))
        self._console.print(text, soft_wrap=True)

    def pairs(self, pairs: Sequence[tuple[str, Piece]], *, indent: int = 2) -> None:
        """Write names and what belongs to them, in two columns; below an empty name stands more of what belongs to the one before."""
        names = max((len(printable(name)) for name, _piece in pairs), default=0)
        room = self._width and max(WRAPPED_WIDTH_MIN, self._width - indent - names - 2)
        rows = [((name if first else "", "bold"), line) for name, piece in pairs for first, line in _wrapped(piece, room)]
        self.columns(rows, indent=indent)

    def columns(self, rows: Sequence[Sequence[Piece]], *, indent: int = 0) -> None:
        """Write rows whose cells stand below each other, two spaces apart. A cell that is too wide pushes those behind it aside."""
        texts = [[_text(cell) for cell in row] for row in rows]
        count = max(map(len, texts), default=0)
        widths = [min(COLUMN_WIDTH_MAX, max((len(row[at]) for row in texts if at < len(row)), default=0)) for at in range(count)]
        for row, plain in zip(rows, texts, strict=True):
            # What stands behind the last cell that holds something would be blanks.
            last = max((at for at, text in enumerate(plain) if text), default=-1)
            pieces: list[Piece] = []
            for at, cell in enumerate(row[: last + 1]):
                pieces += [cell, "  " + " " * max(0, widths[at] - len(plain[at])) if at < last else ""]
            self.line(" " * indent if pieces else "", *pieces)

    def flush(self) -> None:
        """Let a reader of the stream see everything up to here."""
        self._stream.flush()


def _text(piece: Piece) -> str:
    """What a piece takes on the line: its text, escaped."""
    return printable(piece if isinstance(piece, str) else piece[0])


def _wrapped(piece: Piece, room: int | None) -> Iterator[tuple[bool, Piece]]:
    """The lines that a piece takes in so many columns, in its style, and whether each is the first."""
    text = _text(piece)
    lines = wrap(text, room, break_on_hyphens=False, break_long_words=False) if room and len(text) > room else [text]
    for at, line in enumerate(lines):
        yield at == 0, line if isinstance(piece, str) else (line, piece[1])


def _load_rich() -> Any:
    try:
        importlib.import_module("rich.console")
        importlib.import_module("rich.text")
    except ModuleNotFoundError as error:
        raise MisuseError(
            f"text for people needs the extra 'tools', which is not installed; nothing was done. Install it: {INSTALL}. Or use -o json.",
            reason="missing_extra",
        ) from error
    return importlib.import_module("rich")
