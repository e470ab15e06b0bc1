"""Libraries that only some providers need: loaded when one is used, and missed with one clear line.

Rules this file keeps:

- The core imports nothing that is not among its three dependencies; this file is the only one that loads anything else.
- Which libraries those are is a closed table: no name from a file, a marker or the environment is ever loaded.

Example::

    keyring = load_extra("keyring")
"""

import importlib
from types import ModuleType
from typing import Literal

from rap_journal.errors import KeyUnavailable

EXTRAS = {"keyring": "keystore", "tpm2_pytss": "tpm2"}
"""Each library, and the extra of this distribution that installs it."""


def load_extra(name: Literal["keyring", "tpm2_pytss"]) -> ModuleType:
    """The library. Raises `KeyUnavailable`, naming the command that installs it."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise KeyUnavailable(
            f"this key provider needs {name}, which cannot be loaded here; nothing was opened. pip install 'rap-node-state[{EXTRAS[name]}]'",
            reason="missing_extra",
        ) from error
