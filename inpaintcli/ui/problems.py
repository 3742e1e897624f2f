"""What the page is refused, with the HTTP status of each kind of error."""

from inpaintcli_engines.base import EngineError

from inpaintcli.errors import (
    InpaintError,
    MaskMismatchError,
    OutputError,
    UnreadableError,
    UsageError,
)


class NotFoundError(UsageError):
    """There is no such photo, edit or file."""


class TooLargeError(UsageError):
    """More was sent than is accepted."""


class CancelledError(Exception):
    """A fill was cancelled."""


STATUSES: tuple[tuple[type[Exception], int], ...] = (
    (NotFoundError, 404),
    (TooLargeError, 413),
    (UsageError, 400),
    (UnreadableError, 415),
    (MaskMismatchError, 422),
    (OutputError, 409),
)


def status_of(error: InpaintError | EngineError) -> int:
    """The HTTP status for an expected error; 500 where it is no fault of the request."""
    return next((status for kind, status in STATUSES if isinstance(error, kind)), 500)


def to_json(error: InpaintError | EngineError) -> dict[str, str]:
    """The error as the page shows it."""
    return {"message": error.message, "hint": error.hint}
