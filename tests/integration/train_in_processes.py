"""Trains two steps as torchrun's processes do and writes losses, weights and features; a test's."""

import sys

import torch
from torch import nn

from torchreid_occ.data import ClipDataManager
from torchreid_occ.engine import ClipEngine
from torchreid_occ.losses import build_criterion
from torchreid_occ.models import build_model
from torchreid_occ.utils.processes import gather_objects, is_first_process, joined_processes


class Recorded(ClipEngine):
    """Keeps its losses; its batch normalisations stay at their statistics."""

    def prepare_epoch(self):
        self.losses = []
        for layer in self.model.modules():
            if isinstance(layer, nn.modules.batchnorm._BatchNorm):
                layer.eval()
        super().prepare_epoch()

    def forward_backward(self, batch):
        self.losses.append(super().forward_backward(batch))
        return self.losses[-1]

    def extract(self, loader, description):
        found = super().extract(loader, description)
        self.features = found.features
        return found

    def _own_share(self, loader):
        share = super()._own_share(loader)
        self.read = gather_objects([paths[0] for paths, *_ in share.dataset.tracklets])
        return share


def main(root, out):
    torch.manual_seed(0)
    datamanager = ClipDataManager(
        root, "occwalk_tiny", height=32, width=16, batch_size_train=8, num_instances=2, seq_len=2
    )
    model = build_model("baseline", datamanager.num_train_pids, backbone="resnet18_x0_5")
    criterion = build_criterion("identity", datamanager.num_train_pids)
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    engine = Recorded(datamanager, model, optimizer, criterion, use_gpu=False)
    engine.run(f"{out}_run", max_iter=2, checkpoint_freq=100, eval_freq=100)
    gallery, read = engine.features, engine.read
    first = datamanager.test_dataset["occwalk_tiny"]["gallery"][:1]
    with torch.no_grad():
        engine.extract(datamanager.loader_of(first), "one tracklet")
    if is_first_process():
        state = {"losses": engine.losses, "weights": model.state_dict()}
        torch.save({**state, "features": gallery, "read": read, "single": engine.features}, out)


if __name__ == "__main__":
    with joined_processes(use_gpu=False):
        main(*sys.argv[1:])
