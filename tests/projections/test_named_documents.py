"""The files that a state names are those that are there, each once, by what it is kept for."""

from collections import Counter

import pytest

from rap_projections.named_documents import Use, named_documents
from rap_projections.refusals import Equivocation
from rap_projections.testing import Fabric, furnish, memory_store
from tests.projections.store_kit import FOLDER, Ready, names, ready


def enrolled() -> Ready:
    kit, fabric = memory_store(), Fabric("lab")
    furnish(kit.store, fabric)
    return Ready(kit, fabric)


def test_every_file_that_is_there_is_named_and_every_name_is_there() -> None:
    it = enrolled()
    on_disk = names(it.kit.filesystem, FOLDER, part="document-")
    named = named_documents(it.cluster._core.state)
    assert sorted(f"{FOLDER}/{each.file}" for each in named) == on_disk
    assert Counter(each.use for each in named) == {Use.ACTIVE: 7, Use.PREVIOUS: 1, Use.KEY: 1}


def test_a_fresh_cluster_names_its_bundle() -> None:
    (bundle,) = named_documents(ready().cluster._core.state)
    assert (bundle.spec.name, bundle.use, bundle.stored.inline != b"") == ("trust", Use.ACTIVE, True)


def test_what_waits_and_what_proves_something_is_named_as_such() -> None:
    it = ready()
    cluster, fabric = it.cluster, it.fabric
    cluster.activate(fabric.peers(["node-1"]))
    other = Fabric("lab").peers(["node-2"])
    with pytest.raises(Equivocation):
        cluster.activate(other)
    with cluster.activation("routes") as step:
        step.stage(fabric.routes([]))
        uses = Counter(each.use for each in named_documents(cluster._core.state))
    assert uses == {Use.ACTIVE: 2, Use.EVIDENCE: 1, Use.WAITING: 1}
