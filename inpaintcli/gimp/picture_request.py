"""What GIMP's plug-in asks of the worker besides pixels, checked by both.

Standard library only, and nothing of the project: `inpaintcli gimp install` copies this file beside
the plug-in, as it does `protocol.py`.
"""

from dataclasses import asdict, dataclass
from typing import Any

MAX_PAYLOAD = 2 * 1024**3
"""Bytes of pictures and hole in one request."""
MAX_SIDE = 524_288
"""Pixels; GIMP's own limit."""
SAMPLE_BYTES = {"u8": 1, "u16": 2, "f32": 4}
DETAILS = ("auto", "network", "patches")
METHODS = ("auto", "predicted", "model", "reinhard")
PICTURE_REQUESTS = ("fill", "find", "guided")
_FLOAT_BYTES = 16
"""Of a pixel of the object, which is computed in four floats."""
Rectangle = tuple[int, int, int, int]
"""Left, top, width, height."""


class RequestError(Exception):
    """A request that has a field too many or too few, or one with a value that it cannot have."""


@dataclass(frozen=True)
class Guide:
    """The picture of which an object is put into the other one.

    width, height, channels: as of the other picture, and its samples are of the same kind. box:
    around the object, in the guide. place: where that box goes in the other picture; a part of it
    may lie outside.
    """

    width: int
    height: int
    channels: int
    box: Rectangle
    place: Rectangle

    def problem(self) -> str:
        """What is wrong with the fields; empty where nothing is."""
        if problem := _problem_of_picture(self.width, self.height, self.channels, self.box):
            return f"of the guide, {problem}"
        place = self.place
        if len(place) != 4 or any(type(n) is not int or abs(n) > MAX_SIDE for n in place):
            return "the object's place must be whole numbers"
        if place[2] <= 0 or place[3] <= 0:
            return "the object's place is empty"
        needed = place[2] * place[3] * _FLOAT_BYTES
        return f"an object of {needed} bytes is too large" if needed > MAX_PAYLOAD else ""


@dataclass(frozen=True)
class FillRequest:
    """What is asked of the worker besides pixels.

    request: `fill`; or `find`: the bytes of the hole are then an outline around an object, and the
    answer is what has to be filled so that nothing of it stays, a byte a pixel (0 or 255) of the
    `box` in the answer's message: left, top, width, height in the picture; or `guided`: an object
    of the `guide` is put into the picture, where the hole is, all of its box.

    width, height, channels: of the picture; 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha.
    samples: u8, u16 or f32, in the byte order of this machine, with the transfer curve of the
    picture's profile; 0 to 1 in floats, values outside allowed. box: left, top, width, height of
    the part of the picture that the hole lies in: its bytes (0 known, 255 hole) follow the
    picture's, and the answer is that part of the filled picture, with all channels. model: a
    model's name, empty for the default. detail: whose texture. reveal: whether transparent holes
    of the picture that lie inside the hole become opaque. process: of the asking plug-in.

    guide: of `guided` alone; its bytes follow the hole's, and the box is the part of its place that
    is in the picture. The answer begins with a byte a pixel of the box, the opacity of what is new
    there, 0 where nothing has changed. method, amount: how the object is made to fit, as of the
    command `guided`, the amount in percent.
    """

    width: int
    height: int
    channels: int
    samples: str
    box: Rectangle
    model: str = ""
    detail: str = "auto"
    reveal: bool = False
    process: int = 0
    request: str = "fill"
    guide: "Guide | None" = None
    method: str = "auto"
    amount: int = 100

    def __post_init__(self) -> None:
        problem = self._problem()
        if problem:
            raise RequestError(problem)

    def _problem(self) -> str:
        """What is wrong with the fields; empty where nothing is."""
        problem = _problem_of_picture(self.width, self.height, self.channels, self.box)
        if problem:
            return problem
        if self.samples not in SAMPLE_BYTES:
            return f"samples of {self.samples!r} are not known"
        return self._problem_of_words() or self._problem_of_guide()

    def _problem_of_words(self) -> str:
        if type(self.process) is not int or type(self.reveal) is not bool:
            return "process or reveal is not known"
        if type(self.model) is not str or any(mark in self.model for mark in "/\\:\0"):
            return "a model is named by its name, not by a path"
        if self.detail not in DETAILS or self.method not in METHODS:
            return "detail or method is not known"
        if type(self.amount) is not int or not 0 <= self.amount <= 100:
            return "the amount is not one of 0 to 100"
        if self.request not in PICTURE_REQUESTS:
            return f"it is not one of {', '.join(PICTURE_REQUESTS)}"
        return ""

    def _problem_of_guide(self) -> str:
        if (self.guide is not None) != (self.request == "guided"):
            return "a guide belongs to guided, and to nothing else"
        problem = "" if self.guide is None else self.guide.problem() or self._problem_of_place()
        if not problem and self.payload > MAX_PAYLOAD:
            return f"{self.payload} bytes are more than the {MAX_PAYLOAD} that one request may have"
        return problem

    def _problem_of_place(self) -> str:
        """The box is the part of the place that is in the picture."""
        assert self.guide is not None  # noqa: S101 - asked for guided alone
        left, top, width, height = self.guide.place
        right, bottom = min(left + width, self.width), min(top + height, self.height)
        left, top = max(left, 0), max(top, 0)
        inside = (left, top, right - left, bottom - top)
        return "" if inside == self.box else "the object's place is not the box of the picture"

    @property
    def pixel_bytes(self) -> int:
        """Bytes of one pixel."""
        return self.channels * SAMPLE_BYTES[self.samples]

    @property
    def picture_bytes(self) -> int:
        """Bytes of the picture."""
        return self.width * self.height * self.pixel_bytes

    @property
    def hole_bytes(self) -> int:
        """Bytes of the hole's part of the mask."""
        return self.box[2] * self.box[3]

    @property
    def guide_bytes(self) -> int:
        """Bytes of the guide."""
        if self.guide is None:
            return 0
        pixels = self.guide.width * self.guide.height
        return pixels * self.guide.channels * SAMPLE_BYTES[self.samples]

    @property
    def payload(self) -> int:
        """Bytes that follow the request."""
        return self.picture_bytes + self.hole_bytes + self.guide_bytes

    @property
    def answer_bytes(self) -> int:
        """Bytes that the answer has; those of a `find` are known from its message alone."""
        return self.hole_bytes * (self.pixel_bytes + (self.request == "guided"))

    def fields(self) -> dict[str, Any]:
        """As the message has them."""
        return asdict(self)


def _problem_of_picture(width: int, height: int, channels: int, box: Rectangle) -> str:
    numbers = (width, height, channels, *box)
    if len(box) != 4 or any(type(number) is not int for number in numbers):
        return "sizes and box must be whole numbers"
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
        return f"a picture of {width}x{height} is none"
    if channels not in (1, 2, 3, 4):
        return f"{channels} channels are not known"
    left, top, columns, rows = box
    inside = 0 <= left < left + columns <= width
    if not (inside and 0 <= top < top + rows <= height):
        return f"the box {box} is not inside the picture"
    return ""


def fill_request(fields: dict[str, Any]) -> FillRequest:
    """A message as a request.

    Raises:
        RequestError: a field is missing, not known, or has no such value.
    """
    given = dict(fields)
    try:
        given["box"] = tuple(given["box"])
        if given.get("guide") is not None:
            guide = dict(given["guide"])
            boxes = {name: tuple(guide[name]) for name in ("box", "place")}
            given["guide"] = Guide(**{**guide, **boxes})
        return FillRequest(**given)
    except (KeyError, TypeError, ValueError) as error:
        raise RequestError(f"the request lacks a field or has one too many: {error}") from error
