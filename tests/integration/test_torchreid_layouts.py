import sys

from commands import run_after_torch
from support import REPOSITORY

# Upstream's torchreid 1.4.0 has its modules as torchreid.*, PyPI's 0.2.5 under torchreid.reid.*.
AS_UPSTREAM = """
import sys, warnings
warnings.simplefilter("ignore")
import torchreid

for name in [name for name in sys.modules if name.startswith("torchreid.reid")]:
    module = sys.modules.pop(name)
    if name != "torchreid.reid":
        sys.modules["torchreid" + name.removeprefix("torchreid.reid")] = module
del torchreid.reid, torchreid.reid_model_factory
torchreid.__version__ = "1.4.0"
"""

USE = """
import sys, torch
import torchreid, torchreid_occ
from torchreid_occ.data.datasets import dataset_class
from torchreid_occ.registry import register

register()  # doing so twice changes nothing
model = torchreid.models.build_model("rfcnet", 5, loss="triplet", pretrained=False, use_gpu=False)
logits, features = model(torch.rand(2, 3, 256, 128))
assert logits.shape == (2, 5) and features.shape == (2, 2048)
assert model.eval()(torch.rand(1, 2, 3, 256, 128)).shape == (1, 2048)
manager = torchreid.data.VideoDataManager(
    root=sys.argv[1], sources="sduvid", height=64, width=32, seq_len=2, workers=0
)
assert next(iter(manager.train_loader))["img"].shape == (3, 2, 3, 64, 32)
assert dataset_class("mars").__module__.startswith("torchreid_occ.")
assert not dataset_class("market1501").__module__.startswith("torchreid_occ.")
print("torchreid", torchreid.__version__, "works")
"""


def test_pypis_layout(two_cameras, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["-c", str(two_cameras)])
    exec(USE, {})
    assert capsys.readouterr().out.endswith("torchreid 0.2.5 works\n")


def test_upstreams_layout(two_cameras):
    done = run_after_torch(AS_UPSTREAM + USE, two_cameras, cwd=REPOSITORY)
    assert done.stdout.endswith("torchreid 1.4.0 works\n"), done.stderr
