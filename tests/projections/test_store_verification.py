"""With its keys, verification misses what the sealed records name and the disk lacks; without them it cannot."""

import pytest

from rap_journal.trees import remove_tree
from rap_journal.verify_report import Severity, VerifyFinding
from rap_projections.named_documents import Use
from rap_projections.store_verification import verify_whole_store
from rap_projections.testing.memory_store import ROOT
from tests.projections.store_kit import FOLDER, Ready, folder
from tests.projections.test_document_repair import furnished, paths, remove


def findings(it: Ready, *, has_key: bool = True, live: bool | None = None) -> list[VerifyFinding]:
    root = it.kit.filesystem.open_root(ROOT)
    report = verify_whole_store(root, keys=it.kit.keys if has_key else None, live=live)
    return [finding for finding in report.findings if finding.severity]


def closed() -> Ready:
    it = furnished()
    it.kit.store.close()
    return it


@pytest.mark.parametrize("has_key", [True, False])
def test_a_sound_store_has_no_findings(has_key: bool) -> None:
    assert findings(closed(), has_key=has_key) == []


@pytest.mark.parametrize("use", [Use.ACTIVE, Use.PREVIOUS, Use.KEY])
def test_a_missing_document_is_damage_to_its_class_and_only_the_key_tells(use: Use) -> None:
    it = furnished()
    named = paths(it, use)
    it.kit.store.close()
    for path in named:
        name = path.split("/")[2]
        kept = it.kit.filesystem.image()
        remove(it, path)
        assert findings(it) == [VerifyFinding(path, 0, "missing_document", Severity.DAMAGE, (name,))]
        assert findings(it, has_key=False) == []
        it.kit.filesystem = kept


def test_a_missing_cluster_is_damage_until_it_is_left() -> None:
    it = closed()
    with it.kit.filesystem.open_root(ROOT).directory("clusters") as clusters:
        remove_tree(clusters, "lab")
        clusters.sync()
    assert findings(it) == [VerifyFinding("clusters/lab", 0, "missing_cluster", Severity.DAMAGE)]
    assert findings(it, has_key=False) == []
    it.kit.open().leave("lab", reason="gone")
    it.kit.store.close()
    assert findings(it) == []


def test_beside_a_writer_a_missing_document_is_missed_as_well() -> None:
    it = furnished()
    assert findings(it, live=True) == []
    (key,) = paths(it, Use.KEY)
    remove(it, key)
    assert [finding.reason for finding in findings(it, live=True)] == ["missing_document"]


def test_a_state_that_cannot_be_read_adds_nothing_to_what_was_found_already() -> None:
    it = closed()
    home = folder(it.kit.filesystem, FOLDER)
    remove_tree(home, "journal")
    home.sync()
    assert {finding.reason for finding in findings(it)} == {"missing"}
