"""The page of a small run on OccWalk: as HTML, and in a browser where there is one."""

import dataclasses
import itertools
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest
from support import TINY, pairs
from synthetic_people import made_up_people, query_and_gallery

from torchreid_occ.calibration import calibration_path, fit_calibration, save_calibration
from torchreid_occ.calibration.measuring import measure_calibration
from torchreid_occ.cli import main
from torchreid_occ.config import load_config
from torchreid_occ.occwalk.presets import PRESETS
from torchreid_occ.report.calibrated import calibration_of
from torchreid_occ.runs.folder import read_runs
from torchreid_occ.runs.run import run_experiment
from torchreid_occ.utils.files import file_hash

SETTINGS = {
    **TINY,
    "model.options.stages": "[3]",
    "data.sources": "['occwalk_tiny']",
    "data.supervision": "['keypoints', 'foreground']",
    "data.workers": "0",
    "loss.name": "rfcnet",
    "train.max_epoch": "1",
    "train.batch_size": "4",
}
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


class Elements(HTMLParser):
    """All elements in order: tag, attributes, text up to the next tag."""

    def __init__(self, html):
        super().__init__()
        self.found = []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.found.append([tag, dict(attributes), ""])

    def handle_data(self, data):
        if self.found:
            self.found[-1][2] += data

    def of(self, *tags):
        return [(attributes, text) for tag, attributes, text in self.found if tag in tags]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a run on a rendering of eight people."""
    folder = tmp_path_factory.mktemp("run")
    small = dataclasses.replace(
        PRESETS["occwalk_tiny"], train_identities=4, test_identities=4, distractor_identities=1,
        cameras=2, sightings=2, max_tracklets=1, frames=(3, 4),
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRESETS, "occwalk_tiny", small)
        folders = {"data.root": str(folder / "data"), "data.save_dir": str(folder / "log")}
        run_experiment(load_config(None, pairs({**SETTINGS, **folders})))
        calibrate_made_up(read_runs(folder / "log")[-1].checkpoint)
        report(folder / "log", "--queries", "5")
    return folder / "log"


def calibrate_made_up(checkpoint):
    """Writes a calibration beside a checkpoint."""
    query, gallery = query_and_gallery(made_up_people(6, 80))
    cohort = made_up_people(1, 60)
    about = {"dataset": "made_up", "identities": 80, "queries": 80}
    about["measured"] = measure_calibration(query, gallery, cohort, 0.1)
    made = fit_calibration(query, gallery, cohort, file_hash(checkpoint), about, join=False)
    save_calibration(made, calibration_path(checkpoint))


def report(*arguments):
    """Runs `torchreid-occ report`, in this process."""
    main(["report", *map(str, arguments)])


@pytest.fixture(scope="module")
def html(run):
    return (run / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def elements(html):
    return Elements(html)


def cards(html):
    """Of each query: its number, pid and ranked list as [(rank, whether green, pid)]."""
    for card in re.findall(r'<article class="query">(.*?)</article>', html, re.DOTALL):
        head = re.search(r"<h4>Query (\d+)</h4>\s*<p>pid (\d+)", card)
        items = re.findall(
            r'<li value="(\d+)" class="(\w+)">.*?<b>(.) (\w+)</b><br>pid (\d+)', card, re.DOTALL
        )
        assert {(word, sign) for _, _, sign, word, _ in items} <= {("right", "✓"), ("wrong", "✗")}
        assert all(colour == word for _, colour, _, word, _ in items)
        yield *map(int, head.groups()), [(int(r), c == "right", int(p)) for r, c, _, _, p in items]


def test_green_frames_agree_with_the_runs_average_precision(run, html):
    results = json.loads((run / "results.json").read_text())
    precisions = results["targets"]["occwalk_tiny"]["last"]["average_precisions"]
    shown = list(cards(html))
    assert [number for number, _, _ in shown] == np.argsort(precisions, kind="stable")[:5].tolist()
    for number, pid, ranked in shown:
        assert [rank for rank, _, _ in ranked] == [*range(1, len(ranked) + 1)]
        assert all(green == (found == pid) for _, green, found in ranked)
        places = np.array([rank for rank, green, _ in ranked if green])
        expected = np.mean(np.arange(1, len(places) + 1) / places)
        assert expected == pytest.approx(precisions[number], abs=1e-6)


def test_the_page_needs_no_other_file(elements):
    links = [attributes["href"] for attributes, _ in elements.of("a")]
    ids = [attributes["id"] for _, attributes, _ in elements.found if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert links and {link[0] for link in links} == {"#"}
    assert {link[1:] for link in links} <= set(ids)
    sources = [attributes["src"] for _, attributes, _ in elements.found if "src" in attributes]
    assert sources and all(source.startswith("data:image/") for source in sources)
    assert not elements.of("script", "link", "iframe", "object")
    for _, text in elements.of("style"):
        assert "url(" not in text and "@import" not in text


def test_the_page_is_accessible(elements):
    levels = [int(tag[1]) for tag, _, _ in elements.found if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    for attributes, _ in elements.of("img"):
        assert attributes["alt"] and int(attributes["width"]) and int(attributes["height"])
    assert all(attributes["aria-label"] for attributes, _ in elements.of("svg"))
    assert all(attributes["scope"] in ("row", "col") for attributes, _ in elements.of("th"))


def test_the_page_has_the_runs_results_and_configuration(run, html):
    results = json.loads((run / "results.json").read_text())
    last = results["targets"]["occwalk_tiny"]["last"]
    row = re.search(r"last, epoch 1</td>(.*?)</tr>", html, re.DOTALL)[1]
    cells = [float(cell) for cell in re.findall(r">([\d.]+)<", row)]
    assert cells == [round(100 * value, 1) for value in (last["mAP"], *last["cmc"].values())]
    assert results["versions"]["torch"] in html and results["hardware"]["cpu"] in html
    assert "backbone: resnet18_x0_5" in html
    assert f"mAP {100 * last['mAP']:.1f}&nbsp;%" in html and "The run itself had" not in html
    found = {
        name: int(count)
        for name, count in re.findall(
            r'<th scope="row">([^<]+)</th><td class="number">(\d+)<', html
        )
    }
    parts = [count for name, count in found.items() if "without" in name or "neither" in name]
    with_occluders = found["only with occluders"]
    assert sum(parts) + with_occluders == len(last["average_precisions"])
    rank_1 = found["with occluders and without"] + with_occluders
    assert rank_1 / len(last["average_precisions"]) == pytest.approx(last["cmc"]["1"])


def test_the_page_has_the_calibration_of_the_checkpoint(html):
    section = re.search(r'<section id="calibration">(.*?)</section>', html, re.DOTALL)[1]
    assert "Calibrated on 80 people of made_up, 80 queries." in section
    assert "Reliability diagrams: best match of a search, all matches of an answer." in section
    assert "at most 10.0&nbsp;% may call somebody the same" in section


def test_a_calibration_of_another_checkpoint_is_refused(run, tmp_path):
    first, other = (tmp_path / name for name in ("first", "other"))
    first.write_bytes(b"first")
    other.write_bytes(b"other")
    assert calibration_of(first) is None
    calibrate_made_up(first)
    assert calibration_of(first)["identities"] == 80
    shutil.copy(calibration_path(first), calibration_path(other))
    with pytest.raises(ValueError, match="The calibration is of checkpoint"):
        calibration_of(other)


def test_the_page_has_the_models_pictures_and_curves(html):
    for name in ("Partition", "Foreground", "Assignment", "Gate"):
        assert html.count(f"<figcaption>{name}: ") == 1  # of the block after stage 3
    for name in ("loss", "ce", "triplet", "keypoints", "foreground", "lr"):
        assert f"<figcaption>{name}</figcaption>" in html


def test_a_folder_without_a_run_ends_in_one_line(tmp_path):
    with pytest.raises(SystemExit, match="error: There is no finished run in"):
        report(tmp_path)
    with pytest.raises(SystemExit, match="error: Received -1 queries to show"):
        report(tmp_path, "--queries", "-1")


PROBE = """<script>
addEventListener("load", () => {
  const wide = [...document.body.querySelectorAll("*")].filter(element =>
    !element.closest(".scroll, pre, svg") &&
    element.getBoundingClientRect().right > document.documentElement.clientWidth + 1);
  const pictures = [...document.images];
  parent.postMessage(JSON.stringify({
    width: innerWidth,
    sideways: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    overflowing: wide.map(element => element.outerHTML.slice(0, 80)),
    broken: pictures.filter(picture => !picture.naturalWidth).length,
    pictures: pictures.length,
    requests: performance.getEntriesByType("resource").map(entry => entry.name)
      .filter(name => !name.startsWith("data:")),
  }), "*");
});
</script></body>"""
FRAME = """<iframe src="probed.html" width="{width}" height="900" style="border: 0"></iframe>
<script>onmessage = event => document.documentElement.dataset.seen = event.data</script>"""


def look(browser, page, width, tmp_path):
    """What a browser says of the page in a frame of a width; windows are never so narrow."""
    html = page.read_text(encoding="utf-8").replace("</body>", PROBE)
    html = html.replace("default-src 'none'", "default-src 'none'; script-src 'unsafe-inline'")
    (tmp_path / "probed.html").write_text(html, encoding="utf-8")
    (tmp_path / "frame.html").write_text(FRAME.format(width=width))
    done = subprocess.run(
        [
            browser, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom",
            f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=5000",
            (tmp_path / "frame.html").as_uri(),
        ],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    ((attributes, _),) = Elements(done.stdout).of("html")
    return json.loads(attributes["data-seen"])


@pytest.mark.parametrize("width", [1280, 390])
def test_a_browser_shows_the_whole_page(run, width, tmp_path):
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip(f"needs one of the browsers {', '.join(BROWSERS)}")
    seen = look(browser, run / "report.html", width, tmp_path)
    assert seen["width"] == width and seen["sideways"] == 0
    assert seen["overflowing"] == [] and seen["requests"] == []
    assert seen["pictures"] > 40 and seen["broken"] == 0
