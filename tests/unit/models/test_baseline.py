import torch
from clip_model_tester import ClipModelTester

from torchreid_occ.models import build_model


class TestBaseline(ClipModelTester):
    name = "baseline"
    variants = ({}, {"neck": False}, {"last_stride": 2})

    @torch.no_grad()
    def test_the_feature_is_the_normalised_mean_over_space_and_time(self):
        model, clip = self.model.eval(), self.batch()["img"]
        maps = model.backbone(clip.flatten(0, 1)).unflatten(0, clip.shape[:2])
        expected = model.neck(maps.mean((1, 3, 4)))
        torch.testing.assert_close(model(clip), expected)

    @torch.no_grad()
    def test_the_classifier_reads_the_feature(self):
        outputs = self.model.train()(self.batch()["img"])
        torch.testing.assert_close(outputs.logits, self.model.classifier(outputs.features))


def test_modified_resnet50_has_the_papers_size():
    with torch.device("meta"):
        model = build_model("baseline", 5)
    assert sum(parameter.numel() for parameter in model.backbone.parameters()) == 23_508_032
    assert model.backbone.map_sizes(256, 128)[-1] == (16, 8)
    assert model.feature_dim == 2048
