import json

import numpy as np
import pyarrow
import pyarrow.parquet as pq
import pytest

from torchreid_occ.search import Gallery, GalleryTracklet
from torchreid_occ.search.contents import State, recorded, state_of
from torchreid_occ.search.feature_table import FeatureTable
from torchreid_occ.search.parquet import write_feature_table, write_gallery_table
from torchreid_occ.search.pipeline import index_features

HASH, DIM = "a1" * 32, 4
FEATURES = np.random.default_rng(0).standard_normal((9, DIM)).astype("f4")


def tracklet(folder, number):
    """A tracklet with a frame, whose content is recorded."""
    own = folder / "anna" / f"{number % 2}_{number}"
    own.mkdir(parents=True, exist_ok=True)
    (own / "1.jpg").write_text(f"frame {number}")
    start = None if number == 2 else float(number)
    return recorded(
        GalleryTracklet(f"{folder.name}/anna/{own.name}", (f"{own}/1.jpg",), number % 2, start, 9.5)
    )


@pytest.fixture
def tracklets(tmp_path):
    return [tracklet(tmp_path / "footage", number) for number in range(9)]


def write(path, tracklets, features=FEATURES, checkpoint=HASH, rows=2):
    path.parent.mkdir(exist_ok=True)
    blocks = [
        (tracklets[start : start + rows], features[: len(tracklets)][start : start + rows])
        for start in range(0, len(tracklets), rows)
    ]
    about = {"checkpoint_hash": checkpoint, "unit": path.stem, "precisions": ["int8"]}
    write_feature_table(path, blocks, features.shape[1], about)
    return path


@pytest.fixture
def table(tmp_path, tracklets):
    """Two files with tracklets and one without, of a folder that holds another file, too."""
    folder = tmp_path / "f.parquet"
    write(folder / "tracklets-0.parquet", tracklets[:5])
    write(folder / "tracklets-1.parquet", [])
    write(folder / "tracklets-2.parquet", tracklets[5:], FEATURES[5:])
    (folder / "_plan.json").write_text("{}")
    return folder


@pytest.fixture
def gallery(gallery_place):
    return Gallery.create(gallery_place, HASH, DIM)


def test_a_gallery_holds_what_the_table_does(gallery, table, tracklets):
    done = index_features(gallery, FeatureTable(table))
    assert (done.given, done.added, done.renewed) == (9, 9, 0)
    expected = [one._replace(stamp="") for one in tracklets]
    assert [*gallery.tracklets()] == [*enumerate(expected, start=1)]
    stored = gallery.features_of(range(1, 10))
    for number, feature in enumerate(FEATURES, start=1):
        cosine = stored[number] @ feature / np.linalg.norm(stored[number])
        assert cosine == pytest.approx(np.linalg.norm(feature), rel=1e-5)
    assert {state_of(one) for _, one in gallery.tracklets()} == {State.SAME}
    assert gallery.precisions == ["int8"]
    assert index_features(gallery, FeatureTable(table)).added == 0


def test_frames_need_not_be_there(gallery, table, tracklets, tmp_path):
    (tmp_path / "footage").rename(tmp_path / "elsewhere")
    assert index_features(gallery, FeatureTable(table)).added == 9
    assert index_features(gallery, FeatureTable(table), renew=True).added == 0
    assert state_of(gallery.get([1])[1]) is State.GONE
    assert gallery.search(FEATURES[3], HASH, 1)[0].tracklet.frames == tracklets[3].frames


def test_an_interrupted_call_goes_on(gallery, table, monkeypatch):
    own = Gallery.add

    def killed(self, tracklets, *rest, **more):
        if len(gallery) == 4:
            raise KeyboardInterrupt
        return own(self, tracklets, *rest, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Gallery, "add", killed)
        with pytest.raises(KeyboardInterrupt):
            index_features(gallery, FeatureTable(table))
    assert len(gallery) == 4
    assert index_features(gallery, FeatureTable(table)).added == 5
    assert gallery.ids().tolist() == [*range(1, 10)]


def test_features_of_changed_frames_are_taken_on_request(gallery, table, tracklets, tmp_path):
    index_features(gallery, FeatureTable(table))
    (tmp_path / "footage/anna/1_3/1.jpg").write_text("other")
    later = [recorded(tracklets[3]._replace(content=None))]
    again = FeatureTable(write(tmp_path / "again.parquet", later, -FEATURES[3:4]))
    assert [*index_features(gallery, again).plan.changed] == [4]
    assert index_features(gallery, again, renew=True).renewed == 1
    (match,) = gallery.search(-FEATURES[3], HASH, 1)
    assert (match.id, round(match.distance, 5)) == (10, 0)


def test_the_same_frames_under_another_name_are_left_out(gallery, table, tracklets, tmp_path):
    index_features(gallery, FeatureTable(table))
    copies = [tracklets[0]._replace(name="copy")]
    done = index_features(gallery, FeatureTable(write(tmp_path / "copy.parquet", copies)))
    assert (done.added, done.plan.repeated) == (0, {"copy": tracklets[0].name})
    other = [tracklets[0]._replace(frames=(tracklets[1].frames), content="x")]
    with pytest.raises(ValueError, match="with the id 1 and other frames"):
        index_features(gallery, FeatureTable(write(tmp_path / "other.parquet", other)))


def test_the_table_of_a_gallery_makes_another_one(gallery, table, tmp_path):
    index_features(gallery, FeatureTable(table))
    gallery.remove([2])
    gallery.add([GalleryTracklet("old", ("/old/1.jpg",))], FEATURES[1:2], HASH)  # nothing recorded
    write_gallery_table(tmp_path / "g.parquet", gallery)
    other = Gallery.create(tmp_path / "other", HASH, DIM, "hnsw")
    assert index_features(other, FeatureTable(tmp_path / "g.parquet")).added == 9
    assert not index_features(other, FeatureTable(tmp_path / "g.parquet")).plan.unknown
    assert other.precisions == ["int8"]
    found = [place.search(FEATURES[5], HASH, 20) for place in (gallery, other)]
    one, two = ([(match.tracklet, round(match.distance, 5)) for match in own] for own in found)
    assert one == two


def test_features_of_another_model_are_refused(gallery, tracklets, tmp_path):
    other = FeatureTable(write(tmp_path / "o.parquet", tracklets, checkpoint="b2" * 32))
    with pytest.raises(ValueError, match=f"has those of checkpoint {HASH} with {DIM}"):
        index_features(gallery, other)
    with pytest.raises(ValueError, match=r"o.parquet has features .* but model.pth is of a1a1"):
        other.check_model(HASH, DIM, "model.pth")
    write(tmp_path / "both" / "1.parquet", tracklets)
    write(tmp_path / "both" / "2.parquet", tracklets, np.ones((9, 2 * DIM), "f4"))
    with pytest.raises(ValueError, match=r"1.parquet has .* 4 values each, but .*2.parquet is of"):
        FeatureTable(tmp_path / "both")
    write(tmp_path / "nan.parquet", tracklets, FEATURES * np.nan)
    with pytest.raises(ValueError, match="not finite"):
        index_features(gallery, FeatureTable(tmp_path / "nan.parquet"))
    assert len(gallery) == 0


def test_what_is_no_table_of_features_is_refused(table, tracklets, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no table of features .*away.parquet"):
        FeatureTable(tmp_path / "away.parquet")
    (tmp_path / "empty.parquet").mkdir()
    with pytest.raises(FileNotFoundError, match=r"no table of features .*empty.parquet"):
        FeatureTable(tmp_path / "empty.parquet")
    (tmp_path / "text.parquet").write_text("name,camera\n")
    with pytest.raises(ValueError, match=r"^\S*text.parquet is damaged or no file of Parquet: .*$"):
        FeatureTable(tmp_path / "text.parquet")
    good = pq.read_table(table / "tracklets-0.parquet")
    bad = {
        "columns": good.drop_columns(["name", "feature"]),
        "metadata": good.replace_schema_metadata({"torchreid_occ": json.dumps({"unit": "x"})}),
        "size": good.set_column(
            good.schema.get_field_index("feature"), "feature",
            good["feature"].cast(pyarrow.list_(pyarrow.float32())),
        ),
    }  # fmt: skip
    faults = (
        r"lacks the columns \['name', 'feature'\]", "lacks the checkpoint's hash", "of one size",
    )  # fmt: skip
    for (name, content), fault in zip(bad.items(), faults, strict=True):
        pq.write_table(content, tmp_path / f"{name}.parquet")
        with pytest.raises(ValueError, match=fault):
            FeatureTable(tmp_path / f"{name}.parquet")


@pytest.mark.parametrize(
    ("column", "values", "fault"),
    [
        ("name", pyarrow.array(["a", None], pyarrow.string()), "rows without name"),
        ("frames", pyarrow.array([["/1.jpg"], []], pyarrow.list_(pyarrow.string())), "without fra"),
    ],
)
def test_rows_that_are_no_tracklets_are_refused(tracklets, tmp_path, column, values, fault):
    good = pq.read_table(write(tmp_path / "t.parquet", tracklets[:2]))
    place = good.schema.get_field_index(column)
    pq.write_table(good.set_column(place, column, values), tmp_path / "t.parquet")
    with pytest.raises(ValueError, match=fault):
        [*FeatureTable(tmp_path / "t.parquet").blocks()]


def test_a_damaged_block_is_named(table):
    file = table / "tracklets-0.parquet"
    content = bytearray(file.read_bytes())
    content[4:300] = bytes(296)
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"tracklets-0.parquet is damaged or no file of Parquet"):
        [*FeatureTable(table).blocks()]
