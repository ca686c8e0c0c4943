"""Templates of HTML pages."""

from jinja2 import Environment, PackageLoader, StrictUndefined


def templates_in(package: str, folder: str = ".") -> Environment:
    """Returns the templates of a package; text in them is escaped, an unknown variable an error.

    Args:
        package: The package.
        folder: The folder of the templates in it.
    """
    return Environment(
        loader=PackageLoader(package, folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
