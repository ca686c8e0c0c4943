"""Searches a run's targets once more, to know what each query finds."""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

from torchreid_occ.completion.dataset import MANIFEST
from torchreid_occ.config import merged, plain
from torchreid_occ.data.datasets import dataset_class
from torchreid_occ.data.tracklets import load_dataset
from torchreid_occ.metrics import rank_lists
from torchreid_occ.occwalk import OccWalk
from torchreid_occ.occwalk.stats import query_labels
from torchreid_occ.runs.builders import build_configured_model, build_datamanager, build_engine
from torchreid_occ.utils.logs import printed_lines_logged

RANKS = range(1, 21)
_CLEAN = ".clean"


class Retrieval(NamedTuple):
    """What the queries of a target find.

    Attributes:
        target: Name of the dataset.
        results: Its mAP, CMC at ``RANKS`` and average precisions, as a run's results have them.
        lists: A :class:`~torchreid_occ.metrics.rank.RankedList` of each query.
        query: The query tracklets.
        gallery: The gallery tracklets.
        labels: How much of each query's person is hidden, 0 to 10; None where nobody knows.
        clean: The same queries and gallery without occluders; None where there are none.
    """

    target: str
    results: dict
    lists: list
    query: list
    gallery: list
    labels: np.ndarray | None = None
    clean: "Retrieval | None" = None


def search_again(run, root=None):
    """Tests a run's checkpoint as the run did, and on OccWalk also without occluders.

    Args:
        run: A :class:`~torchreid_occ.runs.folder.Run` that tested a model.
        root: Folder of the datasets, if it is not the run's any more.

    Returns:
        The model on the CPU, its configuration, and a :class:`Retrieval` of each of the run's
        targets; one that is another's clean form stands beside that one only.

    Raises:
        FileNotFoundError: If the checkpoint or a dataset is not there.
    """
    data = plain(run.config.data)
    if root is not None:
        data["root"] = str(root)
    targets = data["targets"] or data["sources"]
    renderings = {name: _rendering_of(name, data) for name in targets}
    cleans = {}
    for name, rendering in renderings.items():
        if rendering is not None and not name.endswith(_CLEAN):
            cleans[name] = rendering["name"] + _CLEAN
            if rendering["options"]:
                data["options"].setdefault(cleans[name], rendering["options"])
    beside = [*dict.fromkeys(cleans.values())]
    tested = {**data, "targets": [*dict.fromkeys([*targets, *beside])], "supervision": []}
    weights = {"pretrained": False, "start_from": "", "load_weights": str(run.checkpoint)}
    config = merged(plain(run.config), [{"data": tested, "model": weights}], "report")
    model, found = _search(config)
    for name, rendering in renderings.items():
        if rendering is not None:
            labels = query_labels(_folder(rendering, data))
            found[name] = found[name]._replace(labels=labels, clean=found.get(cleans.get(name)))
    return model, config, [found[name] for name in targets if name not in beside]


def _search(config):
    """Tests a configuration's weights; the model, and a :class:`Retrieval` of each target."""
    datamanager = build_datamanager(config)
    model, _ = build_configured_model(config, datamanager.num_train_pids)
    engine = build_engine(config, datamanager, model, metadata={})
    test = config.test
    with printed_lines_logged():
        engine.test(
            dist_metric=test.dist_metric,
            normalize_feature=test.normalize_feature,
            rerank=test.rerank,
            ranks=RANKS,
            keep_distances=True,
        )
    lists = {name: rank_lists(*distances) for name, distances in engine.distances.items()}
    return model.cpu(), {
        name: Retrieval(name, results, lists[name], *datamanager.fetch_test_loaders(name))
        for name, results in engine.results.items()
    }


def _rendering_of(name, data):
    """The OccWalk rendering that a target shows, or shows completed; None of other data."""
    if name == "completed":
        manifest = Path(data["options"][name]["path"], MANIFEST)
        if not manifest.is_file():
            return None  # loading the copy will say that it is not there
        source = json.loads(manifest.read_text(encoding="utf-8"))["source"]
        return _rendering_of(source["name"], {"options": {source["name"]: source["options"]}})
    if not issubclass(dataset_class(name), OccWalk):
        return None
    return {"name": name.removesuffix(_CLEAN), "options": data["options"].get(name) or {}}


def _folder(rendering, data):
    name, options = rendering["name"], rendering["options"]
    with printed_lines_logged():
        dataset = load_dataset(name, data["root"], data["split_id"], options=options)
    return dataset.dataset_dir
