"""Makes docs/man/inpaintcli.1, the manual page, from the program: `python docs/man.py`.

The options are those that `--help` prints, the exit codes those of docs/reference/exit-codes.md. A
test compares the page with what this script makes. The wheel carries it: `man inpaintcli`.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from inpaintcli import __version__
from inpaintcli.cli import app
from inpaintcli.commands.tree import commands

DOCS = Path(__file__).parent
PAGE = DOCS / "man" / "inpaintcli.1"
HEAD = f""".TH INPAINTCLI 1 "" "inpaintcli {__version__}" "User Commands"
.SH NAME
inpaintcli \\- fill holes in photographs
.SH SYNOPSIS
.B inpaintcli
.I COMMAND
.RI [ OPTIONS ]
.RI [ ARGUMENTS ]
.SH DESCRIPTION
Fills holes in photographs: objects, captions, date stamps, scratches. Every pixel outside the hole,
size, depth, alpha, colour profile and metadata come back as they were. Standard output carries data
only; messages go to standard error.
.SH EXAMPLES
"""
EXAMPLES = (
    ("One photo; white in the mask is the hole.", "inpaintcli fill photo.jpg --mask mask.png"),
    (
        "A date stamp out of all photos of a folder.",
        "inpaintcli fill in/ --box -300,-80,280,60 -o out/",
    ),
    ("An object in a box.", "inpaintcli remove photo.jpg --box 820,310,400,600"),
    ("A folder, until stopped.", "inpaintcli watch in/ -o out/"),
    (
        "Prove that only the hole differs.",
        "inpaintcli verify photo.jpg photo.filled.jpg --mask mask.png",
    ),
)
ENVIRONMENT = {
    "NO_COLOR": "If it is set, and not empty, nothing is coloured.",
    "INPAINTCLI_MODELS": "The folder of the models that you have added.",
    "INPAINTCLI_CACHE": "The folder of compiled engines.",
    "INPAINTCLI_CACHE_MIB": "How large that folder may become, in MiB.",
    "INPAINTCLI_UI_STATE": "The folder in which the page keeps edits and uploads.",
    "INPAINTCLI_DEBUG": "If it is set, a fault of the program shows where it happened.",
    "NUMBA_CACHE_DIR": "The folder of the compiled texture pass.",
    "GIMP3_DIRECTORY": "GIMP's profile, where it is not the usual one.",
}
FILES = {
    "NAME.mask.EXT": "The mask of the photo NAME beside it.",
    ".inpaintcli-journal.jsonl": "In an output folder: what was filled from what.",
}


def page() -> str:
    """The manual page, in roff."""
    parts = [HEAD, *_examples(), ".SH COMMANDS\n"]
    root = typer.main.get_command(app)
    with typer.Context(root, info_name="inpaintcli") as context:
        for name, command in commands(root):
            parts += _command(name, command, context)
    parts += [*_terms("EXIT STATUS", _exit_codes()), *_terms("ENVIRONMENT", ENVIRONMENT)]
    return "".join([*parts, *_terms("FILES", FILES)])


def _examples() -> Iterator[str]:
    for text, line in EXAMPLES:
        yield f".PP\n{_plain(text)}\n.PP\n.RS\n.nf\n{_plain(line)}\n.fi\n.RE\n"


def _command(name: str, command: Any, parent: Any) -> Iterator[str]:
    """A subsection: usage, what the command does, its options."""
    context = typer.Context(command, info_name=name, parent=parent)
    usage = " ".join(command.collect_usage_pieces(context))
    yield f".SS inpaintcli {_plain(name)}\n.B inpaintcli {_plain(name)}\n{_plain(usage)}\n"
    for paragraph in (command.help or "").split("\n\n"):
        yield f".PP\n{_plain(' '.join(paragraph.split()))}\n"
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None:
            yield f".TP\n.B {_plain(record[0])}\n{_plain(' '.join(record[1].split()))}\n"


def _exit_codes() -> dict[str, str]:
    text = (DOCS / "reference" / "exit-codes.md").read_text(encoding="utf-8")
    return dict(re.findall(r"^\| (\d+) \| ([^|]+?) \|", text, re.MULTILINE))


def _terms(title: str, terms: dict[str, str]) -> Iterator[str]:
    yield f".SH {title}\n"
    for name, text in terms.items():
        yield f".TP\n.B {_plain(name)}\n{_plain(text)}\n"


def _plain(text: str) -> str:
    """A line of text in which nothing is a request or an escape of roff."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")
    return f"\\&{escaped}" if escaped.startswith(".") else escaped


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
