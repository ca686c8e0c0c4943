"""Torchvision's trained weights: downloaded once, or an error that says which file goes where."""

import contextlib
import http.client
import pickle
import socket
from pathlib import Path

import torch

DOWNLOAD_TIMEOUT = 20  # seconds of silence after which a download of weights counts as failed
LOADING_ERRORS = (
    OSError,
    RuntimeError,
    EOFError,
    LookupError,  # what a broken pickle raises
    ValueError,
    pickle.UnpicklingError,
    http.client.HTTPException,
)


class WeightsUnavailable(RuntimeError):  # noqa: N818
    """Trained weights were asked for and could neither be read nor downloaded."""


def cached_file(weights):
    """Where torchvision keeps the file of weights it has downloaded."""
    return Path(torch.hub.get_dir()) / "checkpoints" / weights.url.rpartition("/")[2]


def torchvision_weights(weights, what, instead):
    """Reads torchvision's trained weights, downloading them where they are not yet.

    Args:
        weights: A member of one of torchvision's enumerations of weights.
        what: What they are, for the message.
        instead: What a user without them can do, for the message.

    Returns:
        The state dict.

    Raises:
        WeightsUnavailable: If they can neither be read nor downloaded; says which file goes where.
    """
    try:
        with _socket_timeout(DOWNLOAD_TIMEOUT):
            return weights.get_state_dict(progress=True, check_hash=True, weights_only=True)
    except LOADING_ERRORS as error:
        raise WeightsUnavailable(
            f"{what} could not be loaded ({type(error).__name__}: {error}). Put the file from "
            f"{weights.url} at {cached_file(weights)} (an incomplete one there must go), or "
            f"{instead}."
        ) from error


@contextlib.contextmanager
def _socket_timeout(seconds):
    previous = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(previous)
