"""Checks that every clip model passes; a test class of a model names it and inherits them."""

import copy
import functools
import inspect
import io
import warnings

import pytest
import torch
from small_backbone import SMALL_BACKBONE
from support import training_batch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from torchreid_occ._torchreid import torchreid
from torchreid_occ.export import _program
from torchreid_occ.losses import build_criterion
from torchreid_occ.models import MODELS, build_model

CLIPS, CLASSES = 4, 2
SIZE = (64, 32)


def wake(model):
    """Draws weights that start at zero, as these hide the parts before them."""
    for name, parameter in model.named_parameters():
        if name.endswith("weight") and not parameter.any():
            nn.init.normal_(parameter, std=0.1)
    return model


def freeze_statistics(model, clip):
    """Lets normalisations keep the statistics of a clip.

    With statistics of the batch, a bias before a batch normalisation has no gradient.
    """
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        model.train()(clip)
    for norm in norms:
        norm.eval()


@functools.cache
def shared_model(tester):
    return tester().build_variant({})


class ClipModelTester:
    """Checks of a clip model, at a small size.

    name: The model; options: of its builder; criterion: it is trained with; variants: options
    of the models whose gradients are checked; exported: options of the one that is exported;
    constant: endings of parameters that have no gradient by design.
    """

    name = ""
    options = {}
    criterion = "identity"
    variants = ({},)
    exported = {}
    constant = ()

    def pytest_generate_tests(self, metafunc):
        if "variant" in metafunc.fixturenames:
            metafunc.parametrize("variant", self.variants, ids=str)

    def build(self, **options):
        """A model of its own for tests that change more than its mode."""
        if not options:
            return copy.deepcopy(self.model)
        return self.build_variant(options)

    def build_variant(self, variant):
        torch.manual_seed(0)
        size = dict(zip(("height", "width"), SIZE, strict=True))
        options = {"backbone": SMALL_BACKBONE, **size, **self.options, **variant}
        return wake(build_model(self.name, CLASSES, **options))

    def losses(self, model, batch, **options):
        torch.manual_seed(1)
        return build_criterion(self.criterion, CLASSES, **options)(model(batch["img"]), batch)

    def check_losses(self, losses, variant):
        """Checks the terms of a variant's losses."""

    @property
    def model(self):
        """A model for tests that change only its mode."""
        return shared_model(type(self))

    def batch(self, num_frames=3):
        return training_batch(CLIPS, num_frames, SIZE, CLASSES)

    @pytest.mark.parametrize("num_frames", [1, 5])
    @torch.no_grad()
    def test_any_number_of_frames(self, num_frames):
        model, batch = self.model, self.batch(num_frames)
        features = model.eval()(batch["img"])
        assert features.shape == (CLIPS, model.feature_dim)
        assert features.isfinite().all()
        outputs = model.train()(batch["img"])
        assert outputs.features.shape == (CLIPS, model.feature_dim)
        assert outputs.logits.shape[0] == CLIPS
        assert outputs.logits.shape[-1] == CLASSES
        loss = build_criterion(self.criterion, CLASSES)(outputs, batch)["loss"]
        assert loss.isfinite()

    @torch.no_grad()
    def test_an_image_is_a_clip_of_one_frame(self):
        model, images = self.model.eval(), self.batch(1)["img"][:, 0]
        assert torch.equal(model(images), model(images[:, None]))

    @torch.no_grad()
    def test_clips_of_a_batch_are_independent(self):
        model, clip = self.model.eval(), self.batch()["img"]
        torch.testing.assert_close(model(clip)[1:2], model(clip[1:2]), rtol=1e-4, atol=1e-5)

    def test_bfloat16(self):
        model, batch = self.build(), self.batch()
        with torch.autocast("cpu", torch.bfloat16):
            losses = self.losses(model.train(), batch)
        losses["loss"].backward()
        assert all(value.isfinite() for value in losses.values())
        assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)
        with torch.no_grad():
            features = model.bfloat16().eval()(batch["img"].bfloat16())
        assert features.dtype == torch.bfloat16
        assert features.isfinite().all()

    @torch.no_grad()
    def test_saved_weights_give_the_same_features(self):
        file = io.BytesIO()
        torch.save(self.model.state_dict(), file)
        file.seek(0)
        other = self.build()
        for parameter in other.parameters():
            nn.init.constant_(parameter, 0.5)
        other.load_state_dict(torch.load(file, weights_only=True))
        clip = self.batch()["img"]
        assert torch.equal(self.model.eval()(clip), other.eval()(clip))

    def test_torchreid_builds_it_for_its_engines(self):
        parameters = inspect.signature(MODELS[self.name]).parameters
        size = [parameters[name].default for name in ("height", "width")]
        with torch.device("meta"):
            model = torchreid.models.build_model(
                self.name, CLASSES, loss="triplet", pretrained=False, use_gpu=False
            )
            clip = torch.empty(2, 2, 3, *size)
        logits, features = model.train()(clip)
        assert logits.shape == (2, CLASSES)
        assert features.shape == (2, model.feature_dim)
        assert model.eval()(clip).shape == (2, model.feature_dim)

    def test_every_parameter_has_a_gradient(self, variant):
        model, batch = self.build(**variant), self.batch(2)
        freeze_statistics(model, batch["img"])
        losses = self.losses(model, batch)
        self.check_losses(losses, variant)
        assert all(value.isfinite() for value in losses.values())
        losses["loss"].backward()
        gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
        without = [name for name, g in gradients.items() if g is None or not g.abs().max() > 0]
        assert [name for name in without if not name.endswith(self.constant)] == []

    @torch.no_grad()
    def test_an_exported_graph_takes_other_numbers_of_clips_and_frames(self):
        model = self.build(**self.exported).eval()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of PyTorch about its own deprecations
            exported = _program(model, SIZE, "float32").module()
            clip = self.batch(5)["img"][:1]
            torch.testing.assert_close(exported(clip), model(clip), rtol=1e-4, atol=1e-5)

    def test_whether_it_carries_is_known(self):
        assert self.model.carries == isinstance(self, CarryingTester)


class CarryingTester(ClipModelTester):
    """Checks of a clip model that reads long tracklets clip by clip.

    carrying: Options of the models that are checked.
    """

    carrying = ({},)

    def pytest_generate_tests(self, metafunc):
        super().pytest_generate_tests(metafunc)
        if "carried" in metafunc.fixturenames:
            metafunc.parametrize("carried", self.carrying, ids=str)

    @torch.no_grad()
    def test_parts_of_a_tracklet_give_what_the_whole_gives(self, carried):
        model, tracklet, state = self.build(**carried).eval(), self.batch(5)["img"], None
        for clip in tracklet.split((2, 1, 2), dim=1):
            state = model.extend(state, clip)
        torch.testing.assert_close(model.finish(state), model(tracklet), atol=1e-5, rtol=1e-4)
