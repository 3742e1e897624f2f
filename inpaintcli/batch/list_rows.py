"""The rows of a list of pairs, from CSV or JSON lines, as people and spreadsheets write them.

CSV: separated by commas, semicolons or tabs; UTF-8, or UTF-16 with a byte order mark. Names of
columns count without their case and the spaces around them. Empty rows and columns are left out. A
column that is not known is an error: a misspelt `mask` would take another mask in silence.
"""

import codecs
import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from inpaintcli.errors import UnreadableError, UsageError
from inpaintcli.storage.locations import Location, local_copy

COLUMNS = ("photo", "mask", "output")
SEPARATORS = ",;\t"
Row = dict[str, str]


def rows_of(source: Location, columns: tuple[str, ...] = COLUMNS) -> Iterator[Row]:
    """Every row with all columns, each once; what is left out is an empty text.

    Downloads a list in a store.

    Args:
        source: the list.
        columns: that it may have; the first is needed.

    Raises:
        UnreadableError: the list cannot be read.
        UsageError: it has other columns, or a row is wrong; the message names its number.
    """
    with local_copy(source) as path:
        text, name = _text_of(path, str(source)), str(source)
    read = _csv_rows if path.suffix.lower() == ".csv" else _json_rows
    seen: set[tuple[str, ...]] = set()
    for row in read(text, name, columns):
        key = tuple(row.values())
        if key not in seen:
            seen.add(key)
            yield row


def _text_of(path: Path, name: str) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UnreadableError(f"{name} cannot be read: {error.strerror}.") from error
    is_utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = data.decode("utf-16" if is_utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise _not_text(name) from error
    if "\0" in text:  # no name holds it: it is UTF-16 without its mark, or no text at all
        raise _not_text(name)
    return text


def _not_text(name: str) -> UnreadableError:
    return UnreadableError(
        f"{name} is not a list of pairs: it is not UTF-8 text.",
        hint="Save it again as UTF-8; spreadsheets call that 'CSV UTF-8'.",
    )


def _csv_rows(text: str, name: str, known: tuple[str, ...]) -> Iterator[Row]:
    lines, separator = _separated(list(io.StringIO(text, newline="")))
    try:
        table = csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=True)
        filled = (cells for cells in table if any(cell.strip() for cell in cells))
        columns = [cell.strip().casefold() for cell in next(filled, [])]
        _check_columns((column for column in columns if column), known, name)
        for number, cells in enumerate(filled, 1):
            yield _row_of_cells(columns, cells, known, f"{name}, row {number}")
    except csv.Error as error:
        raise UnreadableError(f"{name} is not a list of pairs: {error}.") from error


def _separated(lines: list[str]) -> tuple[list[str], str]:
    """The lines from the header on, and the separator: Excel's `sep=;`, or the header's own."""
    first = lines[0].strip() if lines else ""
    if first.casefold().startswith("sep=") and first[4:] in (*SEPARATORS, ""):
        return lines[1:], first[4:] or "\t"
    header = next((line for line in lines if line.strip()), "")
    return lines, max(SEPARATORS, key=header.count)


def _check_columns(names: Iterable[str], known: tuple[str, ...], where: str) -> None:
    for name, count in Counter(names).items():
        if name not in known:
            problem = f"{where} has a column '{name}', which is not known."
            raise UsageError(problem, hint=_hint(known))
        if count > 1:
            problem = f"{where} has the column '{name}' more than once."
            raise UsageError(problem, hint=_hint(known))


def _hint(known: tuple[str, ...]) -> str:
    return f"The columns are {', '.join(known)}; only the first is needed."


def _row_of_cells(columns: list[str], cells: list[str], known: tuple[str, ...], where: str) -> Row:
    values = dict.fromkeys(known, "")
    for number, cell in enumerate(cells):
        column = columns[number] if number < len(columns) else ""
        if column:
            values[column] = cell.strip()
        elif cell.strip():
            raise UsageError(
                f"{where} has '{cell.strip()}' in a column without a name.",
                hint="A name that holds the separator needs quotes around it.",
            )
    return _checked(values, known, where)


class _Members(list[tuple[str, Any]]):
    """The members of a JSON object, those of the same name, too."""


def _json_rows(text: str, name: str, known: tuple[str, ...]) -> Iterator[Row]:
    number = 0
    for line, content in enumerate(text.split("\n"), 1):
        if not content.strip():
            continue
        number += 1
        try:
            found = json.loads(content, object_pairs_hook=_Members)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{name}, line {line}, is not JSON: {error}.") from error
        yield _row_of_object(found, known, f"{name}, row {number}")


def _row_of_object(found: Any, known: tuple[str, ...], where: str) -> Row:
    if not isinstance(found, _Members):
        raise UsageError(f"{where} is not an object with the columns.", hint=_hint(known))
    pairs = [(key.strip().casefold(), value) for key, value in found]
    _check_columns((key for key, _ in pairs), known, where)
    values = dict.fromkeys(known, "")
    for key, value in pairs:
        if not isinstance(value, str | None):
            raise UsageError(f"{where}: '{key}' is not a text.", hint=_hint(known))
        values[key] = value or ""
    return _checked(values, known, where)


def _checked(row: Row, known: tuple[str, ...], where: str) -> Row:
    if not row[known[0]]:
        raise UsageError(f"{where} names no {known[0]}.", hint=_hint(known))
    return row
