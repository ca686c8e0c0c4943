"""Checkpoints of this package from checkpoints that a paper's authors released."""

from typing import Any

from torchreid_occ._types import StrPath
from torchreid_occ.config import config_of, plain
from torchreid_occ.models import build_model
from torchreid_occ.models.released import RELEASED
from torchreid_occ.utils.checkpoint import save_checkpoint, weights_by_name


def convert_checkpoint(name: str, source: StrPath, target: StrPath) -> dict[str, Any]:
    """Writes the released weights of a model as a checkpoint of this package.

    Args:
        name: The model, one of `RELEASED`.
        source: Checkpoint of the released code.
        target: Checkpoint to write.

    Returns:
        Its content: `state_dict`, `config` and `num_classes`.

    Raises:
        FileNotFoundError: If there is no such checkpoint.
        ValueError: If it is damaged or holds other weights.
    """
    released = RELEASED[name]
    config = config_of(released.CONFIG)
    try:
        weights = released.convert(weights_by_name(source))
        num_classes = len(weights[f"{released.CLASSIFIER}.bias"])
        options, size = plain(config.model.options), (config.data.height, config.data.width)
        build_model(name, num_classes, False, *size, **options).load_state_dict(weights)
    except (KeyError, RuntimeError, ValueError) as error:
        message = error.args[0] if isinstance(error, KeyError) else error
        raise ValueError(f"{source} could not be converted: {message}") from error
    content = {"state_dict": weights, "config": plain(config), "num_classes": num_classes}
    save_checkpoint(content, target)
    return content
