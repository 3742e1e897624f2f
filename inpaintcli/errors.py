"""Every error that a user can cause, each with its exit code, and the codes themselves."""

from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """What the process returns; the numbers are part of the command line's contract."""

    OK = 0
    SOME_FAILED = 1
    USAGE = 2
    UNREADABLE = 3
    MASK_MISMATCH = 4
    OUTPUT = 5
    MODEL = 6
    ENGINE_UNAVAILABLE = 7
    ENGINE_FAILED = 8
    FAULT = 70
    INTERRUPTED = 130


class InpaintError(Exception):
    """An expected failure: names the thing and the fact in its message, the way out in `hint`."""

    code: ClassVar[ExitCode] = ExitCode.FAULT

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".rstrip()


class UsageError(InpaintError):
    """The command line, or a setting, is wrong."""

    code = ExitCode.USAGE


class UnreadableError(InpaintError):
    """A photo or mask cannot be read, or its format is not supported."""

    code = ExitCode.UNREADABLE


class MaskMismatchError(InpaintError):
    """Mask and photo do not fit each other."""

    code = ExitCode.MASK_MISMATCH


class OutputError(InpaintError):
    """The output exists already or cannot be written."""

    code = ExitCode.OUTPUT


class ModelError(InpaintError):
    """A model is missing or damaged."""

    code = ExitCode.MODEL


class FaultError(InpaintError):
    """A fault of the program itself; as the outcome of one photo it does not stop the others."""

    code = ExitCode.FAULT
