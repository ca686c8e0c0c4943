"""Converts weights that a paper's authors released: `convert.py rfcnet IN OUT`."""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch

from torchreid_occ.config import config_of, plain
from torchreid_occ.models import build_model
from torchreid_occ.models.released import RELEASED
from torchreid_occ.utils.checkpoint import save_checkpoint, weights_by_name


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", choices=RELEASED, help="rfcnet is the image model")
    parser.add_argument("source", type=Path, help="checkpoint of the released code")
    parser.add_argument("target", type=Path, help="checkpoint to write")
    parsed = parser.parse_args(arguments)
    try:
        convert(parsed.model, parsed.source, parsed.target)
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        message = error.args[0] if isinstance(error, KeyError) else error
        sys.exit(f"error: {parsed.source} could not be converted: {message}")


def convert(name, source, target):
    """Writes a checkpoint of this package with the released weights of a model."""
    released = RELEASED[name]
    weights = released.convert(read_released(source))
    num_classes = len(weights[f"{released.CLASSIFIER}.bias"])
    config = config_of(released.CONFIG)
    options, size = plain(config.model.options), (config.data.height, config.data.width)
    build_model(name, num_classes, False, *size, **options).load_state_dict(weights)
    content = {"state_dict": weights, "config": plain(config), "num_classes": num_classes}
    save_checkpoint(content, target)
    print(f"Wrote {target}: {num_classes} identities, model.options {options}")


def read_released(path):
    """Reads a checkpoint's weights."""
    scalar = np.float64(0).__reduce__()[0]
    # The released code stores its rank-1 as a numpy scalar, under numpy's old or new name.
    numpy_scalars = [
        (scalar, "numpy.core.multiarray.scalar"),
        (scalar, "numpy._core.multiarray.scalar"),
        np.dtype,
        type(np.dtype(np.float32)),
        type(np.dtype(np.float64)),
    ]
    with torch.serialization.safe_globals(numpy_scalars):
        return weights_by_name(path)


if __name__ == "__main__":
    main()
