"""The door to files of annotations: which tool wrote one, and its shapes of each photo.

A picture of such a file belongs to a photo by its name without suffix and, as far as both have
them, by its folders: `train/0001.jpg` is the photo `train/0001.jpg`, or the only `0001.jpg`.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath

from inpaintcli.errors import MaskMismatchError, UnreadableError
from inpaintcli.masks import coco, via
from inpaintcli.masks.drawings import AnnotatedPicture, Drawing
from inpaintcli.masks.json_stream import open_json
from inpaintcli.masks.labelme import KEYS as LABELME_KEYS
from inpaintcli.masks.names import composed

Reader = Callable[[Path, Callable[[str], bool], tuple[str, ...]], Iterator[AnnotatedPicture]]
"""Reads a file: the path, whether a picture of that name is wanted, labels of shapes (all if none).

Raises UnreadableError where the file is damaged; a wrong shape is the error of its picture.
"""


@dataclass(frozen=True)
class Kind:
    """A kind of annotation file.

    keys: members that such a file has, and no other kind. read: None for files of one picture.
    """

    name: str
    keys: tuple[str, ...]
    read: Reader | None


LABELME = Kind("LabelMe", LABELME_KEYS, None)
VIA_2 = Kind("VIA 2", via.KEYS_2, via.read_2)
KINDS = (LABELME, Kind("COCO", coco.KEYS, coco.read), VIA_2, Kind("VIA 3", via.KEYS_3, via.read_3))


def kind_of(path: Path) -> Kind:
    """The kind of a file, by its members; large ones are read only as far as that needs.

    Raises:
        UnreadableError: the file cannot be read, is no JSON object, or of none of the kinds.
    """
    with open_json(path) as stream:
        for number, name in enumerate(stream.members()):
            kind = next((kind for kind in KINDS if name in kind.keys), None)
            if kind is not None:
                return kind
            if number == 0:  # an export of VIA 2 has a member for each picture
                value = stream.value()
                if isinstance(value, dict) and "regions" in value:
                    return VIA_2
    raise UnreadableError(
        f"{path} is no file of annotations that is known.",
        hint="Files of LabelMe, COCO (with images and annotations) and VIA are read.",
    )


@dataclass(frozen=True)
class _Name:
    """A name without suffix, as its folders and its stem; and its suffix."""

    folders: tuple[str, ...]
    stem: str
    suffix: str

    @classmethod
    def of(cls, text: str) -> "_Name":
        path = composed(PurePosixPath(re.sub(r"^[A-Za-z]:", "", text.replace("\\", "/"))))
        parts = tuple(part for part in path.parts[:-1] if part not in {"/", "..", "."})
        return cls(parts, path.stem, path.suffix.lower())

    def shared(self, other: "_Name") -> int:
        """How many folders both have, if those of one are the last ones of the other; else -1."""
        count = min(len(self.folders), len(other.folders))
        mine, theirs = (one[len(one) - count :] for one in (self.folders, other.folders))
        return count if self.stem == other.stem and mine == theirs else -1

    def is_same(self, other: "_Name") -> bool:
        """Whether stem and folders are equal."""
        return (self.folders, self.stem) == (other.folders, other.stem)


class Annotations:
    """The shapes of an annotation file, by photo."""

    def __init__(
        self, path: Path, photos: Sequence[PurePath] | None, labels: tuple[str, ...]
    ) -> None:
        """Read a file.

        Args:
            path: the file; of many pictures.
            photos: relative paths of the photos that will be asked for; None for any, so that all
                shapes are kept.
            labels: of the shapes that count; all if there are none.

        Raises:
            UnreadableError: the file is damaged, or of no known kind.
        """
        self.name = path.name
        self._photos = None if photos is None else _by_stem(_Name.of(str(one)) for one in photos)
        self._pictures: defaultdict[str, list[tuple[_Name, AnnotatedPicture]]] = defaultdict(list)
        read = kind_of(path).read
        if read is None:
            raise UnreadableError(f"{path} is of one picture.")
        for picture in read(path, self._wants, labels):
            name = _Name.of(picture.file_name)
            self._pictures[name.stem].append((name, picture))

    def _wants(self, file_name: str) -> bool:
        return self._photos is None or _Name.of(file_name).stem in self._photos

    def of(self, photo: PurePath) -> tuple[Drawing, ...] | None:
        """The shapes of a photo, by its path relative to the folder of the run; None if not listed.

        Raises:
            MaskMismatchError: more than one picture of the file may be the photo, or the other way.
            UnreadableError: a shape of it is wrong.
        """
        name = _Name.of(str(photo))
        found = self._found(name)
        if not found:
            return None
        names = {picture.file_name for picture in found}
        if len(names) > 1:
            raise MaskMismatchError(
                f"{self.name} has more than one picture that may be {photo}: "
                f"{', '.join(sorted(names))}.",
                hint="Name the folder above the photos, so that their folders tell them apart.",
            )
        for picture in found:
            if picture.error is not None:
                raise picture.error
        return tuple(drawing for picture in found for drawing in picture.drawings)

    def _found(self, photo: _Name) -> list[AnnotatedPicture]:
        """The pictures of the file that may be a photo: of its whole path, else by their ends."""
        pictures = self._pictures.get(photo.stem, [])
        found = [one for one in pictures if one[0].is_same(photo)]
        if not found:
            most = max((one[0].shared(photo) for one in pictures), default=-1)
            found = [one for one in pictures if one[0].shared(photo) == most >= 0]
            found = [one for one in found if self._is_free(one[0], photo, most)]
        with_suffix = [one for one in found if one[0].suffix == photo.suffix]
        return [picture for _, picture in with_suffix or found]

    def _is_free(self, picture: _Name, photo: _Name, shared: int) -> bool:
        """Whether no other photo has a better or equal right to a picture of the file.

        Raises:
            MaskMismatchError: another one has an equal right.
        """
        others = [one for one in (self._photos or {}).get(photo.stem, ()) if not one.is_same(photo)]
        if any(picture.is_same(one) or picture.shared(one) > shared for one in others):
            return False
        rivals = [one for one in others if picture.shared(one) == shared and not self._has_own(one)]
        if rivals:
            raise MaskMismatchError(
                f"The picture {'/'.join((*picture.folders, picture.stem))} of {self.name} may be "
                f"any of {len(rivals) + 1} photos of that name.",
                hint="Annotate with the folders' names, or fill one folder at a time.",
            )
        return True

    def _has_own(self, photo: _Name) -> bool:
        return any(name.is_same(photo) for name, _ in self._pictures.get(photo.stem, ()))


def _by_stem(names: Iterator[_Name]) -> dict[str, list[_Name]]:
    found: defaultdict[str, list[_Name]] = defaultdict(list)
    for name in names:
        found[name.stem].append(name)
    return dict(found)
