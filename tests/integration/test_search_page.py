"""The page of `torchreid-occ search serve` in a browser without a window."""

import shutil
import threading

import pytest
import waitress
from served_gallery import make_served_gallery
from small_videos import SIZE, corners

from torchreid_occ.search.server import gallery_app

api = pytest.importorskip("playwright.sync_api")


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    app = gallery_app(*make_served_gallery(tmp_path_factory.mktemp("served")))
    server = waitress.create_server(app, host="127.0.0.1", port=0)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.effective_port}/"
    server.close()


@pytest.fixture(scope="module")
def browser():
    own = shutil.which("chromium") or shutil.which("google-chrome")
    with api.sync_playwright() as playwright:
        try:
            opened = playwright.chromium.launch(executable_path=own, args=["--no-sandbox"])
        except api.Error as error:
            pytest.skip(f"no browser: {error}")
        yield opened
        opened.close()


@pytest.fixture
def page(browser, address):
    opened = browser.new_page(viewport={"width": 1400, "height": 900})
    faults = []
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on("console", lambda line: faults.append(line.text) if line.type == "error" else None)
    opened.goto(address)
    yield opened
    opened.close()
    assert faults == []


def found(page):
    answer = page.frame_locator("iframe[name=answer]")
    answer.locator("li").first.wait_for()
    return answer.locator(".facts .name").all_inner_texts()


def draw(page, stage, corners):
    """Draws a box, given in pixels of the picture."""
    shown = page.locator(f"{stage} .stage img")
    shown.scroll_into_view_if_needed()
    area = shown.bounding_box()
    scale = area["width"] / SIZE[0]
    left, top, right, bottom = (scale * value for value in corners)
    page.mouse.move(area["x"] + left, area["y"] + top)
    page.mouse.down()
    page.mouse.move(area["x"] + (left + right) / 2, area["y"] + (top + bottom) / 2)
    page.mouse.move(area["x"] + right, area["y"] + bottom)
    page.mouse.up()


def show_frame(page, number):
    with page.expect_response(f"**/{number}.jpg"):
        page.locator("#frame input[type=number][name=frame]").fill(str(number))
        page.locator("#frame input[type=number][name=frame]").press("Tab")
    page.wait_for_function("document.querySelector('#frame .status').textContent === ''")


def test_a_box_on_a_paused_frame_finds_the_person(page):
    page.wait_for_function("document.querySelector('#frame img').naturalWidth > 0")
    for person in (1, 2):
        draw(page, "#frame", corners(person, 1))
        drawn = [
            float(page.locator(f"#frame input[name={n}]").input_value())
            for n in ("left", "top_edge")
        ]
        assert drawn == pytest.approx(corners(person, 1)[:2], abs=1.5)
        with page.expect_response("**/search"):
            page.click("#frame button.search")
        assert found(page)[0] == f"gallery/gate_000{person}/3_gate_000{person}"


def test_steps_and_the_slider_show_other_frames(page):
    show_frame(page, 9)
    with page.expect_response("**/10.jpg"):
        page.get_by_label("Next frame").click()
    with page.expect_response("**/9.jpg"):
        page.get_by_label("Previous frame").click()
    assert page.locator("#frame input[type=range]").input_value() == "9"
    assert page.locator("#frame input[type=range]").get_attribute("max") == "30"


def test_a_picked_tracklet_leads_to_the_moment_in_the_video(page):
    with page.expect_response("**/search"):
        page.locator("#tracklets button").first.click()
    assert found(page) == ["gallery/gate_0002/3_gate_0002"]
    answer = page.frame_locator("iframe[name=answer]")
    with page.expect_response("**/16.jpg"):
        answer.locator("figcaption a").click()
    page.wait_for_url("**/?video=0&frame=16#frame")
    assert page.locator("#frame input[type=number][name=frame]").input_value() == "16"


def test_an_uploaded_picture_is_shown_and_searched_for(page, tmp_path):
    show_frame(page, 9)
    picture = tmp_path / "picture.png"
    picture.write_bytes(page.request.get(page.url + "video/0/9.jpg").body())
    page.set_input_files("#picture input[type=file]", picture)
    page.locator("#picture .stage img").wait_for()
    page.wait_for_function("document.querySelector('#picture img').naturalWidth > 0")
    draw(page, "#picture", corners(2, 9))
    with page.expect_response("**/search"):
        page.click("#picture button.search")
    assert found(page)[0] == "gallery/gate_0002/3_gate_0002"
