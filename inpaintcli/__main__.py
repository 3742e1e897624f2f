"""`python -m inpaintcli`: the same program."""

import sys
from pathlib import Path

# -m puts the working directory first on the path, where a folder of the user's own named
# `engines` or `training` would shadow ours.
if sys.path and Path(sys.path[0] or ".").resolve() == Path.cwd():
    here = Path(__file__).resolve().parent.parent
    sys.path[:] = [
        p for p in sys.path if Path(p or ".").resolve() != Path.cwd() or here == Path.cwd()
    ]

from inpaintcli.cli import main  # only now is the path ours

if __name__ == "__main__":
    main()
