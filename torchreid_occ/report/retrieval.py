"""Tests the checkpoint of a run once more, and keeps the ranked list of each query."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from torch import nn
from yacs.config import CfgNode

from torchreid_occ._types import Item, StrPath
from torchreid_occ.config import merged, plain
from torchreid_occ.data.ground_truth import GroundTruth
from torchreid_occ.data.truth_by_name import load_ground_truth
from torchreid_occ.engine.evaluation import TargetResult
from torchreid_occ.metrics import rank_lists
from torchreid_occ.metrics.rank import RankedList
from torchreid_occ.runs.builders import backend_of
from torchreid_occ.runs.folder import Run
from torchreid_occ.utils.logs import printed_lines_logged

RANKS = range(1, 21)


class Retrieval(NamedTuple):
    """Ranked lists of the queries of a target.

    Attributes:
        target: Name of the dataset.
        results: Its mAP, CMC at ``RANKS`` and average precisions.
        lists: Ranked list of each query.
        query: The query tracklets.
        gallery: The gallery tracklets.
        labels: How much of each query's person is hidden, 0 to 10; None if it is not known.
        clean: The same queries and gallery without occluders; None if there are none.
    """

    target: str
    results: TargetResult
    lists: list[RankedList]
    query: list[Item]
    gallery: list[Item]
    labels: npt.NDArray[np.int64] | None = None
    clean: "Retrieval | None" = None


class Search(NamedTuple):
    """A tested model and its retrievals.

    Attributes:
        model: The model on the CPU.
        config: Its configuration.
        retrievals: A :class:`Retrieval` of each target.
    """

    model: nn.Module
    config: CfgNode
    retrievals: list[Retrieval]


def search_again(run: Run, root: StrPath | None = None) -> Search:
    """Tests the checkpoint of a run on its targets and, where known, on these without occluders.

    Args:
        run: A run that tested a model.
        root: Folder of the datasets; the run's if None.

    Returns:
        The model and a :class:`Retrieval` of each of the run's targets. A target that is the clean
        form of another is part of the other's retrieval only.

    Raises:
        FileNotFoundError: If the checkpoint or a dataset is not there.
    """
    data = plain(run.config.data)
    if root is not None:
        data["root"] = str(root)
    targets = data["targets"] or data["sources"]
    truths = {name: _ground_truth(name, data) for name in targets}
    cleans = {}
    for name, truth in truths.items():
        if truth is not None and truth.clean is not None:
            cleans[name] = truth.clean.name
            if truth.clean.options:
                data["options"].setdefault(truth.clean.name, dict(truth.clean.options))
    beside = [*dict.fromkeys(cleans.values())]
    tested = {**data, "targets": [*dict.fromkeys([*targets, *beside])], "supervision": []}
    weights = {"pretrained": False, "start_from": "", "load_weights": str(run.checkpoint)}
    config = merged(plain(run.config), [{"data": tested, "model": weights}], "report")
    model, found = _search(config)
    for name, truth in truths.items():
        if truth is not None:
            clean = found[cleans[name]] if name in cleans else None
            found[name] = found[name]._replace(labels=truth.query_labels(), clean=clean)
    return Search(model, config, [found[name] for name in targets if name not in beside])


def _ground_truth(name: str, data: dict[str, Any]) -> GroundTruth | None:
    with printed_lines_logged():
        return load_ground_truth(
            name, data["root"], data["split_id"], data["options"].get(name) or {}
        )


def _search(config: CfgNode) -> tuple[nn.Module, dict[str, Retrieval]]:
    """Tests the weights of a configuration."""
    backend = backend_of(config)
    datamanager = backend.build_datamanager()
    model, _ = backend.build_model(datamanager.num_train_pids)
    engine = backend.build_engine(datamanager, model, metadata={})
    test = config.test
    with printed_lines_logged():
        engine.test(
            dist_metric=test.dist_metric,
            normalize_feature=test.normalize_feature,
            rerank=test.rerank,
            ranks=RANKS,
            keep_distances=True,
        )
    return model.cpu(), {
        name: Retrieval(
            name,
            results,
            rank_lists(*engine.distances[name]),
            *datamanager.fetch_test_loaders(name),
        )
        for name, results in engine.results.items()
    }
