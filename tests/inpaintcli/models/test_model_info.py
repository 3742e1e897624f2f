"""What the commands `models ...` print."""

import json
from dataclasses import replace

from inpaintcli.console import Console
from inpaintcli.models import model_info
from inpaintcli.models.cards import DEFAULT, find_card


def test_models_of_any_name_are_listed_in_columns(capsys, monkeypatch):
    names = (DEFAULT, "a-name-that-is-rather-long")
    known = {name: replace(find_card(), name=name) for name in names}
    monkeypatch.setattr(model_info, "cards", lambda: known)
    model_info.list_models(Console())
    long, default = capsys.readouterr().out.splitlines()
    assert long.startswith("  a-name")
    assert default.startswith(f"* {DEFAULT}")
    assert long.index("  fill  ") == default.index("  fill  ")


def test_all_five_shipped_models_are_listed(capsys):
    model_info.list_models(Console(json=True))
    names = [json.loads(line)["name"] for line in capsys.readouterr().out.splitlines()]
    small = [f"{family}-small" for family in ("blockwise", "contextual", "dmfn", "regionwise")]
    assert names == sorted([DEFAULT, *small])
