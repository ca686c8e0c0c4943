import torch
from clip_model_tester import CLASSES, ClipModelTester
from small_backbone import SMALL_BACKBONE
from torch.nn.functional import linear

from torchreid_occ.models import build_model

SMALL = {"backbone": SMALL_BACKBONE, "height": 64, "width": 32}


class TestQan(ClipModelTester):
    name = "qan"

    @torch.no_grad()
    def test_features_are_the_mean_weighted_by_quality(self):
        model = self.model.eval()
        brightness = torch.tensor([0.2, 1.0, 3.0]).view(3, 1, 1, 1)
        clip = self.batch()["img"][:2] * brightness
        middle = clip.flatten(0, 1)
        for stage in model.backbone.stages[:3]:
            middle = stage(middle)
        scores = linear(middle.mean((2, 3)), model.quality.weight, model.quality.bias)
        quality = torch.sigmoid(scores).view(2, 3)
        frames = model.backbone.stages[3](middle).mean((2, 3)).view(2, 3, -1)
        expected = torch.stack(
            [
                sum(q * f for q, f in zip(quality[i], frames[i], strict=True)) / quality[i].sum()
                for i in range(2)
            ]
        )
        torch.testing.assert_close(model(clip), model.neck(expected))
        assert quality.std(1).min() > 0.001  # else any weights would do

    @torch.no_grad()
    def test_the_weight_of_a_single_frame_is_one(self):
        model, frame = self.model.eval(), self.batch(1)["img"]
        torch.testing.assert_close(model(frame), model(frame.expand(-1, 4, -1, -1, -1)))


@torch.no_grad()
def test_a_new_model_is_the_baseline():
    model = build_model("qan", CLASSES, **SMALL)
    baseline = build_model("baseline", CLASSES, **SMALL)
    baseline.load_state_dict(model.state_dict(), strict=False)
    clip = torch.rand(2, 3, 3, 64, 32)
    torch.testing.assert_close(model.eval()(clip), baseline.eval()(clip))
