"""Torchvision's trained weights, downloaded once, with an error that says where to put the file."""

import contextlib
import http.client
import pickle
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from torchreid_occ.utils.safe_loading import reason_of

DOWNLOAD_TIMEOUT = 20  # seconds without data after which a download of weights has failed
LOADING_ERRORS = (
    OSError,
    RuntimeError,
    EOFError,
    LookupError,  # of a broken pickle
    ValueError,
    pickle.UnpicklingError,
    http.client.HTTPException,
)


class WeightsUnavailable(RuntimeError):  # noqa: N818
    """Trained weights can neither be read nor downloaded."""


def cached_file(weights: Any) -> Path:
    """Returns the path where torchvision keeps the file of downloaded weights.

    Args:
        weights: A member of one of torchvision's enumerations of weights.
    """
    return Path(torch.hub.get_dir()) / "checkpoints" / weights.url.rpartition("/")[2]


def torchvision_weights(weights: Any, what: str, instead: str) -> dict[str, Any]:
    """Reads torchvision's trained weights, which are downloaded if they are not there yet.

    Args:
        weights: A member of one of torchvision's enumerations of weights.
        what: Name of the weights, for the error.
        instead: What a user can do without them, for the error.

    Returns:
        The state dict.

    Raises:
        WeightsUnavailable: If they can neither be read nor downloaded; says where to put the file.
    """
    try:
        with _socket_timeout(DOWNLOAD_TIMEOUT):
            state: dict[str, Any] = weights.get_state_dict(
                progress=True, check_hash=True, weights_only=True
            )
            return state
    except LOADING_ERRORS as error:
        raise WeightsUnavailable(
            f"{what} could not be loaded ({type(error).__name__}: {_reason(error)}). Put the file "
            f"from {weights.url} at {cached_file(weights)} (an incomplete one there must go), or "
            f"{instead}."
        ) from error


def _reason(error: Exception) -> str:
    """Returns an error's message; of unpickling without PyTorch's advice to load unsafely."""
    return reason_of(error) if isinstance(error, pickle.UnpicklingError) else str(error)


@contextlib.contextmanager
def _socket_timeout(seconds: float) -> Iterator[None]:
    previous = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(previous)
