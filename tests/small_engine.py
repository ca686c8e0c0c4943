"""A clip engine so small that what it does can be checked by hand."""

from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from torchreid_occ.engine import ClipEngine


class Output(NamedTuple):
    logits: torch.Tensor
    features: torch.Tensor


class FrameMean(nn.Module):
    """Its feature is the mean frame, so that features can be checked by hand."""

    carries = False

    def __init__(self):
        super().__init__()
        self.classifier = nn.Linear(3, 4)
        self.dropout = nn.Dropout(0.5)

    def forward(self, clips):
        features = clips.mean((1, 3, 4))
        logits = self.classifier(self.dropout(features))
        return Output(logits, features) if self.training else features


class Criterion(nn.Module):
    def forward(self, outputs, batch):
        loss = F.cross_entropy(outputs.logits, batch["pid"])
        return {"loss": loss, "ce": loss.detach()}


class Clips(torch.utils.data.Dataset):
    """Two tracklets of 3 and 1 frames as clips of two frames at most."""

    tracklets = ((("a", "b", "c"), 5, 0, 0), (("d",), 6, 1, 0))
    sequences = tuple(paths for paths, *_ in tracklets)

    def __init__(self):
        generator = torch.Generator().manual_seed(0)
        self.frames = torch.rand(4, 3, 4, 2, generator=generator)

    def batches(self):
        """Out of order, as clips of equal length are batched together."""
        frames = self.frames
        yield {
            "img": torch.stack([frames[2:3], frames[3:4]]),
            "tracklet": torch.tensor([0, 1]),
            "num_frames": torch.tensor([1, 1]),
        }
        yield {
            "img": frames[None, :2],
            "tracklet": torch.tensor([0]),
            "num_frames": torch.tensor([2]),
        }


class Loader:
    def __init__(self, swap_cameras=False):
        self.dataset = Clips()
        if swap_cameras:
            self.dataset.tracklets = tuple(
                (paths, pid, 1 - camid, dsetid) for paths, pid, camid, dsetid in Clips.tracklets
            )

    def __len__(self):
        return 2

    def __iter__(self):
        return self.dataset.batches()


class TrainLoader:
    def __init__(self, poison=None):
        self.poison, self.epoch = poison, None

    def __len__(self):
        return 3

    def __iter__(self):
        generator = torch.Generator().manual_seed(self.epoch)
        for index in range(3):
            batch = {
                "img": torch.rand(4, 2, 3, 4, 2, generator=generator),
                "pid": torch.arange(4),
            }
            if (self.epoch, index) == self.poison:
                batch["img"] *= float("nan")
            yield batch


class Manager:
    sources, data_type = ["x"], "video"
    val_loader = None

    def __init__(self, poison=None):
        self.train_loader = TrainLoader(poison)
        self.test_loader = {
            name: {"query": Loader(), "gallery": Loader(swap_cameras=True)}
            for name in ("first", "second")
        }

    def set_epoch(self, epoch):
        self.train_loader.epoch = epoch


def engine(validations=None, poison=None, **options):
    torch.manual_seed(0)
    model = FrameMean()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 2)
    built = ClipEngine(Manager(poison), model, optimizer, Criterion(), scheduler, **options)
    if validations is not None:
        scores = iter(validations)
        built.validate = lambda: next(scores)
    return built
