"""The call about trust: what it takes and gives; that bundles are judged and come into force is tested in `test_bundle_calls`."""

import pytest

from rap_journal.errors import MisuseError
from rap_projections.event_kinds import TRUST, event_of
from rap_projections.receipts import UNCHANGED
from rap_projections.refusals import RefusedError
from rap_projections.trust_events import BundleActivated, TrustRefused
from tests.projections.store_kit import Ready, ready, written


@pytest.fixture
def it() -> Ready:
    return ready()


def version(it: Ready) -> int:
    return int(it.cluster.status()["trust"]["bundle_version"])


def test_one_bundle_is_taken_as_bytes_and_several_as_a_list(it: Ready) -> None:
    receipt = it.cluster.trust.update(it.fabric.next_bundle())
    assert (receipt.durable, receipt.changed, version(it)) == (True, True, 2)
    receipt = it.cluster.trust.update([it.fabric.next_bundle(), it.fabric.next_bundle()])
    assert (receipt.changed, version(it)) == (True, 4)
    assert it.cluster.trust.update(it.fabric.bundles[-1]) == UNCHANGED
    it.kit.power_cut()
    assert version(it) == 4


def test_documents_signed_anew_come_with_the_bundle(it: Ready) -> None:
    bundle = it.fabric.next_bundle()
    document = it.fabric.peers(["node-1"])
    it.cluster.trust.update(bundle, documents=[document])
    active = it.cluster.snapshots.scope("peers").active
    assert active is not None and active.facts.content_id == it.fabric.content_id(document)
    assert active.facts.bundle_version == 2


def test_a_refusal_says_who_offered_it_and_leaves_the_bundle_in_force(it: Ready) -> None:
    with pytest.raises(RefusedError):
        it.cluster.trust.update(it.fabric.bundle(version=2, sign_with="stranger"), source="mirror-2")
    refused = [event for record in written(it) if isinstance(event := event_of(record), TrustRefused)]
    assert [event.source for event in refused] == ["mirror-2"]
    assert version(it) == 1


def test_a_source_that_is_no_word_is_a_misuse(it: Ready) -> None:
    before = len(written(it))
    with pytest.raises(MisuseError):
        it.cluster.trust.update(it.fabric.next_bundle(), source="")
    assert (version(it), len(written(it))) == (1, before)


def test_who_asked_and_why_is_written_with_it(it: Ready) -> None:
    it.cluster.trust.update(it.fabric.next_bundle(), actor="operator", trace_id="t-1", cause=1)
    record = next(record for record in written(it, 5) if isinstance(event_of(record), BundleActivated))
    assert (record.state_class, record.actor, record.trace_id, record.causes) == (TRUST.number, "operator", "t-1", (1,))
