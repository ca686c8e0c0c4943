import io
import re

import numpy as np
import pytest
import waitress
from PIL import Image
from served_gallery import make_served_gallery
from small_videos import SIZE, corners, image
from synthetic_people import made_up_people, query_and_gallery

from torchreid_occ.calibration import calibration_path, fit_calibration, save_calibration
from torchreid_occ.search import Gallery, served, server
from torchreid_occ.search.server import gallery_app, is_loopback, serve


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_served_gallery(tmp_path_factory.mktemp("served"))


@pytest.fixture(scope="module")
def app(made):
    return gallery_app(*made)


@pytest.fixture
def client(app):
    return app.test_client()


def search(client, **form):
    return client.post("/search", data=form)


def names(answer):
    return re.findall(r'<span class="name">([^<]*)</span>', answer.text)


def box_of(person, frame):
    left, top, right, bottom = corners(person, frame)
    return {"left": left, "top_edge": top, "width": right - left, "height": bottom - top}


def pixels_of(response):
    return np.asarray(Image.open(io.BytesIO(response.data)).convert("RGB")).astype(int)


def test_the_page_lists_tracklets_and_videos(client):
    page = client.get("/")
    assert page.status_code == 200 and page.text.count('name="tracklet"') == 2
    assert re.findall(r'<option value="0" data-frames="30">([^<]*)<', page.text) == [
        "a gate.avi, camera 3"
    ]
    assert client.get("/server.js").mimetype == "text/javascript"


def test_tracklets_are_listed_page_by_page_and_the_last_page_is_the_end(client, monkeypatch):
    monkeypatch.setattr(served, "ON_A_PAGE", 1)
    shown = [client.get(f"/?page={number}").text for number in (0, 1, 2, 9)]
    ids = [re.findall(r"/tracklet/(\d+).jpg", page) for page in shown]
    assert ids == [["1"], ["1"], ["2"], ["2"]]


def test_a_frame_is_that_of_its_number(client):
    frame = pixels_of(client.get("/video/0/17.jpg"))
    assert frame.shape == (SIZE[1], SIZE[0], 3)
    assert np.abs(frame - image(17)[..., ::-1]).mean() < 8 < np.abs(frame - image(20)).mean()
    crop = pixels_of(client.get("/tracklet/2.jpg"))
    assert crop.shape[0] == 40 and crop[..., 1].mean() > 150 > crop[..., 0].mean()


def test_a_picked_tracklet_is_searched_for_and_left_out(client):
    answer = search(client, tracklet=1)
    assert answer.status_code == 200
    assert names(answer) == ["gallery/gate_0002/3_gate_0002"]
    assert "own frames: gallery/gate_0001/3_gate_0001." in answer.text
    assert "a gate.avi</a>, frames 2 to 30" in answer.text
    assert 'href="/?video=0&amp;frame=16#frame" target="_top"' in answer.text
    assert "file:" not in answer.text


@pytest.mark.parametrize("person", [1, 2])
def test_a_box_in_a_frame_finds_its_person(client, person):
    # Of frame 1, as that person's own tracklet would be left out in the frames that it has.
    answer = search(client, video=0, frame=1, **box_of(person, 1), top=1)
    assert names(answer) == [f"gallery/gate_000{person}/3_gate_000{person}"]
    elsewhere = search(client, video=0, frame=9, **box_of(person, 9), top=1)
    assert names(elsewhere) == [f"gallery/gate_000{3 - person}/3_gate_000{3 - person}"]
    assert "a gate.avi, frame 1, box" in answer.text


def test_a_picture_is_searched_for_whole_or_in_a_box(client):
    content = io.BytesIO()
    Image.fromarray(image(9)[..., ::-1]).save(content, "PNG")
    form = {"image": (io.BytesIO(content.getvalue()), "<b>.png"), "top": 1, **box_of(2, 9)}
    answer = search(client, **form)
    assert names(answer) == ["gallery/gate_0002/3_gate_0002"] and "&lt;b&gt;.png" in answer.text
    form = {"image": (io.BytesIO(content.getvalue()), "a.png"), "left": "", "width": ""}
    assert len(names(search(client, **form))) == 2


def test_cameras_are_left_out(client):
    assert names(search(client, tracklet=1, cameras="3")) == []
    assert len(names(search(client, tracklet=1, cameras="1, 2"))) == 1


@pytest.mark.parametrize(
    "form, message",
    [
        ({}, "Pick a tracklet, or draw a box"),
        ({"tracklet": 9}, "The gallery has no tracklet 9"),
        ({"video": 5, "frame": 1, **box_of(1, 1)}, "There is no video 5"),
        ({"video": -1, "frame": 1, **box_of(1, 1)}, "There is no video -1"),
        ({"video": 0, "frame": 31, **box_of(1, 1)}, "has frames 1 to 30, not 31"),
        ({"video": 0, "frame": 1, "left": 1, "top_edge": 1, "width": 0, "height": 9}, "no area"),
        (
            {"video": 0, "frame": 1, "left": "nan", "top_edge": 1, "width": 2, "height": 9},
            "finite numbers",
        ),
        ({"tracklet": 1, "cameras": "1 x"}, "Cameras are numbers, but received '1 x'"),
    ],
)
def test_what_cannot_be_answered_is_said(client, form, message):
    answer = search(client, **form)
    assert answer.status_code == 400 and message in answer.text
    assert answer.mimetype == "text/plain"


def test_what_is_no_picture_is_said(client):
    answer = search(client, image=(io.BytesIO(b"<script>"), "x.png"))
    assert answer.status_code == 400 and "Cannot decode image" in answer.text


def test_no_path_reaches_another_file(client):
    for path in (
        "/../../etc/passwd", "/tracklet/../../x.jpg", "/tracklet/%2e%2e%2fx.jpg",
        "/video/0/..%2f1.jpg",
        "/server.html", "/video/0/1.jpg/../../../setup.py", "/search",
    ):  # fmt: skip
        assert client.get(path).status_code in (404, 405, 308)
    assert client.get("/tracklet/99.jpg").status_code == 400
    assert client.get("/video/7/1.jpg").status_code == 400


def test_other_hosts_and_sites_are_refused(client):
    for name in ("evil.example", "127.0.0.1.evil.example", "127.0.0.2"):
        assert client.get("/", headers={"Host": f"{name}:8008"}).status_code == 400
    for name in ("localhost:8008", "127.0.0.1:1"):
        assert client.get("/", headers={"Host": name}).status_code == 200
    form = {"tracklet": 1}
    for headers in (
        {"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"},
        {"Origin": "http://localhost:9999"}, {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
    ):  # fmt: skip
        assert client.post("/search", data=form, headers=headers).status_code == 403
    own = {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}
    assert client.post("/search", data=form, headers=own).status_code == 200
    embedded = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    assert client.get("/tracklet/1.jpg", headers=embedded).status_code == 403
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert client.get("/", headers=link).status_code == 200


def test_uploads_have_a_limit(client, monkeypatch, app):
    monkeypatch.setitem(app.config, "MAX_CONTENT_LENGTH", 1000)
    assert search(client, image=(io.BytesIO(b"x" * 2000), "x.png")).status_code == 413
    assert server.LARGEST_UPLOAD == 32 * 2**20


def test_pages_load_nothing_from_elsewhere(client):
    for response in (client.get("/"), search(client, tracklet=1), client.get("/tracklet/1.jpg")):
        policy = response.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'self'" in policy
        assert "http" not in policy
        assert response.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert not re.findall(r'(?:src|href|action)="(?:https?:)?//', client.get("/").text)


def test_tracklets_that_another_process_adds_are_found(client, made):
    before = client.get("/").text.count('name="tracklet"')
    gallery = Gallery(made[0])
    feature = next(gallery.entries())[2]
    _, first = next(gallery.tracklets())
    (number,) = gallery.add([first._replace(name="new")], feature[None], gallery.checkpoint_hash)
    assert client.get("/").text.count('name="tracklet"') == before + 1
    gallery.remove([number])
    assert client.get("/").text.count('name="tracklet"') == before


def test_a_calibration_beside_the_checkpoint_judges(client, made):
    gallery, path = Gallery(made[0]), calibration_path(made[1])
    people = query_and_gallery(made_up_people(2, 30, dim=gallery.feature_dim))
    cohort = made_up_people(1, 60, dim=gallery.feature_dim)
    assert "get the verdict" not in search(client, tracklet=1).text
    calibration = fit_calibration(*people, cohort, gallery.checkpoint_hash, {}, join=False)
    save_calibration(calibration, path)
    answer = search(client, tracklet=1).text
    path.unlink()
    assert "at most 0.0323 get the verdict" in answer


def test_it_listens_on_this_machine_alone_unless_told(made, monkeypatch, capsys):
    asked = {}

    class Server:
        effective_port = 8008

        def run(self):
            asked["ran"] = True

        def close(self):
            asked["closed"] = True

    monkeypatch.setattr(
        waitress, "create_server", lambda app, **options: asked.update(options) or Server()
    )
    serve(*made)
    assert asked["host"] == "127.0.0.1" and asked["ran"] and asked["closed"]
    assert capsys.readouterr().out.startswith("http://127.0.0.1:8008/ shows the gallery in ")
    serve(*made, host="192.0.2.7", port=80)
    assert (asked["host"], asked["port"]) == ("192.0.2.7", 80)
    assert "there is no password" in capsys.readouterr().out
    for host in ("0.0.0.0", "::", ""):
        with pytest.raises(ValueError, match="must be one IPv4 address"):
            serve(*made, host=host)
    for port in (-1, 65536):
        with pytest.raises(ValueError, match=f"The port is {port}, but must be within 0 and 65535"):
            serve(*made, port=port)
    assert [is_loopback(h) for h in ("127.0.0.1", "::1", "localhost", "192.0.2.7", "name")] == [
        True, True, True, False, False,
    ]  # fmt: skip


def test_another_checkpoint_is_refused(made, tmp_path):
    other = Gallery.create(tmp_path, "b2" * 32, 4)
    with pytest.raises(ValueError, match=r"but the gallery in .* has those of checkpoint b2b2"):
        gallery_app(other.folder, made[1])
