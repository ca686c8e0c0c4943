"""Engine 'torchreid': torchreid's data manager, engines and models as they are."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from torchreid_occ._torchreid import torchreid
from torchreid_occ.config import check_options, plain
from torchreid_occ.data.images import verify_images
from torchreid_occ.engine.backend import (
    Backend,
    BuiltModel,
    Outcome,
    check_name,
    results_by_target,
    use_gpu,
)
from torchreid_occ.engine.clip_backend import check_model_options, new_clip_model
from torchreid_occ.engine.evaluation import EvaluationMixin
from torchreid_occ.models import MODELS, torchreid_models
from torchreid_occ.models.backbones import Origin
from torchreid_occ.utils.logs import printed_lines_logged
from torchreid_occ.utils.weights import WeightsUnavailable


class _Timed(EvaluationMixin):
    """Measures the seconds of training alone."""

    training_seconds = 0.0

    def train(self, *arguments: Any, **options: Any) -> None:
        """Trains one epoch, see torchreid's ``Engine.train``."""
        start = time.perf_counter()
        super().train(*arguments, **options)
        self.training_seconds += time.perf_counter() - start


class TorchreidSoftmaxEngine(_Timed, torchreid.engine.VideoSoftmaxEngine):
    """torchreid's softmax engine for video; trains frame by frame and averages features."""


class TorchreidTripletEngine(_Timed, torchreid.engine.VideoTripletEngine):
    """torchreid's triplet + softmax engine for video."""


# By torchreid's `loss.name`.
TORCHREID_ENGINES: dict[str, Any] = {
    "softmax": TorchreidSoftmaxEngine,
    "triplet": TorchreidTripletEngine,
}


class TorchreidBackend(Backend):
    """torchreid as it is: no resume, one process, models that read frames.

    Models are torchreid's, or ours with the outputs that torchreid's engines expect.
    """

    can_resume = False
    one_process = True

    def check_parts(self) -> None:
        """Finds mistakes in the names and options of the parts before any data is loaded.

        Raises:
            KeyError: For an unknown model, loss or option.
            ValueError: If options or a checkpoint of a backbone are given to a model of
                torchreid's.
        """
        model, loss = self.config.model, self.config.loss
        check_name("model.name", model.name, [*MODELS, *torchreid_models()])
        if model.name in MODELS:
            check_model_options(model)
        elif model.options:
            raise ValueError(
                f"model.options are {plain(model.options)}, but {model.name} takes none."
            )
        elif model.pretrained not in (True, False, "auto"):
            raise ValueError(
                f"model.pretrained is {model.pretrained!r}, but torchreid's models take True, "
                "False or 'auto': set model.load_weights."
            )
        if self.tests_only:
            return
        check_name("loss.name", loss.name, TORCHREID_ENGINES)
        set_elsewhere = (
            *("datamanager", "model", "optimizer", "scheduler", "use_gpu", "pooling_method"),
        )
        check_options("loss.options", loss.options, TORCHREID_ENGINES[loss.name], set_elsewhere)

    def build_datamanager(self) -> Any:
        """Builds torchreid's ``VideoDataManager``."""
        arguments = self._data_arguments()
        if self.tests_only:  # it builds a loader of training clips in any case
            arguments |= {
                "sources": arguments["targets"],
                "train_sampler": "SequentialSampler",
                "combineall": False,
            }
        with printed_lines_logged():
            return torchreid.data.VideoDataManager(
                **arguments, sample_method=self.config.video.sample_method
            )

    def new_model(self, num_classes: int, pretrained: bool | str) -> nn.Module:
        """Builds the model without weights of a checkpoint.

        Args:
            num_classes: Number of training identities.
            pretrained: Whether it starts from ImageNet weights; for a model of ours also a
                checkpoint.

        Raises:
            WeightsUnavailable: If the weights cannot be had.
        """
        config = self.config
        if config.model.name in MODELS:
            own = new_clip_model(config, num_classes, pretrained)
            own.torchreid_loss = config.loss.name
            return own
        random_state = torch.get_rng_state()
        model = self._torchreid_model(num_classes, bool(pretrained))  # `check_parts` refuses a path
        if pretrained:  # torchreid ignores it where it has no weights
            torch.set_rng_state(random_state)
            scratch = self._torchreid_model(num_classes, False)
            weights = zip(model.parameters(), scratch.parameters(), strict=True)
            if all(torch.equal(one, other) for one, other in weights):
                raise WeightsUnavailable(
                    f"torchreid has no ImageNet weights of {config.model.name}."
                )
        return model

    def origin_of(self, built: BuiltModel) -> Origin | None:
        """Returns where the initial weights come from; torchreid does not say which version."""
        if self.config.model.name in MODELS:
            return super().origin_of(built)
        return Origin("torchreid", self.config.model.name, None, None) if built.pretrained else None

    def new_engine(
        self,
        datamanager: Any,
        model: nn.Module,
        optimizer: Optimizer,
        scheduler: LRScheduler,
        metadata: dict[str, Any],
    ) -> Any:
        """Builds torchreid's engine of the configured loss.

        Args:
            datamanager: From `build_datamanager`.
            model: The model, on its device.
            optimizer: Its optimiser.
            scheduler: Its scheduler.
            metadata: Not used: torchreid's checkpoints carry none.
        """
        loss = self.config.loss
        name, options = loss.name, plain(loss.options)
        if self.tests_only:
            name, options = "softmax", {}
        return TORCHREID_ENGINES[name](
            datamanager,
            model,
            optimizer,
            scheduler=scheduler,
            use_gpu=self.config.use_gpu,
            pooling_method=self.config.video.pooling_method,
            **options,
        )

    def verify(self, datamanager: Any) -> None:
        """Decodes every image once: torchreid's own reader retries a damaged image for ever."""
        verify_images(_image_paths(datamanager), self.config.data.workers)

    def model_input(self, clips: Tensor) -> Tensor:
        """Returns the frames of clips.

        Args:
            clips: `(B, T, 3, H, W)`.

        Shape:
            Result: `(B * T, 3, H, W)`.
        """
        return clips.flatten(0, 1)

    def lay_out(self, model: nn.Module) -> None:
        """Leaves weights as they are."""

    def run(self, engine: Any, save_dir: Path) -> Outcome:
        """Trains from the start and tests."""
        start = time.perf_counter()
        engine.keeps_going = True
        with printed_lines_logged():
            engine.run(**self._run_arguments(save_dir))
        return Outcome(
            targets=results_by_target({"last": engine.results}),
            epochs=self.config.train.max_epoch,
            selected_epoch=None,
            seconds=time.perf_counter() - start,
            training_seconds=engine.training_seconds,
            inference=engine.inference,
            failed=engine.failed,
        )

    def _torchreid_model(self, num_classes: int, pretrained: bool) -> nn.Module:
        model: nn.Module = torchreid.models.build_model(
            self.config.model.name,
            num_classes,
            pretrained=pretrained,
            loss=self.config.loss.name,
            use_gpu=use_gpu(self.config),
        )
        return model


def _image_paths(datamanager: Any) -> Iterator[str]:
    """Yields all frames that a data manager of torchreid's will read."""
    tracklets = list(datamanager.train_loader.dataset.train)
    for subsets in datamanager.test_dataset.values():
        tracklets += [*subsets["query"], *subsets["gallery"]]
    return (path for paths, *_ in tracklets for path in paths)
