"""The page for GIMP shows every picture that is made for it."""

from tests.plugins.gimp.plug_in import ROOT


def test_every_picture_is_shown():
    page = (ROOT / "docs/how-to/gimp.md").read_text(encoding="utf-8")
    names = [path.name for path in (ROOT / "docs/how-to/gimp").iterdir()]
    assert len(names) == 3
    for name in names:
        assert f"](gimp/{name})" in page
