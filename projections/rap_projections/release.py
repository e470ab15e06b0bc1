"""What one release of the store reads and writes, and the next one reads and writes otherwise: format levels, and folds by class.

Rules this file keeps:

- What is written to disk goes by the marker's level, never by the release that happens to run.
- A release whose folds of a class differ from those of the one before has a higher format level, too: history that the release before
  could replay is kept until the level is committed.

Example::

    NodeStore.open(root, keys=keys, release=RELEASE)
"""

from typing import NamedTuple

from rap_journal.fold_sets import FoldSet
from rap_journal.format_levels import LEVELS, FormatLevels
from rap_projections.class_table import AGENT_FOLDS, CLUSTER_FOLDS, FOLD_SETS_OF_LEVELS
from rap_projections.folding import ClassFolds, fold_set_of


class Release(NamedTuple):
    """One release.

    Attributes:
        levels: format levels it knows.
        cluster: folds of a cluster's classes, strictest first.
        agent: folds of the agent's class.
    """

    levels: FormatLevels
    cluster: tuple[ClassFolds, ...]
    agent: tuple[ClassFolds, ...]

    @property
    def cluster_folds(self) -> FoldSet:
        """Versions of the folds of a cluster."""
        return fold_set_of(self.cluster, FOLD_SETS_OF_LEVELS)

    @property
    def agent_folds(self) -> FoldSet:
        """Versions of the folds of the agent."""
        return fold_set_of(self.agent, FOLD_SETS_OF_LEVELS)


RELEASE = Release(LEVELS, CLUSTER_FOLDS, AGENT_FOLDS)
"""This release."""
