"""torchreid as it is: its own video engines, with every target's results kept."""

from torchreid_occ._torchreid import torchreid
from torchreid_occ.engine.evaluation import EvaluationMixin


class TorchreidSoftmaxEngine(EvaluationMixin, torchreid.engine.VideoSoftmaxEngine):
    """torchreid's softmax engine for video; trains frame by frame and averages features."""


class TorchreidTripletEngine(EvaluationMixin, torchreid.engine.VideoTripletEngine):
    """torchreid's triplet + softmax engine for video."""


# By torchreid's `loss.name`.
TORCHREID_ENGINES = {"softmax": TorchreidSoftmaxEngine, "triplet": TorchreidTripletEngine}
