"""The result as a file: in the photo's format and depth, with its metadata, never over the photo.

What is written is what `inpaintcli fill` writes with the same masks and options, byte for byte.
"""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from inpaintcli.errors import OutputError, UnreadableError, UsageError
from inpaintcli.imaging.images import check_writable, picture_bytes, write_bytes
from inpaintcli.options import ModelChoice
from inpaintcli.storage.folders import make_folder
from inpaintcli.ui.edits import HARMONIZE, Edit
from inpaintcli.ui.open_photo import OpenPhoto
from inpaintcli.ui.photo_list import PhotoFile


@dataclass(frozen=True)
class Saver:
    """Saves into the folder `output`, or beside the photos where it is None.

    choice: the default model and what runs models, for the command line.
    """

    output: Path | None
    choice: ModelChoice

    def target(self, file: PhotoFile) -> Path | None:
        """Where a photo's result goes; None for one that was sent, and has no folder here."""
        path = file.path
        if self.output is not None:
            target = self.output.absolute() / (path.name if file.is_upload else file.name)
            if target != path:
                return target
        elif file.is_upload:
            return None
        return path.with_name(f"{path.stem}.filled{path.suffix}")

    def save(self, file: PhotoFile, photo: OpenPhoto, *, overwrite: bool) -> Path:
        """Write the result.

        Raises:
            UsageError: there is no place for it.
            OutputError: it exists and `overwrite` is false, or it cannot be written.
        """
        target = self.target(file)
        if target is None:
            raise UsageError(
                "This photo was dropped in, and has no folder to be saved to.",
                hint="Download the result, or start with -o FOLDER.",
            )
        if target.exists() and target.samefile(file.path):
            raise OutputError(f"{target} is the photo itself, which is never changed.")
        make_folder(target.parent)
        check_writable(target, source=file.path, overwrite=overwrite)
        write_bytes(result_bytes(photo), target, overwrite)
        photo.note_saved(target)
        return target

    def command(self, file: PhotoFile, photo: OpenPhoto) -> str:
        """The commands that do the same, a line for each fill."""
        fills = [edit for edit in photo.history.fills if edit.result is not None]
        names = self._outputs(file, len(fills))
        source, lines = str(file.path), []
        for edit, output in zip(fills, names, strict=True):
            mask = str(photo.store.mask_path(edit.id))
            words = ["inpaintcli", edit.kind, source, "--mask", mask, *self._options(edit)]
            lines.append(shlex.join([*words, "-o", output]))
            source = output
        return "\n".join(lines)

    def _outputs(self, file: PhotoFile, count: int) -> list[str]:
        """The output of each command: steps in between beside the last."""
        last = self.target(file) or Path(f"{file.path.stem}.filled{file.path.suffix}")
        steps = [last.with_name(f"{last.stem}.{n}{last.suffix}") for n in range(1, count)]
        return [str(path) for path in (*steps, last)][-count:] if count else []

    def _options(self, edit: Edit) -> Iterator[str]:
        choice, values = self.choice, edit.values
        if edit.kind == HARMONIZE:
            yield from ("--amount", f"{values['amount']}%")
            return
        given = {
            "--model": values["model"] or choice.model,
            "--engine": choice.engine,
            "--device": choice.device,
            "--precision": choice.precision,
            "--detail": values["detail"],
            "--grow": values["grow"],
            "--seed": edit.result,
        }
        for name, value in given.items():
            if value not in {None, "auto", 0}:
                yield from (name, str(value))


def result_bytes(photo: OpenPhoto) -> bytes:
    """The file of the present picture; the photo's own bytes where nothing is filled.

    Raises:
        OutputError: a fill is not done yet, or the format cannot hold the result.
        UnreadableError: the photo is gone.
    """
    if photo.next_work() is not None:
        raise OutputError("A fill is not done yet.", hint="Wait for it, or cancel it.")
    if not any(edit.result is not None for edit in photo.history.fills):
        return _content(photo.path)
    return picture_bytes(photo.picture(), photo.path.suffix, name=photo.path.name)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UnreadableError(f"{path} cannot be read: {error.strerror}.") from error
