"""What a running command has at hand: its options, where its output goes, and the machine's time.

Rules this file keeps:

- The output's form is decided once; a command asks for the writer of that form.
- A command gets at a store through here, with the key that option or environment names.

Example::

    def run(session: Session) -> int:
        with session.open_store() as store: ...
"""

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TextIO

from rap_journal.clock import Clock
from rap_journal.errors import MisuseError
from rap_projections.key_providers.choosing import PROVIDER
from rap_tools.command_line import KEY_FILE_VARIABLE, ROOT_VARIABLE, option
from rap_tools.json_output import JsonWriter
from rap_tools.machine import terminal_width
from rap_tools.opening import StoreReading
from rap_tools.text_output import TextWriter


@dataclass(frozen=True, slots=True)
class Session:
    """One call of the command.

    Attributes:
        options: what the command line said.
        environment: environment variables.
        stream: where the result goes.
        is_terminal: whether that is a terminal.
        errors: where remarks and errors go.
        clock: the machine's clocks.
        pause: waits for so many seconds.
    """

    options: argparse.Namespace
    environment: Mapping[str, str]
    stream: TextIO
    is_terminal: bool
    errors: TextIO
    clock: Clock
    pause: Callable[[float], object]

    @property
    def form(self) -> str:
        """ "text", "json" or "ndjson"."""
        return option(self.options, "output") or "text"

    @property
    def is_text(self) -> bool:
        """Whether people read the output."""
        return self.form == "text"

    @property
    def cluster(self) -> str | None:
        """The cluster that was named."""
        return option(self.options, "cluster") or None

    @property
    def key_file(self) -> str | None:
        """The key file that was named, by option or environment. A kind of provider that the environment names goes before its file."""
        around = None if self.environment.get(PROVIDER) else self.environment.get(KEY_FILE_VARIABLE)
        return option(self.options, "key_file") or around or None

    @property
    def width(self) -> int | None:
        """Columns of the terminal that the result goes to; None where it goes elsewhere."""
        return terminal_width(self.environment) if self.is_terminal else None

    def root(self) -> str:
        """The store's root. Raises `MisuseError` where none was named."""
        root = find_root(self.options, self.environment)
        if not root:
            raise MisuseError(f"which store? Nothing was done. Give -D ROOT, or set {ROOT_VARIABLE}.", reason="no_root")
        return root

    def open_store(self) -> StoreReading:
        """Open the store for reading. Raises `NoSuchStore`, `UnsafeFile`, `FormatTooNew`, `DamageError`, `OSError`."""
        return StoreReading.open(self.root(), self.key_file, self.environment)

    def json(self) -> JsonWriter:
        """The writer for programs."""
        return JsonWriter(self.stream, lines=self.form == "ndjson")

    def text(self) -> TextWriter:
        """The writer for people. Raises `MisuseError` where the extra it needs is not installed."""
        plain = option(self.options, "no_color") or self.environment.get("NO_COLOR") or self.environment.get("TERM") == "dumb"
        return TextWriter(self.stream, color=self.is_terminal and not plain, width=self.width)

    def remark(self, text: str) -> None:
        """Tell people something beside the result, on standard error."""
        if self.is_text:
            TextWriter(self.errors, color=False).line(text)


def find_root(options: argparse.Namespace, environment: Mapping[str, str]) -> str | None:
    """The root that was named, by option or environment."""
    return option(options, "root") or environment.get(ROOT_VARIABLE) or None
