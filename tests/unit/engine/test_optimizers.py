import torch
from torch import nn

from torchreid_occ.config import load_config
from torchreid_occ.engine.optimizers import build_optimizer


def test_new_layers_have_their_own_rate_also_inside_others():
    model = nn.ModuleDict(
        {
            "body": nn.Linear(2, 2),
            "head": nn.ModuleDict({"first": nn.Linear(2, 2), "last": nn.Linear(2, 2)}),
            "classifier": nn.Linear(2, 2),
        }
    )
    names = "['head.last', 'classifier', 'another']"
    own = ["train.staged_lr", "True", "train.new_layers", names, "train.base_lr_mult", "0.5"]
    optimizer = build_optimizer(load_config(None, [*own, "train.lr", "0.2"]), model)
    rates = {
        id(parameter): group["lr"]
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    found = {name: rates.pop(id(parameter)) for name, parameter in model.named_parameters()}
    assert rates == {}
    new = ("head.last", "classifier")
    assert found == {name: 0.2 if name.startswith(new) else 0.1 for name in found}
    before = {name: value.clone() for name, value in model.named_parameters()}
    sum(value.sum() for value in model.parameters()).backward()
    optimizer.step()
    moved = {name: (before[name] - value).abs().mean() for name, value in model.named_parameters()}
    assert torch.isclose(moved["head.last.weight"], 2 * moved["head.first.weight"], rtol=1e-3)
