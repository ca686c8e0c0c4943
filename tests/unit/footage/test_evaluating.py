import pytest
from support import REPOSITORY

from torchreid_occ.footage.evaluating import evaluate_tracks

# What follows frame, id, left, top, width and height.
TAILS = {"mot15": "1,-1,-1,-1", "world": "1,5.1,3.2,0", "mot17": "1,1,1.0", "seven": "1"}


def write(path, ids=lambda person, frame: person, tail="1", frames=20, shift=0):
    """Writes two people who walk beside each other."""
    rows = (
        f"{frame},{ids(person, frame)},{200 * person + frame + shift},20,50,100,{tail}\n"
        for frame in range(1, frames + 1)
        for person in (1, 2)
    )
    path.write_text("".join(rows))
    return path


@pytest.mark.parametrize("layout", TAILS)
def test_truth_has_full_scores_against_itself_in_every_layout(tmp_path, layout):
    truth = write(tmp_path / "gt.txt", tail=TAILS[layout])
    found = evaluate_tracks(truth, truth)
    assert found[:3] == pytest.approx((1, 1, 1))
    assert found[3:] == (0, 2)


def test_exchanged_ids_by_hand(tmp_path):
    truth = write(tmp_path / "gt.txt")
    swapped = write(tmp_path / "tracks.txt", lambda person, t: person if t <= 10 else 3 - person)
    found = evaluate_tracks(swapped, truth)
    assert found.switches == 2
    assert found.mota == pytest.approx(1 - 2 / 40)  # Bernardin and Stiefelhagen, equation 2
    assert found.idf1 == pytest.approx(0.5)  # half of the boxes of each have the id of the other
    # Each box is matched, so DetA is 1; of its id and its person's, 10 of 30 boxes are shared.
    assert found.hota == pytest.approx((1 / 3) ** 0.5, abs=1e-6)


def test_missed_and_shifted_boxes_by_hand(tmp_path):
    truth = write(tmp_path / "gt.txt")
    half = write(tmp_path / "half.txt", frames=10)
    found = evaluate_tracks(half, truth)
    assert found.mota == pytest.approx(0.5)
    assert found.idf1 == pytest.approx(2 * 20 / (20 + 40))
    far = write(tmp_path / "far.txt", shift=40)
    assert evaluate_tracks(far, truth).mota == pytest.approx(-1)  # all missed, all false


def test_files_without_ids_are_refused(tmp_path):
    truth = write(tmp_path / "gt.txt")
    detections = write(tmp_path / "det.txt", lambda person, t: -1)
    with pytest.raises(ValueError, match=r"det\.txt holds detections without ids"):
        evaluate_tracks(detections, truth)
    with pytest.raises(FileNotFoundError):
        evaluate_tracks(truth, tmp_path / "none.txt")


def test_real_ground_truth_has_full_scores():
    pets = REPOSITORY.parent / "shared" / "real" / "pets" / "gt.txt"
    if not pets.is_file():
        pytest.skip("the real files are not there")
    assert evaluate_tracks(pets, pets)[:3] == pytest.approx((1, 1, 1))
