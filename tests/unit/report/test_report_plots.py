import re
from html.parser import HTMLParser

from torchreid_occ.report.plots import cmc_plot, curve_plot, label_plot


def tags(svg):
    found = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: found.append((tag, dict(attributes)))
    parser.feed(svg)
    return found


def test_an_inline_plot_has_the_colour_of_the_text_and_a_description():
    curve = {rank: min(1.0, 0.5 + rank / 40) for rank in range(1, 21)}
    svg = cmc_plot({"some<set>": curve})
    (_, root), *rest = tags(svg)
    assert root["role"] == "img"
    assert "some<set>: rank-1 52.5%, rank-5 62.5%, rank-10 75.0%" in root["aria-label"]
    assert "viewbox" in root and not {"width", "height"} & root.keys()
    assert "currentColor" in svg and "#010203" not in svg
    assert [tag for tag, _ in rest].count("text") > 10  # text stays text


def test_plots_of_one_page_share_no_id():
    plots = [curve_plot(name, [1, 2, 3], [3.0, 2.0, 1.0]) for name in ("loss", "acc")]
    plots.append(label_plot([3, 4], {"a": [0.2, 0.4], "b": [0.9, 1.0]}, [10, 12]))
    ids = [attributes["id"] for plot in plots for _, attributes in tags(plot) if "id" in attributes]
    assert ids and len(ids) == len(set(ids))
    for plot in plots:
        own = {attributes.get("id") for _, attributes in tags(plot)}
        assert set(re.findall(r'(?:url\(|href=")#([^")]+)', plot)) <= own


def test_a_long_curve_is_thinned_to_its_means():
    steps = list(range(1, 10001))
    long = curve_plot("loss", steps, [float(step % 2) for step in steps])
    assert len(long) < 40_000
    assert "from 1 to 0" in long
