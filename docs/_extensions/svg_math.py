"""Equations as SVG drawn by ziamath: pages need no JavaScript, no network and no math fonts."""

import re
from html import escape
from xml.etree import ElementTree

import ziamath
from docutils import nodes
from sphinx.util import logging

logger = logging.getLogger(__name__)
ziamath.config.svg2 = False  # glyphs as paths, so that the drawings of a page share no ids
EM = 16.0  # what a drawing is measured in, so that it follows the size of the text
TALLEST = 12  # in em; what is taller, ziamath has drawn wrongly
TAG = re.compile(r"\\tag\{(.*?)\}")


def setup(app):
    """Registers the renderer; `html_math_renderer = "svg"` chooses it."""
    app.add_html_math_renderer("svg", (visit_inline, None), (visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def visit_inline(writer, node):
    """Writes an equation inside a line."""
    writer.body.append(f'<span class="math">{drawing(node, inline=True)}</span>')
    raise nodes.SkipNode


def visit_block(writer, node):
    r"""Writes a displayed equation with the paper's number, given by `\tag`."""
    number = "".join(f'<span class="eqno">({tag})</span>' for tag in TAG.findall(node.astext()))
    writer.body.append(f'<div class="math">{drawing(node, inline=False)}{number}</div>\n')
    raise nodes.SkipNode


def drawing(node, inline):
    """Returns the `svg` element of an equation; warns of one that ziamath can't read."""
    latex = TAG.sub("", node.astext())
    try:
        equation = ziamath.Latex(latex, size=EM, color="currentColor", inline=inline)
        svg = equation.svgxml()
    except Exception as error:  # it raises whatever its parsers come upon
        logger.warning("equation can't be drawn: %s: %s", error, latex, location=node)
        return f"<code>{escape(latex)}</code>"
    width, height = (float(svg.attrib.pop(side)) / EM for side in ("width", "height"))
    if height > TALLEST:
        logger.warning("equation is drawn %.0f lines high: %s", height, latex, location=node)
    depth = (equation.getyofst() - equation.margin) / EM
    svg.attrib |= {"role": "img", "aria-label": latex.strip()}
    svg.attrib["style"] = (
        f"width: {width:.3f}em; height: {height:.3f}em; vertical-align: {depth:.3f}em"
    )
    return ElementTree.tostring(svg, encoding="unicode")
