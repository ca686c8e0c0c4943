"""The console command `torchreid-occ`: a file a subcommand, which parses and calls the library.

At the top these files import the standard library only, so that help and a mistyped option need no
torch; each imports what it runs when it runs.
"""

from torchreid_occ.cli.command import main

__all__ = ["main"]
