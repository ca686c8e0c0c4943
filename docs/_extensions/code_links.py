"""Names of this package's code, written as plain code in the pages, become links to the reference.

The pages stay plain Markdown that reads the same on a code host: `models.rfcnet.RFCnet` stands for
`torchreid_occ.models.rfcnet.RFCnet`.
"""

import re

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.transforms import SphinxTransform

PACKAGE = "torchreid_occ"
NAME = re.compile(r"\w+(\.\w+)+")


class CodeLinks(SphinxTransform):
    """Wraps dotted names into references; those without an entry stay as they are."""

    default_priority = 600

    def apply(self):
        """Goes through the code spans of a page."""
        for literal in [*self.document.findall(nodes.literal)]:
            name = literal.astext().removeprefix(f"{PACKAGE}.")
            if not NAME.fullmatch(name) or isinstance(
                literal.parent, pending_xref | nodes.reference
            ):
                continue
            link = pending_xref(
                "", literal.deepcopy(), refdomain="py", reftype="obj",
                reftarget=f"{PACKAGE}.{name}", refdoc=self.env.docname, refwarn=False,
            )  # fmt: skip
            literal.replace_self(link)


def setup(app):
    """Registers the transform."""
    app.add_transform(CodeLinks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
