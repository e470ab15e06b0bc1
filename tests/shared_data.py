"""Where the measurements and vectors that others made lie, and what a test does where they are absent.

They stand beside the checkout, not in it: continuous integration has them, a user's clone has not.

Example::

    trace = LatencyTrace.open(shared_data("net-latency", "seattle"))
"""

from pathlib import Path

import pytest

_BESIDE = Path(__file__).resolve().parents[2] / "shared"


def shared_data(*parts: str) -> Path:
    """The file or folder `parts` of the data set; skips the calling test, visibly, where the whole set is absent.

    A part that is missing from a set that is there fails the test: that is a wrong name, not a missing download.
    """
    return _shared("data", *parts)


def shared_spec() -> Path:
    """The specification; skips the calling test, visibly, where it is absent."""
    return _shared("spec", "node-local-state-store.md")


def _shared(folder: str, *parts: str) -> Path:
    if not (_BESIDE / folder).is_dir():
        pytest.skip(f"the folder ../shared/{folder} is not beside this checkout")
    path = _BESIDE.joinpath(folder, *parts)
    assert path.exists(), f"../shared/{folder} has no {'/'.join(parts)}"
    return path
