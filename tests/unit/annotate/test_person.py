import torch

from torchreid_occ.annotate.person import choose_person

SIZE = (128, 64)


def found(*people):
    """Detections from (score, left, top, right, bottom[, label])."""
    return {
        "boxes": torch.tensor([p[1:5] for p in people], dtype=torch.float32).reshape(-1, 4),
        "scores": torch.tensor([p[0] for p in people]),
        "labels": torch.tensor([p[5] if len(p) > 5 else 1 for p in people], dtype=torch.long),
    }


def test_no_person():
    assert choose_person(found(), SIZE) is None
    car = (0.9, 0, 0, 64, 128, 3)
    assert choose_person(found(car), SIZE) is None
    assert choose_person(found(car, (0.6, 10, 10, 50, 120)), SIZE) == 1


def test_the_largest_the_most_central_and_the_surest():
    small, large = (0.9, 20, 40, 44, 80), (0.9, 14, 10, 50, 120)
    assert choose_person(found(small, large), SIZE) == 1
    beside, central = (0.9, 28, 10, 64, 120), (0.9, 14, 10, 50, 120)
    assert choose_person(found(beside, central), SIZE) == 1
    unsure, sure = (0.5, 14, 10, 50, 120), (0.9, 15, 10, 51, 120)
    assert choose_person(found(unsure, sure), SIZE) == 1


def test_the_person_known_from_elsewhere_or_none():
    people = found((0.9, 14, 10, 50, 120), (0.6, 0, 60, 20, 128))
    assert choose_person(people, SIZE, like=torch.tensor([0.0, 58.0, 22.0, 128.0])) == 1
    assert choose_person(people, SIZE, like=torch.tensor([40.0, 0.0, 64.0, 60.0])) is None
    assert choose_person(found(), SIZE, like=torch.tensor([0.0, 0.0, 1.0, 1.0])) is None
