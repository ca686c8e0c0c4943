"""Compiles the C++ and CUDA kernels of patch attention for the installed PyTorch.

Without a compiler, or with TORCHREID_OCC_NO_EXT=1, patch attention runs in plain PyTorch. Where
PyTorch sees a GPU, or with FORCE_CUDA=1, the CUDA kernels are compiled as well: CUDA_HOME names the
toolkit, TORCH_CUDA_ARCH_LIST the chips ("8.0;9.0"; the GPU's own if it is not set).
"""

import argparse

from torchreid_occ.utils.errors import short_errors


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds nothing: environment variables choose what is built.

    Args:
        parser: The parser.
    """


def run(arguments: argparse.Namespace) -> None:
    """Builds the kernels.

    Args:
        arguments: The parsed command line.
    """
    from torchreid_occ.ops.build import build

    with short_errors(RuntimeError):
        build()
