"""Models of the user: added from a file or a card, and removed.

Each has a folder in `cards.installed_folder()` with its card and a copy of its files. It is written
under another name first; nothing is fetched, and what is refused leaves nothing behind.
"""

import datetime as dt
import hashlib
import os
import re
import shutil
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from inpaintcli_engines.base import Engine, EngineFailedError
from inpaintcli_engines.select import open_engine

from inpaintcli.errors import ModelError, OutputError, UsageError
from inpaintcli.models.adapter import adapter
from inpaintcli.models.cards import (
    CARD_NAME,
    Card,
    cards,
    installed_folder,
    read_card,
    sha256_of,
    shipped_cards,
    verify,
)
from inpaintcli.models.foreign.card_fields import card_fields
from inpaintcli.models.foreign.recognise import recognise
from inpaintcli.models.onnx_file import OnnxFile, read_onnx
from inpaintcli.models.toml_writer import to_toml

_NAME = re.compile(r"[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9_-])?")
_CHUNK = 1 << 20


def add_model(path: Path, *, name: str | None = None, wanted: str | None = None) -> Card:
    """Install a model, from its ONNX file or from a card.

    Args:
        path: the .onnx file of any program, or the .toml card of a model.
        name: to give it; from the card or the file's name if left out.
        wanted: the contract (`--as`) where the file does not decide it.

    Raises:
        UsageError: the name is taken or not allowed, the file is of another kind, or no such
            contract suits it.
        ModelError: the model is damaged, cannot be loaded, or has no contract that is known.
        OutputError: it cannot be written.
    """
    suffix = path.suffix.lower()
    if path.is_dir() or suffix not in (".onnx", ".toml"):
        kind = "a folder" if path.is_dir() else "neither an .onnx file nor a .toml card"
        raise UsageError(
            f"{path} is {kind}.",
            hint="Pass the model's .onnx file; models of PyTorch are exported to ONNX first.",
        )
    if suffix == ".toml":
        return _add_card(path, name, wanted)
    chosen = _free_name(_name_from(path.stem) if name is None else name)
    found = _read_graph(path)
    sha256, external = _hashes(path, found)
    with _opened(path) as engine:
        known = recognise(engine, path.name, size=path.stat().st_size, sha256=sha256, wanted=wanted)
        info = engine.info
    fields = card_fields(known, chosen, path.name, sha256, found, info)
    return _install(chosen, fields, path, external)


def remove_model(name: str) -> None:
    """Remove an installed model with its files.

    Raises:
        UsageError: it is one of those that come with the program.
        ModelError: there is no such model.
        OutputError: it cannot be removed.
    """
    folder = installed_folder() / name
    if name in shipped_cards():
        raise UsageError(f"The model '{name}' comes with the program and stays.")
    if not _NAME.fullmatch(name) or not folder.is_dir():
        own = ", ".join(sorted(cards().keys() - shipped_cards().keys()))
        raise ModelError(f"No model '{name}' is installed.", hint=f"Installed: {own or 'none'}.")
    doomed = folder.with_name(f".{name}.{os.getpid()}.removed")
    try:
        folder.rename(doomed)
        shutil.rmtree(doomed)
    except OSError as error:
        raise OutputError(f"{folder} cannot be removed: {error.strerror}.") from error


def _add_card(path: Path, name: str | None, wanted: str | None) -> Card:
    if wanted is not None:
        raise UsageError(
            "--as says what an .onnx file is; a card says that itself.",
            hint="Leave --as out, or pass the .onnx file.",
        )
    card = read_card(path)
    chosen = _free_name(card.name if name is None else name)
    verify(card)
    found = _read_graph(card.file)
    sha256, external = _hashes(card.file, found)
    with _opened(card.file) as engine:
        _check_runs(card, engine)
    fields = tomllib.loads(path.read_text(encoding="utf-8"))
    fields |= {"name": chosen, "file": card.file.name, "sha256": sha256}
    if external:
        fields["external"] = external
    return _install(chosen, fields, card.file, external)


def _free_name(name: str) -> str:
    """The name, if a model may have it.

    Raises:
        UsageError: it may not.
    """
    if not _NAME.fullmatch(name) or name.endswith((".toml", ".onnx")):
        raise UsageError(
            f"'{name}' cannot be a model's name.",
            hint="Take small letters, digits, '.', '_' and '-', at most 64: --name my-model.",
        )
    if name in shipped_cards():
        raise UsageError(
            f"A model '{name}' comes with the program.", hint="Give another name: --name my-model."
        )
    if (installed_folder() / name).exists():
        raise UsageError(
            f"A model '{name}' is installed already.",
            hint=f"Remove it with `inpaintcli models remove {name}`, or give another --name.",
        )
    return name


def _name_from(stem: str) -> str:
    """A file's name as a model's name."""
    return re.sub(r"[^a-z0-9._-]+", "-", stem.lower()).strip("._-")[:64].rstrip("._-") or "model"


def _read_graph(path: Path) -> OnnxFile:
    """What the ONNX file says of itself.

    Raises:
        ModelError: it is damaged, has operators that no engine knows, or its weights are missing.
    """
    found = read_onnx(path)
    if found.unknown_ops:
        raise ModelError(
            f"{path.name} has operators that no engine here knows: {', '.join(found.unknown_ops)}.",
            hint="Export the model with standard operators only.",
        )
    for name in found.external:
        if not (path.parent / name).is_file():
            raise ModelError(
                f"{path.name} keeps its weights in {name}, which is not beside it.",
                hint=f"Put {name} into {path.parent}.",
            )
    return found


def _hashes(path: Path, found: OnnxFile) -> tuple[str, dict[str, str]]:
    """The sha256 of the model's file, and of each that holds its weights."""
    try:
        external = {name: sha256_of(path.parent / name) for name in found.external}
        return sha256_of(path), external
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}.") from error


@contextmanager
def _opened(path: Path) -> Iterator[Engine]:
    """The model on the CPU in fp32.

    Raises:
        ModelError: it cannot be loaded, or it fails.
    """
    try:
        with open_engine(path, device="cpu", precision="fp32").engine as engine:
            yield engine
    except EngineFailedError as error:
        raise ModelError(_first_lines(error.message), hint=error.hint) from error


def _first_lines(text: str) -> str:
    """The beginning of an engine's message, which may hold a whole trace."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " ".join(lines)[:400].rstrip()


def _check_runs(card: Card, engine: Engine) -> None:
    """Check that a model fills a hole as its card says.

    Raises:
        EngineFailedError: it does not.
    """
    side = -(-64 // card.size_multiple) * card.size_multiple
    image = np.zeros((1, 3, side, side), np.float32)
    mask = np.zeros((1, 1, side, side), np.float32)
    mask[..., side // 4 : side // 2, side // 4 : side // 2] = 1
    filled = adapter(card.contract)(engine).run({"image": image, "mask": mask}).get("filled")
    if filled is None or filled.shape != image.shape:
        got = "no output 'filled'" if filled is None else f"'filled' {filled.shape}"
        raise EngineFailedError(
            f"The model '{card.name}' gives {got} for a picture {image.shape}.",
            hint="A model of another program needs a [contract] in its card.",
        )


def _install(name: str, fields: dict[str, Any], path: Path, external: dict[str, str]) -> Card:
    """Write a model's folder: under another name first, renamed when it is whole."""
    target = installed_folder() / name
    draft = target.with_name(f".{name}.{os.getpid()}.part")
    fields = {**fields, **({"external": external} if external else {})}
    made = _missing_folders(target.parent)
    try:
        draft.mkdir(parents=True)
        _copy(path, draft / path.name, fields["sha256"])
        for other, sha256 in external.items():
            (draft / other).parent.mkdir(parents=True, exist_ok=True)
            _copy(path.parent / other, draft / other, sha256)
        (draft / CARD_NAME).write_text(to_toml(_plain(fields)), encoding="utf-8")
        verify(read_card(draft / CARD_NAME))
        draft.rename(target)
    except OSError as error:
        _remove(draft, made)
        raise OutputError(
            f"The model '{name}' cannot be installed in {target.parent}: {error.strerror}."
        ) from error
    except BaseException:
        _remove(draft, made)
        raise
    return read_card(target / CARD_NAME)


def _copy(source: Path, target: Path, sha256: str) -> None:
    """Copy a file, and check that it is the one that was looked at."""
    digest = hashlib.sha256()
    with source.open("rb") as original, target.open("xb") as copy:
        while chunk := original.read(_CHUNK):
            digest.update(chunk)
            copy.write(chunk)
    if digest.hexdigest() != sha256:
        raise ModelError(f"{source} has changed meanwhile.", hint="Add it again.")


def _missing_folders(folder: Path) -> list[Path]:
    """The folder and those above it that are not there yet, the innermost first."""
    return [one for one in (folder, *folder.parents) if not one.exists()]


def _remove(draft: Path, made: list[Path]) -> None:
    """Remove an unfinished model, and the folders that were made for it alone."""
    shutil.rmtree(draft, ignore_errors=True)
    with suppress(OSError):
        for folder in made:
            folder.rmdir()


def _plain(value: Any) -> Any:
    """Values that TOML's small writer knows: dates and times become texts.

    Raises:
        ModelError: a card has tables in an array.
    """
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        if any(isinstance(one, dict) for one in value):
            raise ModelError(
                "The card has an array of tables, which no field takes.", hint="Remove [[...]]."
            )
        return [_plain(one) for one in value]
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    return value
