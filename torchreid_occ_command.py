"""Entry of the console command `torchreid-occ`: parses the command line before importing torch.

Importing any part of `torchreid_occ` runs its `__init__`, which registers with torchreid and so
imports torch, for seconds. This module lies beside the package and delays that: it makes the
package importable without running its `__init__`, and runs it after the command line was parsed.
"""

import importlib.util
import sys
from collections.abc import Sequence


def main(words: Sequence[str] | None = None) -> None:
    """Runs the command.

    Args:
        words: The command line after the command's name; that of the process if None.
    """
    if "torchreid_occ" in sys.modules:
        from torchreid_occ.cli import main as run

        run(words)
        return
    spec = importlib.util.find_spec("torchreid_occ")
    if spec is None or spec.loader is None:
        sys.exit("error: the package torchreid_occ is not installed beside its command.")
    package = importlib.util.module_from_spec(spec)
    sys.modules["torchreid_occ"] = package
    from torchreid_occ.cli import main as run
    from torchreid_occ.cli.cores import share_cores

    share_cores()
    loader = spec.loader
    run(words, load=lambda: loader.exec_module(package))


if __name__ == "__main__":
    main()
