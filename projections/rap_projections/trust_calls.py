"""The calls about whom this node trusts in its cluster.

Rules this file keeps: bundles come into force here and nowhere else; nothing local decides what they say (spec 2).

Example::

    cluster.trust.update(bundle)
"""

from collections.abc import Sequence
from typing import Unpack

from rap_projections.bundle_calls import Bundles
from rap_projections.receipts import Context, Receipt

DEFAULT_SOURCE = "agent"


class Trust:
    """What `cluster.trust` is."""

    def __init__(self, bundles: Bundles) -> None:
        self._bundles = bundles

    def update(
        self,
        bundles: bytes | Sequence[bytes],
        *,
        documents: Sequence[bytes] = (),
        source: str = DEFAULT_SOURCE,
        **context: Unpack[Context],
    ) -> Receipt:
        """Bring newer bundles into force: one, or several without gaps, oldest first (trust, 9).

        `documents` are snapshots signed anew for the last of them; they become active in the same frame. Active documents that the
        new bundle lets no longer count end in it, too. Bundles in force already are ``changed=False``.

        Raises a `RefusedError` (recorded; nothing changed), `MisuseError`, `FailClosed`, `NoSpace`, `OutcomeUnknown`, `Poisoned`.
        """
        return self._bundles.update(bundles, documents=documents, source=source, **context)
