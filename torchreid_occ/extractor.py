"""Features of a user's own tracklets by a trained model."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from torchreid_occ._types import StrPath
from torchreid_occ.config import merged, plain
from torchreid_occ.data.clips import ConsecutiveClips
from torchreid_occ.data.frames import Frames, FrameSource, frames_of
from torchreid_occ.data.loaders import every_frame_loader
from torchreid_occ.embedders import Embedder, check_pretrained, load_embedder
from torchreid_occ.engine.acceleration import (
    CalibrationTracklets,
    check_backend,
    stage_runners,
    supported_precision,
    training_tracklets,
)
from torchreid_occ.engine.backend import use_gpu as uses_gpu
from torchreid_occ.engine.extraction import TrackletFeatures
from torchreid_occ.engine.stage_runners import stages_of
from torchreid_occ.models import ClipModel
from torchreid_occ.runs import builders


class TrackletExtractor:
    """Extracts features of tracklets with a trained model, as the engine's test computes them.

    All frames of a tracklet are read, in clips of bounded length, so that memory does not grow with
    its length. The same tracklets in the same order give the features of a test bit for bit; among
    other tracklets the last digits may differ, as batches of other sizes are summed in another
    order.

    Args:
        checkpoint: A checkpoint of a run, which holds the run's configuration; the name of one of
            torchreid's published weights (`torchreid_occ.embedders.PUBLISHED`), downloaded on first
            use; a folder with safetensors, see `from_pretrained`; or an ONNX file, see
            docs/extraction.md.
        use_gpu: Use a GPU if there is one. This and the next arguments are those of the
            configuration if None.
        batch_size: Clips of full length whose frames make one batch.
        workers: Worker processes that read frames; 0 reads them in this process.
        precision: Precision of the model: 'float32', 'bfloat16', on a GPU 'float16', or with
            OpenVINO 'int8', see docs/extraction.md.
        backend: What computes the image network: 'torch', or on a CPU 'openvino'.

    Attributes:
        checkpoint: The file of the checkpoint.
        config: The configuration by which frames are read and features computed; a run's own.
        feature_dim: Length of a feature.
        checkpoint_hash: SHA-256 of the checkpoint: compare features of the same checkpoint only.
        provenance: What the checkpoint was trained on and how well it did.
        precision: What the image network is computed in: float32 where the processor lacks the
            instructions for the one that was asked for. An ONNX file has that of its export, or
            'own' if another program wrote it.
        stages: Precision of each stage of the image network that OpenVINO computes, by name: with
            int8 some may be left in float32.

    Raises:
        FileNotFoundError: If there is no such checkpoint, or int8 has to be calibrated and the
            training tracklets are not there.
        ImportError: If the packages of the backend are not installed.
        ValueError: If it is damaged or holds no model of this package, or an argument is invalid.
        WeightsUnavailable: If published weights cannot be downloaded.

    Example:
        >>> extractor = TrackletExtractor(checkpoint, workers=0)
        >>> frames = np.zeros((5, 128, 64, 3), np.uint8)  # of one tracklet, in RGB
        >>> features = extractor([frames, "tracklets/0001"])  # the second one is a folder
        >>> features.shape == (2, extractor.feature_dim)
        True
    """

    def __init__(
        self,
        checkpoint: StrPath,
        *,
        use_gpu: bool | None = None,
        batch_size: int | None = None,
        workers: int | None = None,
        precision: str | None = None,
        backend: str | None = None,
    ) -> None:
        embedder = load_embedder(checkpoint)
        model, config = embedder.model, embedder.config
        self.checkpoint, self.provenance = embedder.file, embedder.provenance
        self.checkpoint_hash = embedder.sha256
        if embedder.precision is not None:
            _check_own_precision(embedder, precision)
            precision = None
        given = {
            "use_gpu": use_gpu,
            "data": {"workers": workers},
            "test": {"batch_size": batch_size, "precision": precision, "backend": backend},
        }
        self.config = merged(plain(config), [_without_none(given)], "TrackletExtractor")
        self._use_gpu, test = uses_gpu(self.config), self.config.test
        check_backend(test.backend, test.precision, self._use_gpu, test.compile)
        self._transform = builders.build_test_transform(self.config)
        self.feature_dim = model.feature_dim
        self.precision: str = embedder.precision or test.precision
        self.stages: dict[str, str] = {}
        in_torch = test.precision
        if test.backend != "torch":
            self.precision, in_torch = supported_precision(test.precision), "float32"
            self._run_stages(model)
        if self._use_gpu:
            model = model.cuda()
        self._features_of = TrackletFeatures(
            model, self._use_gpu, test.flip, in_torch, test.compile
        )

    def _run_stages(self, model: ClipModel) -> None:
        """Lets OpenVINO compute the stages of the model."""
        folder = self.checkpoint if self.checkpoint.is_dir() else self.checkpoint.parent
        size = self.config.data.height, self.config.data.width
        runners = stage_runners(model, self.precision, size, folder, self._calibration)
        stages = stages_of(model)
        for name, runner in runners.items():
            stages[name].runner = runner
        self.stages = {name: runner.precision for name, runner in runners.items()}

    def _calibration(self) -> CalibrationTracklets:
        try:
            return CalibrationTracklets(training_tracklets(self.config), self._transform)
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f"{self.checkpoint} has no stages in int8 beside it that fit, and the training "
                f"tracklets to calibrate them on are not there: {error} Precision 'bfloat16' "
                "needs none."
            ) from error

    @classmethod
    def from_pretrained(cls, folder: StrPath, **options: Any) -> "TrackletExtractor":
        """Loads the model of a folder that `torchreid_occ.embedders.save_pretrained` wrote.

        Args:
            folder: The folder, with `model.safetensors` and `config.json`.
            **options: Those of `TrackletExtractor`.

        Raises:
            FileNotFoundError: If the folder holds no model.
            ImportError: If safetensors is not installed.
            ValueError: If a file is damaged.
        """
        check_pretrained(folder)
        return cls(folder, **options)

    def __call__(self, tracklets: Sequence[FrameSource]) -> Tensor:
        """Extracts the features of tracklets.

        Args:
            tracklets: A list of tracklets. Each is a folder of images, taken in natural order; a
                list of image paths or of uint8 RGB arrays (H, W, 3); a uint8 RGB array
                (T, H, W, 3); or a float tensor (T, 3, H, W) in 0..1, rounded to eight bits. Frames
                are in temporal order and of any size.

        Shape:
            Result: `(N, D)`, float32 on the CPU, in the order of the tracklets.

        Raises:
            FileNotFoundError: If a folder or an image does not exist.
            ValueError: If there are no tracklets, or one of them is empty, can't be read or has
                another form; names it.
        """
        if not isinstance(tracklets, (list, tuple)) or not tracklets:
            received = "an empty list" if isinstance(tracklets, (list, tuple)) else type(tracklets)
            raise ValueError(
                f"Received {received}, but expected a list of tracklets: for a single one, write "
                "[tracklet]."
            )
        sequences = [_checked(index, tracklet) for index, tracklet in enumerate(tracklets)]
        clips = ConsecutiveClips(sequences, self.config.video.test_clip_len, self._transform)
        loader = every_frame_loader(
            clips, self.config.test.batch_size, self.config.data.workers, self._use_gpu
        )
        features: Tensor = self._features_of(loader, "features")
        return features


def _check_own_precision(embedder: Embedder, precision: str | None) -> None:
    """Checks that no other precision is asked for than a file is computed in."""
    if precision not in (None, embedder.precision):
        raise ValueError(
            f"{embedder.file} is computed in the precision that it was written in, which is "
            f"{embedder.precision!r}, not {precision!r}: leave the precision out."
        )


def _checked(index: int, tracklet: FrameSource) -> Frames:
    try:
        return frames_of(tracklet)
    except (ValueError, OSError) as error:
        kind = FileNotFoundError if isinstance(error, FileNotFoundError) else ValueError
        raise kind(f"Tracklet {index}: {error}") from error


def _without_none(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Returns nested settings without those that are None."""
    return {
        name: _without_none(value) if isinstance(value, dict) else value
        for name, value in tree.items()
        if value is not None
    }
