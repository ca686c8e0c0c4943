"""Trains a step by torchreid with an exported part; `trial.py` runs this as a subprocess."""

import sys
from types import SimpleNamespace
from typing import Any

import torch
import torchreid

IDENTITIES = 2


def main(kind: str, name: str, height: str, width: str, root: str) -> None:
    """Builds the part through torchreid's factories and trains a step by torchreid's engine.

    Args:
        kind: 'model', 'video' or 'image'.
        name: Name of the part.
        height: Height of frames in pixels.
        width: Width of frames in pixels.
        root: Folder of the datasets; empty if there is none.
    """
    torch.manual_seed(0)
    size = int(height), int(width)
    if kind == "model":
        loss: float | None = model_step(name, size)
    elif root:
        loss = dataset_step(kind, name, size, root)
    else:
        loss = None
        check_missing_data(kind, name)
    left = [module for module in sys.modules if module.startswith("torchreid_occ")]
    assert not left, f"it imports {left[0]}, which would be missing in torchreid"
    print("imported" if loss is None else f"imported and trained a step, loss {loss:.2f}")


def model_step(name: str, size: tuple[int, int]) -> float:
    """Trains a model on noise and returns the loss.

    Args:
        name: Name of the model.
        size: Height and width of frames.
    """
    clips = torch.rand(4, 1, 3, *size)
    batch = {"img": clips, "pid": torch.arange(4) // IDENTITIES}
    datamanager = SimpleNamespace(num_train_pids=IDENTITIES, train_loader=None, test_loader=None)
    return step(name, datamanager, batch)


def dataset_step(kind: str, name: str, size: tuple[int, int], root: str) -> float:
    """Trains torchreid's ResNet-18 on a batch of a dataset and returns the loss.

    Args:
        kind: 'video' or 'image'.
        name: Name of the dataset.
        size: Height and width of frames.
        root: Folder of the datasets.
    """
    managers = {"image": torchreid.data.ImageDataManager, "video": torchreid.data.VideoDataManager}
    options = {"seq_len": 2} if kind == "video" else {}
    datamanager = managers[kind](
        root=root,
        sources=name,
        height=size[0],
        width=size[1],
        batch_size_train=4,
        num_instances=2,
        train_sampler="RandomIdentitySampler",
        workers=0,
        use_gpu=False,
        **options,
    )
    return step("resnet18", datamanager, next(iter(datamanager.train_loader)))


def check_missing_data(kind: str, name: str) -> None:
    """Checks that the factory's dataset raises FileNotFoundError where there is no data.

    Args:
        kind: 'video' or 'image'.
        name: Name of the dataset.
    """
    build = getattr(torchreid.data.datasets, f"init_{kind}_dataset")
    try:
        build(name, root="there/is/no/such/folder")
    except FileNotFoundError:
        return
    raise AssertionError(f"{name} was built from a folder that does not exist")


def step(name: str, datamanager: Any, batch: dict[str, Any]) -> float:
    """Trains a model for one step and returns the loss.

    Args:
        name: Name of the model.
        datamanager: A data manager of torchreid, or its attributes that the engine reads.
        batch: The batch.
    """
    identities = datamanager.num_train_pids
    model = torchreid.models.build_model(name, identities, "triplet", pretrained=False)
    optimizer = torchreid.optim.build_optimizer(model)
    engine = torchreid.engine.VideoTripletEngine(datamanager, model, optimizer, use_gpu=False)
    before = [weight.clone() for weight in model.parameters()]
    losses = engine.forward_backward(batch)
    moved = [not a.equal(b) for a, b in zip(before, model.parameters(), strict=True)]
    assert any(moved), "no weight moved"
    return float(losses["loss_t"] + losses["loss_x"])


if __name__ == "__main__":
    main(*sys.argv[1:])
