"""Fill, find objects and put them in, as GIMP asks, with the one pipeline; models stay open."""

import math
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import cast

import cv2
import numpy as np

from inpaintcli.errors import MaskMismatchError, ModelError
from inpaintcli.gimp.guided_work import put_in_as_asked
from inpaintcli.gimp.picture_request import FillRequest
from inpaintcli.gimp.samples import Work, work_of
from inpaintcli.imaging.picture import Mask
from inpaintcli.imaging.regions import bounding_box
from inpaintcli.inpaint.pipeline import Filled, Model, fill, open_model
from inpaintcli.models.cards import cards, find_card
from inpaintcli.objects.harmonize import harmonizer_name
from inpaintcli.objects.remove import find_objects
from inpaintcli.objects.segment.prompts import Prompt
from inpaintcli.objects.segment.select import open_segmenter
from inpaintcli.options import Detail, Method


class CancelledError(Exception):
    """Whoever asked has gone."""


@dataclass
class Progress:
    """What a request is doing, set by one thread and read by another."""

    text: str = "Starting"
    share: float | None = None
    cancelled: threading.Event = field(default_factory=threading.Event)
    notes: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        """Something worth saying; the place where work ends that nobody waits for.

        Raises:
            CancelledError: nobody waits for it.
        """
        self.check()
        self.text = text
        self.notes.append(text)

    def progress(self, task: str, share: float) -> None:
        """What an engine says while it loads."""
        self.text, self.share = task, share

    def check(self) -> None:
        """Go on, or not.

        Raises:
            CancelledError: nobody waits for the answer.
        """
        if self.cancelled.is_set():
            raise CancelledError


@dataclass(frozen=True)
class Answer:
    """The filled part of the picture as bytes, or the hole of an object, and what it took.

    box: left, top, width, height of that hole in the picture; None for a fill.
    """

    data: bytes
    seconds: float
    model: str
    engine: str
    box: tuple[int, int, int, int] | None = None


@dataclass
class FillService:
    """Models that stay open, and one request at a time.

    `engine`, `device` and `precision` are those of `open_model`.
    """

    engine: str = "auto"
    device: str = "auto"
    precision: str = "auto"
    _open: dict[str, Model] = field(default_factory=dict)

    def fill(self, request: FillRequest, payload: bytes | bytearray, progress: Progress) -> Answer:
        """The part of the picture that the request wants.

        Raises:
            InpaintError, EngineError: as the pipeline has them.
            CancelledError: nobody waits for it any more.
            MemoryError: the picture is too large for this machine.
        """
        progress.text = "Loading the model"
        model = self._model(request.model, progress)
        work = work_of(request, payload)
        _check_sources(work)
        progress.text = "Filling"
        filled = _filled(work, model, request.detail, progress)
        picture = filled.picture
        if request.reveal and picture.alpha is not None:
            opaque = np.asarray(np.iinfo(picture.alpha.dtype).max, picture.alpha.dtype)
            shown = enclosed(picture.alpha == 0, work.hole)
            picture = picture.with_alpha(np.where(shown, opaque, picture.alpha))
        name, info = model.card.name, model.engine.info
        return Answer(work.answer(picture), filled.seconds, name, f"{info.name} on {info.device}")

    def find(self, request: FillRequest, payload: bytes | bytearray, progress: Progress) -> Answer:
        """What has to be filled so that nothing of an object stays.

        Raises:
            InpaintError, EngineError: as `find_objects` has them.
            MemoryError: the picture is too large for this machine.
        """
        progress.text = "Looking for the object"
        started = time.perf_counter()
        work = work_of(request, payload)
        prompt = _prompt(work)
        with open_segmenter(engine=self.engine, device=self.device) as segmenter:
            found = find_objects(work.picture, [prompt], segmenter)
            name = segmenter.name
        progress.check()
        box = bounding_box(found.hole)
        assert box is not None  # noqa: S101 - an object that is nothing is an error
        data = (found.hole[box.slices] * np.uint8(255)).tobytes()
        place = (box.left, box.top, box.width, box.height)
        return Answer(data, time.perf_counter() - started, name, "", place)

    def guided(
        self, request: FillRequest, payload: bytes | bytearray, progress: Progress
    ) -> Answer:
        """An object of the guide put into the picture, as the command `guided` does it.

        Raises:
            InpaintError, EngineError: as `find_in_guide` and `put_in` have them.
            CancelledError: nobody waits for it any more.
            MemoryError: the pictures are too large for this machine.
        """
        started = time.perf_counter()
        name = harmonizer_name(cast("Method", request.method), request.model or None)
        model = None if name is None else self._model(name, progress)
        progress.text = "Putting the object in"
        with open_segmenter(engine=self.engine, device=self.device) as segmenter:
            data, notes = put_in_as_asked(request, payload, segmenter, model)
        progress.check()
        progress.notes.extend(notes)
        return Answer(data, time.perf_counter() - started, name or "", "")

    def close(self) -> None:
        """Close all models."""
        for model in self._open.values():
            with suppress(Exception):
                model.engine.close()
        self._open.clear()

    def _model(self, name: str, progress: Progress) -> Model:
        """An open model; one at a time stays open."""
        known = cards()
        if name and name not in known:
            hint = f"Leave it empty, or name one of: {', '.join(sorted(known))}."
            raise ModelError(f"There is no model '{name}'.", hint=hint)
        fingerprint = find_card(name or None).fingerprint  # of one that was replaced, another
        if fingerprint not in self._open:
            self.close()
            self._open[fingerprint] = open_model(
                name or None,
                engine=self.engine,
                device=self.device,
                precision=self.precision,
                report=progress,
            )
        return self._open[fingerprint]


def _prompt(work: Work) -> Prompt:
    """The selection as a box where it is one, else as an outline."""
    if work.hole[work.box.slices].all():
        return Prompt.of_box(work.box, work.hole.shape)
    return Prompt.of_area(work.hole, "the selection")


def _check_sources(work: Work) -> None:
    """Check that the picture shows anything outside the hole.

    Raises:
        MaskMismatchError: it is wholly transparent there.
    """
    alpha = work.picture.alpha
    if alpha is not None and not (alpha[~work.hole] > 0).any():
        raise MaskMismatchError(
            "Around the selection the layer is transparent: there is nothing to fill it from.",
            hint="Choose another layer, or let the program look at what is seen.",
        )


def _filled(work: Work, model: Model, detail: str, progress: Progress) -> Filled:
    def report(share: float) -> None:
        progress.check()
        progress.share = share

    kind = cast("Detail", detail)  # checked with the request
    notes = progress.note
    return fill(work.picture, work.hole, model, detail=kind, notes=notes, progress=report)


def enclosed(transparent: Mask, hole: Mask) -> Mask:
    """The transparent pixels that a hole is meant to fill: (h, w) bool, True where they are.

    Those are the connected parts (8 neighbours) that lie inside the hole; and all, where the hole
    holds nothing but transparent pixels. A part that goes on outside of the hole is the ground of
    a cut-out, which a hole over its edge must not paint on.
    """
    inside = transparent & hole
    if not inside.any() or not (hole & ~transparent).any():
        return inside
    count, labels = cv2.connectedComponents(transparent.astype(np.uint8), connectivity=8)
    goes_on = np.zeros(count, np.bool_)
    goes_on[labels[transparent & ~hole]] = True
    return np.asarray(inside & ~goes_on[labels], np.bool_)


def memory_text(request: FillRequest) -> str:
    """What to say where the memory is too little."""
    size = math.ceil(request.payload / 2**20)
    return (
        f"This machine's memory is too little for a picture of {request.width}x{request.height} "
        f"({size} MiB): close other programs, or crop or scale the image."
    )
