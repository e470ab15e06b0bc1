"""Libraries that only some providers need: loaded by a closed table, missed with one line."""

import sys
import tomllib
from types import ModuleType

import pytest

from rap_journal.errors import KeyUnavailable
from rap_projections.key_providers.extras import EXTRAS, load_extra
from tests.project.source_files import ROOT


@pytest.mark.parametrize("name", ["keyring", "tpm2_pytss"])
def test_a_missing_library_is_one_line_that_installs_it(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Mutation: let the error of the import through."""
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(KeyUnavailable) as caught:
        load_extra(name)  # type: ignore[arg-type]  # one of the two that it takes
    assert str(caught.value).endswith(f"pip install 'rap-node-state[{EXTRAS[name]}]'")
    assert "\n" not in str(caught.value)


def test_a_library_that_is_there_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    library = ModuleType("keyring")
    monkeypatch.setitem(sys.modules, "keyring", library)
    assert load_extra("keyring") is library


def test_every_extra_is_one_of_the_distribution_and_installs_its_library() -> None:
    offered = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    for name, extra in EXTRAS.items():
        assert any(line.replace("-", "_").startswith(name) for line in offered[extra])
