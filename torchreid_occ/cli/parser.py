"""argparse with suggestions for what was mistyped."""

import argparse
import difflib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

BACKENDS = ("torch", "openvino")
PRECISIONS = ("float32", "bfloat16", "float16", "int8")
CHECKPOINT = "of a run, an ONNX file, or a published name such as osnet_x1_0_msmt17"
GALLERY = "its folder, postgresql://user@host/database[#name], or qdrant://host/name"


class Parser(argparse.ArgumentParser):
    """A parser that shows descriptions as they are written, and suggests what was meant.

    Args:
        **options: As `argparse.ArgumentParser` takes them.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"formatter_class": argparse.RawDescriptionHelpFormatter, **options})
        self._words: list[str] = []

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parses, and remembers the words for the message of an error.

        Args:
            args: As of `argparse.ArgumentParser.parse_known_args`.
            namespace: Likewise.
        """
        self._remember(args)
        return super().parse_known_args(args, namespace)

    def parse_known_intermixed_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Does the same where options and words may be mixed; Python 3.13 no longer asks the other.

        Args:
            args: As of `argparse.ArgumentParser.parse_known_intermixed_args`.
            namespace: Likewise.
        """
        self._remember(args)
        return super().parse_known_intermixed_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Exits with a message of one line.

        Args:
            message: What argparse says.
        """
        hint = suggestions(message, self._words, [*self.options(self._words)])
        self.exit(2, f"{self.prog}: error: {message}{hint} (--help says more)\n")

    def _remember(self, args: Any) -> None:
        self._words = [str(word) for word in args or ()]

    def options(self, words: Sequence[str]) -> Iterator[str]:
        """Yields all options, those of the named subcommand too.

        Args:
            words: The words of the command line.
        """
        for action in self._actions:
            yield from action.option_strings
            if isinstance(action, argparse._SubParsersAction):
                named = next((word for word in words if word in action.choices), None)
                if named is not None:
                    yield from action.choices[named].options(words)


def add_backend(parser: argparse.ArgumentParser) -> None:
    """Adds what computes features, and in which precision.

    Args:
        parser: The parser to fill.
    """
    parser.add_argument(
        "--backend", choices=BACKENDS,
        help="of the image network; openvino is faster on a CPU (the checkpoint's test.backend)",
    )  # fmt: skip
    parser.add_argument(
        "--precision", choices=PRECISIONS,
        help="int8 is for openvino, and calibrated on the training tracklets (likewise)",
    )  # fmt: skip


def suggestions(message: str, words: list[str], options: list[str]) -> str:
    """Returns which options or choices were probably meant.

    Args:
        message: The error message of argparse.
        words: The words of the command line.
        options: The options there are.
    """
    choice = re.search(r"invalid choice: '([^']*)' \(choose from (.*)\)", message)
    if choice:
        near = difflib.get_close_matches(choice[1], re.findall(r"[\w.-]+", choice[2]), n=1)
    else:
        given = [word.partition("=")[0] for word in words if word.startswith("--")]
        unknown = [word for word in given if not any(o.startswith(word) for o in options)]
        near = [n for word in unknown for n in difflib.get_close_matches(word, options, n=1)]
    return f"; did you mean {' and '.join(near)}?" if near else ""


def gallery_place(text: str) -> Path | str:
    """Returns the place of a gallery, as `torchreid_occ.search.Gallery` takes it.

    Args:
        text: A folder, or an address such as ``postgresql://user@host/database``.
    """
    return text if "://" in text else Path(text)
