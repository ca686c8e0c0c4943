"""`python -m torchreid_occ` is the command `torchreid-occ`."""

from torchreid_occ.cli import main

if __name__ == "__main__":
    main()
