"""Training of a model with ground truth in place of what its blocks predict."""

import functools
from collections.abc import Sequence
from typing import Any

from torchreid_occ._types import Batch, StrPath
from torchreid_occ.config import load_config
from torchreid_occ.data.supervision import FIELDS
from torchreid_occ.engine.clip import ClipEngine
from torchreid_occ.engine.clip_backend import ClipBackend
from torchreid_occ.engine.evaluation import LearnedMetric
from torchreid_occ.models.baseline import Baseline
from torchreid_occ.runs.run import run_experiment
from torchreid_occ.studies.oracles import Bound, average_precisions, oracle_features
from torchreid_occ.studies.true_clips import TrueClips, true_clips
from torchreid_occ.studies.truth import TRUTHS, Truth

TARGET = "true clips"  # name of the results of the test on clips with ground truth


class OracleEngine(ClipEngine):
    """Trains and tests a model with ground truth in place of what its blocks predict.

    Args:
        truths: What is replaced, of `TRUTHS`.
        sets: Query and gallery.
        datamanager: As the next, see `ClipEngine`.
        model: The model.
        *args: Further arguments of `ClipEngine`.
        **kwargs: Further arguments of `ClipEngine`.
    """

    def __init__(
        self,
        truths: Sequence[str],
        sets: Sequence[TrueClips],
        datamanager: Any,
        model: Baseline,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        super().__init__(datamanager, model, *args, **kwargs)
        self.predictor, self.truth, self.sets = model, Truth(model, truths), sets

    def forward_backward(self, batch: Batch) -> dict[str, float]:
        """Takes one step, with the batch's supervision as ground truth."""
        keypoints, foreground = (batch[field].flatten(0, 1) for field in FIELDS)
        self.truth.set_frames(keypoints, foreground)
        return super().forward_backward(batch)

    def test(self, dist_metric: str | LearnedMetric = "cosine", **_options: Any) -> float:
        """Tests on the clips with ground truth, and keeps the mAP, which it returns."""
        self.set_model_mode("eval")
        query, gallery = (
            oracle_features(self.predictor, self.truth, part, ["as it is"])["as it is"]
            for part in self.sets
        )
        mean = float(average_precisions(query, gallery, dist_metric).mean())
        self.results = {TARGET: {"mAP": mean}}
        return mean

    def validate(self) -> None:
        """Chooses no checkpoint: held-out identities are tested without ground truth."""


def train_with_truth(
    path: StrPath,
    truths: Sequence[str] = TRUTHS,
    root: str | None = None,
    seed: int = 1,
    split: int | None = None,
) -> Bound:
    """Trains a configuration with ground truth in place of what blocks predict.

    The run goes to ``<data.save_dir>_true_<truths>/seed_<seed>`` and is continued if it exists.

    Args:
        path: The configuration file.
        truths: What is replaced, of `TRUTHS`.
        root: Folder of the datasets; the configured one if None.
        seed: Value of ``train.seed``.
        split: Value of ``data.split_id``; the configured one if None.

    Returns:
        The mAP with ground truth.

    Raises:
        ValueError: If the model's blocks predict no such thing, or the dataset has no ground truth.
    """
    name = "_".join(("true", *truths))
    folder = f"{load_config(path).data.save_dir}_{name}/seed_{seed}"
    own = ["train.seed", str(seed), "data.save_dir", folder]
    own += ["data.supervision", "['keypoints', 'foreground']"]  # ground truth of a batch
    own += ["data.split_id", str(split)] if split is not None else []
    own += ["data.root", root] if root else []
    config = load_config(path, own)
    sets = true_clips(config, config.data.root, config.data.split_id)
    backend = ClipBackend(config, engine=functools.partial(OracleEngine, truths, sets))
    results = run_experiment(config, resume=True, backend=backend)
    return Bound(f"trained with {name}", results["targets"][TARGET]["last"]["mAP"])
