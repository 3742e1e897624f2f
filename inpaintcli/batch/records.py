"""The lines of a journal, and what can be read from them; inpaintcli/batch/journal.py writes them."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Self

from inpaintcli.batch.fingerprints import Digest, JobFingerprint, Stamp, digest_of
from inpaintcli.errors import OutputError
from inpaintcli.storage.locations import Location

SCHEMA = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class JournalEntry:
    """One line: what happened to one output.

    `output` is relative to the folder of the outputs, with slashes. `photo` and `mask` are places
    as they were named, for people. `key` is None where photo or mask could not be read. `sha256`
    is the output's; `temporary` the name, beside the output, under which it is written; `error` as
    in a result line.
    """

    status: Literal["writing", "filled", "failed"]
    output: str
    photo: str
    mask: str | None
    key: JobFingerprint | None = None
    sha256: str | None = None
    temporary: str | None = None
    seconds: float = 0.0
    error: dict[str, Any] | None = None

    def to_line(self) -> bytes:
        """The line, with its newline; in ASCII, so that names that are not UTF-8 survive."""
        fields = {
            "schema": SCHEMA,
            "status": self.status,
            "output": self.output,
            "photo": self.photo,
            "mask": self.mask,
            "key": _key_to_json(self.key) if self.key else None,
            "sha256": self.sha256,
            "temporary": self.temporary,
            "seconds": round(self.seconds, 3),
            "error": self.error,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        return json.dumps(fields).encode("ascii") + b"\n"

    def holds(self, output: Location) -> bool:
        """Whether that file is still as it was written.

        Raises:
            OSError: it cannot be read.
        """
        return self.sha256 is not None and digest_of(output).sha256 == self.sha256

    @classmethod
    def from_line(cls, line: bytes) -> Self:
        """The entry in a line.

        Raises:
            ValueError, KeyError, TypeError: it is no such line.
        """
        fields = json.loads(line)
        return cls(
            status=fields["status"],
            output=fields["output"],
            photo=fields["photo"],
            mask=fields["mask"],
            key=_key_from_json(fields["key"]) if fields["key"] else None,
            sha256=fields["sha256"],
            temporary=fields["temporary"],
            seconds=fields["seconds"],
            error=fields["error"],
        )


class JournalEntries:
    """What a journal says now. Holds places in the file, not the lines."""

    def __init__(self, path: Path) -> None:
        """Find the lines that count.

        Raises:
            OutputError: the file cannot be read, or a newer version wrote it.
        """
        self._path = path
        self._last: dict[str, int] = {}
        self._filled: dict[str, int] = {}
        self._begun: dict[str, int] = {}
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
        """The last settled entry of an output."""
        return self._at(self._last.get(output))

    def last_filled(self, output: str) -> JournalEntry | None:
        """The entry of an output's last filling: what is ours to replace."""
        return self._at(self._filled.get(output))

    @property
    def counting(self) -> int:
        """How many lines still say something."""
        return len(self._counting())

    def counting_lines(self) -> Iterator[bytes]:
        """Those lines, in their order."""
        with self._path.open("rb") as file:
            for place in sorted(self._counting()):
                file.seek(place)
                yield file.readline()

    def _counting(self) -> set[int]:
        indexes = (self._last, self._filled, self._begun)
        return {place for index in indexes for place in index.values()}

    def begun(self) -> Iterator[JournalEntry]:
        """Entries of outputs that were announced and never settled."""
        for place in list(self._begun.values()):
            entry = self._at(place)
            if entry is not None:
                yield entry

    def _index(self, line: bytes) -> None:
        place = self.whole_bytes
        if not line.endswith(b"\n"):
            return  # torn: the process was killed while it wrote
        self.whole_bytes += len(line)
        self.lines += 1
        try:
            fields = json.loads(line)
            schema, status, output = fields["schema"], fields["status"], str(fields["output"])
        except (ValueError, KeyError, TypeError):
            return  # not ours, or damaged: as if that output were unknown
        if schema != SCHEMA:
            raise OutputError(
                f"{self._path} was written by another version of inpaintcli (schema {schema}).",
                hint="Use that version, or another output folder.",
            )
        if status == "writing":
            self._begun[output] = place
            return
        self._begun.pop(output, None)
        self._last[output] = place
        if status == "filled":
            self._filled[output] = place

    def _at(self, place: int | None) -> JournalEntry | None:
        if place is None:
            return None
        with self._path.open("rb") as file:
            file.seek(place)
            line = file.readline()
        try:
            return JournalEntry.from_line(line)
        except (ValueError, KeyError, TypeError):
            return None


def unusable(path: Path, what: str, error: OSError) -> OutputError:
    """The error of a journal that cannot be read, written or locked, as `what` says."""
    return OutputError(
        f"The journal {path} cannot be {what}: {error.strerror or error}.",
        hint="See to the folder's rights and free space, or name another output folder.",
    )


def _key_to_json(key: JobFingerprint) -> dict[str, Any]:
    return {
        "photo": _digest_to_json(key.photo),
        "mask": _digest_to_json(key.mask) if key.mask else None,
        "model": key.model,
        "options": key.options,
    }


def _key_from_json(fields: dict[str, Any]) -> JobFingerprint:
    mask = fields["mask"]
    return JobFingerprint(
        _digest_from_json(fields["photo"]),
        _digest_from_json(mask) if mask else None,
        fields["model"],
        fields["options"],
    )


def _digest_to_json(digest: Digest) -> dict[str, Any]:
    stamp = digest.stamp
    told: list[int | str] | None = None
    if stamp is not None:
        told = [stamp.size, stamp.modified_ns, stamp.changed_ns]
        told += [stamp.tag] if stamp.tag else []
    return {"sha256": digest.sha256, "stamp": told}


def _digest_from_json(fields: dict[str, Any]) -> Digest:
    stamp = fields["stamp"]
    return Digest(fields["sha256"], Stamp(*stamp) if stamp else None)
