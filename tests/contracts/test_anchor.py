"""The contract of `rap_projections.key_providers.anchors.Anchor`, held by the TPM's counter and by the one in memory alike."""

from collections.abc import Iterator

import pytest

from rap_journal.errors import MisuseError
from rap_projections.key_providers.anchors import STEPS_MAX, Anchor
from rap_projections.key_providers.tpm2 import Tpm2Anchor
from rap_projections.testing import MemoryAnchor
from tests.projections.key_providers.keepers import software_tpm


@pytest.fixture(params=["tpm2", "memory"])
def anchor(request: pytest.FixtureRequest) -> Iterator[Anchor]:
    if request.param == "memory":
        yield MemoryAnchor()
        return
    with software_tpm() as tpm:
        anchor = Tpm2Anchor(tcti=tpm.tcti)
        anchor.provision()
        yield anchor


def test_it_rises_to_what_was_asked_and_no_further(anchor: Anchor) -> None:
    before = anchor.read()
    for step in (1, 2, STEPS_MAX):
        anchor.raise_to(before + step)
        assert anchor.read() == before + step


def test_it_never_falls(anchor: Anchor) -> None:
    anchor.raise_to(anchor.read() + 5)
    before = anchor.read()
    for lower in (before, before - 1, 0, -1):
        anchor.raise_to(lower)
        assert anchor.read() == before


def test_a_wrong_number_does_not_use_it_up(anchor: Anchor) -> None:
    before = anchor.read()
    with pytest.raises(MisuseError, match="nothing was changed") as caught:
        anchor.raise_to(before + STEPS_MAX + 1)
    assert caught.value.reason == "anchor_steps"
    assert anchor.read() == before
