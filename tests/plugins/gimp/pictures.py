"""Make the pictures of docs/how-to/gimp.md: what is seen in a GIMP 3 on a virtual screen.

    python -m tests.plugins.gimp.pictures docs/how-to/gimp

Needs the tree of `.ci/gimp-tree`. The photo is scikit-image's rocket.
"""

import sys
import tempfile
from pathlib import Path

from PIL import Image

from tests.plugins.gimp.conftest import opened
from tests.plugins.gimp.screen import session
from tests.plugins.gimp.tree import root

PHOTO = (215, 112, 855, 539)
"""The image on the screen: left, top, right, bottom."""
MENU = (196, 22, 905, 430)
DIALOG = (353, 136, 767, 492)


def pictures(shots: Path, folder: Path) -> None:
    """Cut the screens down to what is meant."""
    seen = {path.stem: Image.open(path).convert("RGB") for path in shots.glob("*.png")}
    save(seen["menu"].crop(MENU), folder / "menu.jpg")
    save(seen["dialog"].crop(DIALOG), folder / "dialog.jpg")
    before, after = seen["before"].crop(PHOTO), seen["after"].crop(PHOTO)
    pair = Image.new("RGB", (2 * before.width + 8, before.height), "white")
    pair.paste(before, (0, 0))
    pair.paste(after, (before.width + 8, 0))
    save(pair.resize((pair.width * 3 // 4, pair.height * 3 // 4)), folder / "before-after.jpg")


def save(picture: Image.Image, path: Path) -> None:
    picture.save(path, quality=72, optimize=True)


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with opened(root()) as (gimp, workers), tempfile.TemporaryDirectory() as shots:
        report = session(gimp, workers, Path(shots))
        assert report["step_menu_dialog_fill_undo_redo"]["ok"], report
        pictures(Path(shots), folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
