import pytest
import torch
from torch.nn import functional as F

from torchreid_occ.models.layers.srfc import SRFC


@pytest.fixture
def inputs():
    torch.manual_seed(0)
    return torch.randn(5, 6, 8), torch.rand(5, 6, 4)


@pytest.mark.parametrize("assignment", ["both", "appearance", "position", "fixed"])
def test_assignments_sum_to_one(inputs, assignment):
    out = SRFC(8, assignment=assignment).eval()(*inputs)
    torch.testing.assert_close(out.assignment.sum(2), torch.ones(5, 6))
    encoding = out.assignment / out.assignment.sum(1, keepdim=True)
    torch.testing.assert_close(encoding.sum(1), torch.ones(5, 3))


def test_equations(inputs):
    features, positions = inputs
    srfc = SRFC(8).eval()
    out = srfc(features, positions)
    for frame in range(5):
        f = features[frame]
        appearance = F.softmax(f @ srfc.appearance.weight.T + srfc.appearance.bias, 1)  # Eq. 3
        position = F.softmax(srfc.position(positions[frame]), 1)  # Eq. 5
        s = (appearance + position) / 2
        clusters = torch.stack(
            [sum(s[i, k] * f[i] for i in range(6)) / s[:, k].sum() for k in range(3)]  # Eq. 8
        )
        clusters = srfc.encode(clusters)
        z = torch.stack([sum(s[i, k] * clusters[k] for k in range(3)) for i in range(6)])  # Eq. 9
        torch.testing.assert_close(out.appearance[frame], appearance)
        torch.testing.assert_close(out.position[frame], position)
        torch.testing.assert_close(out.assignment[frame], s)
        torch.testing.assert_close(out.completed[frame], f + srfc.decode(z))
    assert out.initial is features
    assert out.positions is positions


def test_variants_leave_out_what_they_do_without(inputs):
    appearance = SRFC(8, assignment="appearance").eval()
    out = appearance(*inputs)
    assert appearance.position is None and out.position is None
    assert torch.equal(out.assignment, out.appearance)
    position = SRFC(8, assignment="position").eval()
    out = position(*inputs)
    assert position.appearance is None and out.appearance is None
    assert torch.equal(out.assignment, out.position)


@pytest.mark.parametrize(
    ("num_regions", "clusters"),
    [(3, [0, 1, 2]), (6, [0, 1, 2, 2, 2, 2]), (8, [0, 0, 1, 1, 2, 2, 2, 2])],
)
def test_keypoint_select_assigns_head_upper_and_lower_body(num_regions, clusters):
    srfc = SRFC(8, num_regions, assignment="fixed").eval()
    out = srfc(torch.randn(2, num_regions, 8), torch.rand(2, num_regions, 4))
    assert out.assignment[1].argmax(1).tolist() == clusters
    assert out.assignment.unique().tolist() == [0, 1]
    assert out.appearance is None and out.position is None


def test_unknown_assignment():
    with pytest.raises(ValueError, match=r'"soft".*both.*appearance.*position.*fixed'):
        SRFC(8, assignment="soft")
