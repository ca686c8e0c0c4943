"""`torchreid-occ search` as a user runs it, with a model that was never trained."""

import json
import shutil
import time

import pytest
import torch
from small_checkpoint import write_small_checkpoint
from support import write_two_cameras

from torchreid_occ.cli import main
from torchreid_occ.search import Gallery
from torchreid_occ.utils.checkpoint import save_checkpoint


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return write_small_checkpoint(tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """Each person has a colour; the folders are named by cameras."""
    root = write_two_cameras(tmp_path_factory.mktemp("people"), persons=4, frames=3)
    return root / "SDU-VID" / "sequences"


@pytest.fixture
def search(capsys):
    """Runs the command; gives what it prints, or what it ends with."""

    def run(*words):
        try:
            main(["search", *map(str, words)])
        except SystemExit as end:
            return end.code
        return capsys.readouterr().out

    return run


def test_another_precision_than_the_gallerys_is_said(search, checkpoint, people, tmp_path):
    gallery, model = tmp_path / "gallery", ("--checkpoint", checkpoint)
    search("index", gallery, people / "cam2", *model, "--precision", "bfloat16")
    assert search("info", gallery).endswith("\ncomputed in bfloat16\n")
    answer = search("query", gallery, "--tracklet", people / "cam1" / "person003")
    assert "were computed in bfloat16, the query's in float32: distances are not" in answer


def test_from_tracklets_to_an_answer(search, checkpoint, people, tmp_path):
    gallery, model = tmp_path / "my gallery", ("--checkpoint", checkpoint)
    assert search("index", gallery, people / "cam2", "--camera", 2, *model) == (
        f"4 of 4 tracklets added: 4 are in {gallery}.\n"
    )
    assert search("index", gallery, people / "cam2", people / "cam1", *model) == (
        f"4 of 8 tracklets added: 8 are in {gallery}.\n"
    )
    said = search("index", gallery, people / "cam2", "--camera", 3, *model)
    assert "4 keep the camera that they were indexed with, such as cam2/person001" in said
    answer = tmp_path / "answer.json"
    query = ("query", gallery, "--tracklet", people / "cam1" / "person003", *model)
    shown = search(*query).splitlines()
    assert shown[-4].startswith("Left out, as they hold the query's own frames: cam1/person003 (")
    assert shown[-2].startswith("model.pth.tar-1 was trained on ") and shown[-1][:8] == "Warning:"
    assert len(shown) == 2 + 7 + 2 + 3 and not any("cam1/person003 |" in line for line in shown)
    other_cameras = search(*query, "--other-than-camera", 1, 2).splitlines()
    assert not any("cam2" in line for line in other_cameras) and len(other_cameras) == 2 + 3 + 2 + 3
    query = (*query, "--keep-same-frames")
    table = search(*query, "--json", answer, "--html", tmp_path / "answer.html", "--top", 3)
    assert table.splitlines()[2].endswith("| 3 | cam1/person003 |")
    matches = json.loads(answer.read_text(encoding="utf-8"))["matches"]
    assert [match["rank"] for match in matches] == [1, 2, 3]
    assert matches[0]["distance"] == pytest.approx(0, abs=1e-5)
    assert (tmp_path / "answer.html").read_text(encoding="utf-8").count("data:image/jpeg") == 3 + 9
    others = search(*query, "--other-than-camera", 2)
    assert "cam2" not in others and len(others.splitlines()) == 2 + 4 + 3
    assert search("remove", gallery, 7) == f"1 tracklets removed: 7 are in {gallery}.\n"
    assert "person003 |\n" not in search(*query).replace("cam2/person003", "")
    assert search("info", gallery).startswith("7 tracklets, index exact\n")
    assert search("info", gallery).endswith("\ncomputed in float32\n")
    listed = search("list", gallery).splitlines()
    assert listed[2] == "| 1 | 2 |  | 3 | cam2/person001 |" and len(listed) == 9
    image = people / "cam1" / "person002" / "0001.png"
    assert "person00" in search("query", gallery, "--image", image, "--top", 1, *model)
    # The gallery knows where its checkpoint was, and its frames.
    short = ("query", gallery, "--image", image, "--top", 2)
    assert search(*short) == search(*short, *model) and "changed" not in search(*short)
    assert search("info", gallery).splitlines()[2] == f"which was {checkpoint}"
    assert search("index", gallery, people, *model).splitlines()[1:] == [
        "7 left out, whose frames are there under another name, such as "
        "sequences/cam1/person001: it is cam1/person001."
    ]
    image.write_bytes((people / "cam2" / "person003" / "0001.png").read_bytes())
    changed = (
        "\nThe frames of cam1/person002 have changed since they were indexed, and the distances "
        "are those of the former ones: `search index --renew` extracts them anew.\n"
    )
    other = people / "cam1" / "person002" / "0002.png"
    rows = tmp_path / "answer.csv"
    assert changed in search(
        "query", gallery, "--image", other, "--keep-same-frames", "--csv", rows
    )
    assert rows.read_text(encoding="utf-8").count(",cam1/person002,changed,") == 3
    assert search("index", gallery, people / "cam1", *model).splitlines()[2:] == [
        "1 have other frames than when they were indexed, such as cam1/person002: --renew extracts "
        "them anew."
    ]
    assert search("index", gallery, people / "cam1", *model, "--renew").splitlines()[2:] == [
        "1 extracted anew, under new ids."
    ]
    assert "changed" not in search("query", gallery, "--image", other, "--keep-same-frames")


def test_features_extracted_elsewhere_make_the_same_gallery(search, checkpoint, people, tmp_path):
    table, model = tmp_path / "f.parquet", ("--checkpoint", checkpoint)
    main(["extract", str(checkpoint), str(people), "--out", str(table)])
    search("index", tmp_path / "direct", people, *model)
    made = search("index", tmp_path / "made", table, *model, "--kind", "hnsw").splitlines()
    assert made[-1] == f"8 of 8 tracklets added: 8 are in {tmp_path / 'made'}."
    made, direct = Gallery(tmp_path / "made"), Gallery(tmp_path / "direct")
    for one, other in zip(made.entries(), direct.entries(), strict=True):
        assert one[0] == other[0] and one[1] == other[1]._replace(stamp="")
        assert (one[2] == other[2]).all()
    assert made.kind == "hnsw" and made.checkpoint == checkpoint
    # Frames are looked at when their folder is indexed, too.
    assert search("index", tmp_path / "made", people, *model).startswith("0 of 8 tracklets added")
    assert [*made.tracklets()] == [*direct.tracklets()]
    other = tmp_path / "other.pth.tar-1"
    save_checkpoint({**torch.load(checkpoint, weights_only=True), "epoch": 7}, other)
    refused = search("index", tmp_path / "new", table, "--checkpoint", other)
    assert f"values each, but {other} is of" in refused and not (tmp_path / "new").exists()
    refused = search("index", tmp_path / "new", table, *model, "--camera", 2, "-s", "mars")
    assert "are indexed as they are, without -s, --camera: name one table alone" in refused


def test_people_are_forgotten(search, checkpoint, people, tmp_path, monkeypatch):
    gallery, copy = tmp_path / "g", tmp_path / "copy"
    shutil.copytree(people, copy)
    index = ("index", gallery, copy, "--checkpoint", checkpoint)
    search(*index)
    assert search("erase", gallery, "--person", "cam1", "--with-frames") == (
        f"4 tracklets erased and 12 of their frames deleted: 4 are in {gallery}.\n"
    )
    assert [folder.name for folder in copy.iterdir()] == ["cam2"]
    assert search("erase", gallery, 5, 6) == f"2 tracklets erased: 2 are in {gallery}.\n"
    assert search("erase", gallery, "--older-than", "1h").startswith("0 tracklets erased: 2 are")
    assert search("erase", gallery, "--expired").startswith(f"error: the gallery in {gallery} has")
    assert search("retain", gallery, "30d") == f"{gallery} keeps tracklets for 30d.\n"
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 31 * 86400)
    assert search("info", gallery).endswith("kept for 30d; 2 are older\n")
    assert search(*index) == (
        f"2 of 4 tracklets added: 4 are in {gallery}.\n"
        "2 tracklets erased, as they were past the gallery's retention. Those whose frames are "
        "still in an indexed folder are added again by the next `search index`: `search erase "
        "--expired --with-frames` before it deletes both.\n"
    )
    assert search(*index).startswith("2 of 4 tracklets added: 4 are in")
    copy.rename(tmp_path / "moved")
    assert search("erase", gallery, "--person", "cam2", "--with-frames") == (
        f"4 tracklets erased and 0 of their frames deleted: 0 are in {gallery}.\n"
        "12 frames were not where they were indexed: if their folders have moved, delete them "
        "there, or `search index` adds them again.\n"
    )
    assert search("retain", gallery, "forever") == f"{gallery} keeps tracklets forever.\n"
    audit = (gallery / "audit.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["chosen_by"] for line in audit] == [
        *("person", "id", "age", "retention", "person"),
    ]
    assert "no duration" in search("erase", gallery, "--older-than", "soon")
    assert "either by ids" in search("erase", gallery)


def test_a_gallery_in_postgresql_is_used_alike(
    search, checkpoint, people, tmp_path, postgres_url, monkeypatch
):
    monkeypatch.chdir(tmp_path)  # nothing is written beside the answers
    secret = postgres_url.replace("postgres:@", "postgres:geheim@")
    shown = postgres_url.replace("postgres:@", "postgres@")
    outputs = [search("index", secret, people, "--kind", "hnsw", "--checkpoint", checkpoint)]
    assert outputs[0] == f"8 of 8 tracklets added: 8 are in {shown}.\n"
    on_disk = ("index", tmp_path / "g", people, "--checkpoint", checkpoint)
    search(*on_disk)
    query = ("--tracklet", people / "cam1" / "person002", "--other-than-camera", 1)
    files = ("--json", "a.json", "--html", "a.html", "--csv", "a.csv", "--parquet", "a.parquet")
    outputs += [search("query", secret, *query, *files)]
    assert outputs[1] == search("query", tmp_path / "g", *query)
    assert search("list", secret) == search("list", tmp_path / "g")
    export = ("export", secret, "--format", "parquet", "--out", "a.gallery.parquet")
    assert search(*export) == "a.gallery.parquet: 8 tracklets\n"
    assert "was cut out of a video" in search("export", secret, "--format", "cvat", "--out", "x")
    outputs += [
        search("info", secret),
        search("retain", secret, "30d"),
        search("remove", secret, 1),
    ]
    assert outputs[2].startswith("8 tracklets, index hnsw\n")
    outputs += [search("erase", secret, "--person", "cam1"), search("erase", secret, 99)]
    assert outputs[5] == f"3 tracklets erased: 4 are in {shown}.\n"
    assert "There never were tracklets [99]" in outputs[6]
    assert shown in (tmp_path / "a.json").read_text(encoding="utf-8")
    files = [path.read_bytes() for path in tmp_path.glob("a.*")]
    assert len(files) == 5 and not any(b"geheim" in content for content in files)
    with pytest.raises(SystemExit) as refused:
        main(["identities", secret])
    outputs += [refused.value.code]
    assert "carries no calibration" in outputs[-1]
    assert not any("geheim" in output for output in outputs)


def test_a_gallery_in_qdrant_is_used_alike(search, checkpoint, people, tmp_path, qdrant_url):
    places, model = (qdrant_url, tmp_path / "g"), ("--checkpoint", checkpoint)
    query = ("--tracklet", people / "cam1" / "person002", "--other-than-camera", 1)
    for place in places:
        assert search("index", place, people, *model) == (
            f"8 of 8 tracklets added: 8 are in {place}.\n"
        )
    for words in (("query", *query), ("list",), ("remove", 1), ("retain", "30d"), ("info",),
                  ("erase", "--person", "cam1"), ("erase", 99), ("list",)):  # fmt: skip
        server, folder = (search(words[0], place, *words[1:]) for place in places)
        assert server.replace(qdrant_url, str(tmp_path / "g")) == folder
    page = tmp_path / "a.html"
    search("query", qdrant_url, *query, "--html", page)
    assert qdrant_url in page.read_text(encoding="utf-8")


def test_errors_are_one_line(search, checkpoint, people, tmp_path):
    model = ("--checkpoint", checkpoint)
    assert search("list", tmp_path).startswith(f"error: There is no gallery in {tmp_path}")
    assert search("index", tmp_path, *model) == (
        "error: Name either folders of tracklets or a dataset."
    )
    gallery = tmp_path / "g"
    search("index", gallery, people / "cam1" / "person001", *model)
    for flags in (
        ("--video", "v.avi"),
        ("--video", "v.avi", "--box", 1, 2, 3, 4),
        ("--tracklet", people, "--frames", 1, 2),
        ("--image", "i.png", "--track", 1),
    ):
        assert "arguments do not belong together" in search("query", gallery, *flags, *model)
    source = ("--source", "occwalk_tiny", "--camera", 1)
    assert "a dataset knows its cameras" in search("index", gallery, *source, *model)
    search("remove", gallery, 1)
    query = ("query", gallery, "--tracklet", people / "cam1" / "person001")
    assert "is empty: index some" in search(*query, *model)
    assert "ids [1]: nothing was removed" in search("remove", gallery, 1)
    gone = tmp_path / "gone.pth.tar"
    Gallery(gallery).remember_checkpoint(gone)
    assert search(*query) == (
        f"error: the gallery in {gallery} was made with {gone}, which is not there any more: name "
        "the checkpoint."
    )
    Gallery(gallery)._store.set_about(checkpoint=None)
    assert "an earlier version made it, which did not" in search(*query)
    other = tmp_path / "other.pth.tar"
    state = torch.load(checkpoint, weights_only=True)
    save_checkpoint({**state, "epoch": 3}, other)
    assert "checkpoint" in search(*query, "--checkpoint", other)
