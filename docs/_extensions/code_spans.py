"""Code in the lines of pages: names of this package become links, and long ones may break.

The pages stay plain Markdown that reads the same on a code host: `models.rfcnet.RFCnet` stands for
`torchreid_occ.models.rfcnet.RFCnet`.
"""

import re

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.transforms import SphinxTransform

PACKAGE = "torchreid_occ"
NAME = re.compile(r"\w+(\.\w+)+")
BREAKS = re.compile(r"(?<=[._/:])(?=\w)")


class CodeSpans(SphinxTransform):
    """Wraps dotted names into references; those without an entry stay as they are."""

    default_priority = 600

    def apply(self):
        """Goes through the code spans of a page."""
        for literal in [*self.document.findall(nodes.literal)]:
            text = literal.astext()
            name = text.removeprefix(f"{PACKAGE}.")
            breakable = nodes.literal(text, "", *_breakable(text), classes=literal["classes"])
            is_link = isinstance(literal.parent, (pending_xref, nodes.reference))
            if is_link or not NAME.fullmatch(name):
                literal.replace_self(breakable)
                continue
            link = pending_xref(
                "", breakable, refdomain="py", reftype="obj",
                reftarget=f"{PACKAGE}.{name}", refdoc=self.env.docname, refwarn=False,
            )  # fmt: skip
            literal.replace_self(link)


def _breakable(text):
    """The text in pieces, between which a line may end."""
    first, *rest = BREAKS.split(text)
    yield nodes.Text(first)
    for piece in rest:
        yield nodes.raw("", "<wbr>", format="html")
        yield nodes.Text(piece)


def setup(app):
    """Registers the transform."""
    app.add_transform(CodeSpans)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
