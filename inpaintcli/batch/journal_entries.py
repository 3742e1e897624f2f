"""The lines of a journal and how they are read; journal.py writes them."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Self

from inpaintcli.batch.fingerprints import Digest, FileStamp, JobFingerprint, digest_of
from inpaintcli.errors import OutputError
from inpaintcli.masks.source import ALPHA
from inpaintcli.storage.locations import Location

SCHEMA = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class JournalEntry:
    """One line: what happened to one output.

    `output` is relative to the output folder, with slashes. `photo` and `mask` are as the user gave
    them. Names of files of this machine are `portable_name`s. `fingerprint` is None where photo or
    mask could not be read. `sha256` is the output's; `temporary` the name, in the output's folder,
    under which it is written first; `error` as in a result line.
    """

    status: Literal["writing", "filled", "failed"]
    output: str
    photo: str
    mask: str | None
    fingerprint: JobFingerprint | None = None
    sha256: str | None = None
    temporary: str | None = None
    seconds: float = 0.0
    error: dict[str, Any] | None = None

    def to_line(self) -> bytes:
        """The line, with its newline; in ASCII, so that names that are not UTF-8 are kept."""
        fields = {
            "schema": SCHEMA,
            "status": self.status,
            "output": self.output,
            "photo": self.photo,
            "mask": self.mask,
            "key": _fingerprint_to_json(self.fingerprint) if self.fingerprint else None,
            "sha256": self.sha256,
            "temporary": self.temporary,
            "seconds": round(self.seconds, 3),
            "error": self.error,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        return json.dumps(fields).encode("ascii") + b"\n"

    def matches(self, output: Location) -> bool:
        """Whether that file still has the content that was written.

        Raises:
            OSError: it cannot be read.
        """
        return self.sha256 is not None and digest_of(output).sha256 == self.sha256

    @classmethod
    def from_line(cls, line: bytes) -> Self:
        """The entry in a line.

        Raises:
            ValueError, KeyError, TypeError: the line is damaged, or of another kind.
        """
        fields = json.loads(line)
        return cls(
            status=fields["status"],
            output=fields["output"],
            photo=fields["photo"],
            mask=fields["mask"],
            fingerprint=_fingerprint_from_json(fields["key"]) if fields["key"] else None,
            sha256=fields["sha256"],
            temporary=fields["temporary"],
            seconds=fields["seconds"],
            error=fields["error"],
        )


class JournalIndex:
    """The valid entries of a journal: for each output, where its lines begin in the file.

    Of several lines about one output the last one is valid. `whole_bytes` is the length of the file
    without a torn last line, `lines` the number of its whole lines.
    """

    def __init__(self, path: Path) -> None:
        """Read the journal; one that does not exist is empty.

        Raises:
            OutputError: the file cannot be read, or another version of the program wrote it.
        """
        self._path = path
        self._last: dict[str, int] = {}
        self._filled: dict[str, int] = {}
        self._announced: dict[str, int] = {}
        self.whole_bytes = 0
        self.lines = 0
        try:
            with path.open("rb") as file:
                for line in file:
                    self._index(line)
        except FileNotFoundError:
            return
        except OSError as error:
            raise unusable(path, "read", error) from error

    def last(self, output: str) -> JournalEntry | None:
        """The last entry of an output that says how it ended."""
        return self._at(self._last.get(output))

    def last_filled(self, output: str) -> JournalEntry | None:
        """The entry of the last time that an output was filled."""
        return self._at(self._filled.get(output))

    @property
    def valid(self) -> int:
        """The number of valid lines."""
        return len(self._valid_offsets())

    def valid_lines(self) -> Iterator[bytes]:
        """The valid lines, in their order."""
        with self._path.open("rb") as file:
            for offset in sorted(self._valid_offsets()):
                file.seek(offset)
                yield file.readline()

    def _valid_offsets(self) -> set[int]:
        indexes = (self._last, self._filled, self._announced)
        return {offset for index in indexes for offset in index.values()}

    def unfinished(self) -> Iterator[JournalEntry]:
        """Entries of outputs that were announced, without a line that says how they ended."""
        for offset in list(self._announced.values()):
            entry = self._at(offset)
            if entry is not None:
                yield entry

    def _index(self, line: bytes) -> None:
        offset = self.whole_bytes
        if not line.endswith(b"\n"):
            return  # torn: the process was killed while it wrote this line
        self.whole_bytes += len(line)
        self.lines += 1
        try:
            fields = json.loads(line)
            schema, status, output = fields["schema"], fields["status"], str(fields["output"])
        except (ValueError, KeyError, TypeError):
            return  # damaged: as if nothing were known of that output
        if schema != SCHEMA:
            raise OutputError(
                f"{self._path} was written by another version of inpaintcli (schema {schema}).",
                hint="Use that version, or another output folder.",
            )
        if status == "writing":
            self._announced[output] = offset
            return
        self._announced.pop(output, None)
        self._last[output] = offset
        if status == "filled":
            self._filled[output] = offset

    def _at(self, offset: int | None) -> JournalEntry | None:
        if offset is None:
            return None
        with self._path.open("rb") as file:
            file.seek(offset)
            line = file.readline()
        try:
            return JournalEntry.from_line(line)
        except (ValueError, KeyError, TypeError):
            return None


def portable_name(name: str) -> str:
    """The name of a file of this machine, as it is in journals: the same in every locale.

    On Unix names are bytes, which Python decodes as the locale says. In journals they are decoded
    as UTF-8, with surrogates for what is not.
    """
    return name if os.name == "nt" else os.fsencode(name).decode("utf-8", "surrogateescape")


def local_name(name: str) -> str:
    """The inverse of `portable_name`, in the present locale.

    Raises:
        ValueError: no file can have that name.
    """
    return name if os.name == "nt" else os.fsdecode(name.encode("utf-8", "surrogateescape"))


def unusable(path: Path, what: str, error: OSError) -> OutputError:
    """The error of a journal that cannot be read or written, as `what` says."""
    return OutputError(
        f"The journal {path} cannot be {what}: {error.strerror or error}.",
        hint="Check the folder's permissions and free space, or name another output folder.",
    )


def _fingerprint_to_json(fingerprint: JobFingerprint) -> dict[str, Any]:
    return {
        "photo": _digest_to_json(fingerprint.photo),
        "mask": _digest_to_json(fingerprint.mask) if fingerprint.mask else None,
        "model": fingerprint.model,
        "options": fingerprint.options,
        "parts": fingerprint.parts,
    }


def _fingerprint_from_json(fields: dict[str, Any]) -> JobFingerprint:
    mask = fields["mask"]
    return JobFingerprint(
        _digest_from_json(fields["photo"]),
        _digest_from_json(mask) if mask else None,
        fields["model"],
        fields["options"],
        # Of versions without shapes and colours: what had no mask file was filled by its alpha.
        fields.get("parts", "" if mask else ALPHA),
    )


def _digest_to_json(digest: Digest) -> dict[str, Any]:
    stamp = digest.stamp
    values: list[int | str] | None = None
    if stamp is not None:
        values = [stamp.size, stamp.modified_ns, stamp.changed_ns]
        values += [stamp.version] if stamp.version else []
    return {"sha256": digest.sha256, "stamp": values}


def _digest_from_json(fields: dict[str, Any]) -> Digest:
    stamp = fields["stamp"]
    return Digest(fields["sha256"], FileStamp(*stamp) if stamp else None)
