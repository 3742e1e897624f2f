"""Pages that MkDocs makes when the site is built: the command line, and files of the root.

`mkdocs.yml` names this module as a hook. The reference of the command line comes from the program
itself, so that it cannot say anything else than `--help`; ARCHITECTURE.md, CONTRIBUTING.md and
CHANGELOG.md are shown as they are, but for the picture of the rooms, which needs no script here.
"""

import re
import tomllib
from pathlib import Path
from typing import Any

import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from inpaintcli.cli import app
from inpaintcli.commands.tree import commands

ROOT = Path(__file__).parent.parent
SHARED = ("ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md")
DIAGRAM = re.compile(r"```mermaid\n.*?```\n", re.DOTALL)
HEAD = """# Command line

Made from the program itself when this page was built: it is what
`inpaintcli COMMAND --help` prints.
"""
CONTENTS = "reference/command-line.md"
WIDTH = 92
"""Columns of the help texts."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the made pages."""
    files.append(File.generated(config, CONTENTS, content=command_line()))
    for name in SHARED:
        files.append(File.generated(config, name.lower(), content=_shared(name)))
    return files


def command_line() -> str:
    """The reference of all commands, in Markdown."""
    parts = [HEAD]
    root = typer.main.get_command(app)
    with typer.Context(root, info_name="inpaintcli") as context:
        parts += [_section(name, command, context) for name, command in commands(root)]
    return "\n".join(parts)


def _section(name: str, command: Any, parent: typer.Context) -> str:
    context = typer.Context(command, info_name=name, parent=parent, terminal_width=WIDTH)
    with context:
        return f"## inpaintcli {name}\n\n```text\n{command.get_help(context)}\n```\n"


def _shared(name: str) -> str:
    """A file of the root as a page: links and pictures point into the site."""
    text = (ROOT / name).read_text(encoding="utf-8").replace("](docs/", "](")
    for other in SHARED:
        text = text.replace(f"]({other})", f"]({other.lower()})")
    return DIAGRAM.sub(lambda _found: _rooms(), text)


def _rooms() -> str:
    """The layers of import-linter's contract, the highest first, as rows of boxes."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        contracts = tomllib.load(file)["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    layers = [*layers, "inpaintcli_engines"]  # which knows nothing of the others, by a contract
    rows = [
        "".join(f"<span>{room.strip().removeprefix('inpaintcli.')}</span>" for room in row)
        for row in (layer.split("|") for layer in layers)
    ]
    boxes = "\n".join(f"<div>{row}</div>" for row in rows)
    return f'<div class="rooms">\n{boxes}\n</div>\n'
