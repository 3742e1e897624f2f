"""The page in a real Chromium: by mouse, pen, fingers and keys, from opening to saving."""

import base64
import io
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image

from tests.conftest import photo_pixels
from tests.inpaintcli.ui import browser
from tests.inpaintcli.ui.browser import NARROW, WIDE, Screen, serving, until
from tests.programs import PROGRAM, finished, grey

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def chromium():
    path = browser.chromium_path()
    api = pytest.importorskip("playwright.sync_api", reason="the extra `dev` is not installed")
    with api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=[*browser.ARGUMENTS])
        yield opened
        opened.close()


@pytest.fixture
def screen(chromium):
    """Makes tabs; a test fails if an error came up in one of them."""
    problems, contexts = [], []

    def make(viewport=WIDE, **options) -> Screen:
        context = chromium.new_context(viewport=viewport, accept_downloads=True, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on(
            "console", lambda said: problems.append(said.text) if said.type == "error" else None
        )
        return Screen(page)

    yield make
    for context in contexts:
        for page in context.pages:
            page.close()
        context.close()
    # A server that was ended on purpose is no fault of the page.
    assert [text for text in problems if "net::" not in text and "status of" not in text] == []


@pytest.fixture
def small(tmp_path) -> Path:
    """A folder with one small photo."""
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.fromarray(photo_pixels(240, 320)).save(folder / "a.png")
    return folder


ACROSS = ((0.42, 0.45), (0.5, 0.5), (0.55, 0.46))
STROKES = {"mouse": "mouse_stroke", "pen": "pen_stroke", "touch": "touch_stroke"}


@pytest.mark.parametrize(
    ("make", "name", "pointer"),
    [
        (browser.rotated_jpeg, "rotated.jpg", "mouse"),
        (browser.deep_png, "deep.png", "pen"),
        (browser.large_jpeg, "large.jpg", "touch"),
    ],
    ids=["jpeg-orientation-6", "png-16-bit-alpha-profile", "jpeg-24-megapixels"],
)
def test_what_is_saved_is_what_fill_gives_with_the_exported_mask(
    screen, tmp_path, make, name, pointer
):
    folder = tmp_path / "photos"
    folder.mkdir()
    photo = make(folder / name)
    untouched = photo.read_bytes()
    with serving(tmp_path / "state", folder, "-o", tmp_path / "out") as server:
        seen = screen(has_touch=pointer == "touch").open(server.address, name)
        seen.page.locator("#size").fill("30")
        getattr(seen, STROKES[pointer])(*ACROSS)
        seen.status("Ready to fill.")
        mask = seen.downloaded("#export-mask", tmp_path / "mask.png")
        seen.page.locator("#fill").click()
        seen.status("Filled.")
        seen.page.locator("#save").click()
        until(lambda: "Saved as" in seen.text("#target"))
    with Image.open(mask) as exported, Image.open(photo) as stored:
        assert exported.mode == "1"
        turned = name.startswith("rotated")
        assert exported.size == (stored.size[::-1] if turned else stored.size)
        assert np.asarray(exported).any()
    by_command = tmp_path / "command" / name
    by_command.parent.mkdir()
    done = finished([*PROGRAM, "fill", photo, "--mask", mask, "-o", by_command], 110)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / name).read_bytes() == by_command.read_bytes()
    assert photo.read_bytes() == untouched


def hole(seen: Screen, path: Path) -> np.ndarray:
    with Image.open(seen.downloaded("#export-mask", path)) as image:
        return np.asarray(image)


def test_every_tool_draws_and_every_change_can_be_undone(screen, small, tmp_path):
    with serving(tmp_path / "state", small, program=grey()) as server:
        seen = screen().open(server.address, "a.png")
        page = seen.page

        def chosen(tool: str) -> None:
            page.locator("#tools label", has_text=tool).click()

        areas = [0]

        def grown(by: int = 1) -> None:
            until(lambda: page.locator("#undo").is_enabled())
            areas.append(int(hole(seen, tmp_path / f"{len(areas)}.png").sum()))
            assert (areas[-1] - areas[-2]) * by > 0, areas

        chosen("Box")
        seen.mouse_stroke((0.4, 0.4), (0.6, 0.6))
        grown()
        chosen("Eraser")
        seen.mouse_stroke((0.45, 0.5), (0.55, 0.5))
        grown(-1)
        chosen("Lasso")
        seen.mouse_stroke((0.65, 0.3), (0.75, 0.3), (0.7, 0.5), (0.66, 0.4))
        grown()
        chosen("Polygon")
        for share in ((0.3, 0.3), (0.35, 0.3), (0.33, 0.4)):
            page.mouse.click(*seen.at(*share))
        page.mouse.click(*seen.at(0.3, 0.3))
        grown()
        page.locator("#grow-mask").click()
        grown()
        page.locator("#shrink-mask").click()
        grown(-1)
        page.locator("#invert").click()
        grown()
        page.locator("#clear").click()
        until(lambda: page.locator("#fill").is_disabled())
        for _ in range(8):
            page.keyboard.press("Control+z")
        until(lambda: page.locator("#undo").is_disabled())
        for _ in range(7):
            page.keyboard.press("Control+Shift+Z")
        until(lambda: int(hole(seen, tmp_path / "redone.png").sum()) == areas[-1])


def test_an_object_is_found_by_a_click(screen, small, tmp_path):
    scene = np.full((180, 240, 3), (70, 130, 180), np.uint8)
    scene += np.random.default_rng(3).integers(0, 9, scene.shape, np.uint8)
    y, x = np.mgrid[:180, :240]
    disk = (y - 90) ** 2 + (x - 120) ** 2 < 35**2
    scene[disk] = (200, 60, 30)
    Image.fromarray(scene).save(small / "disk.png")
    with serving(tmp_path / "state", small, program=grey()) as server:
        seen = screen().open(server.address, "disk.png")
        seen.page.locator("#tools label", has_text="Object").click()
        seen.page.mouse.click(*seen.at(0.5, 0.5))
        seen.status("Ready to fill.")
        assert hole(seen, tmp_path / "mask.png")[disk].mean() > 0.98


def test_a_stroke_may_begin_and_end_outside_of_the_photo(screen, small, tmp_path):
    with serving(tmp_path / "state", small, program=grey()) as server:
        seen = screen().open(server.address, "a.png")
        seen.mouse_stroke((0.005, 0.5), (0.5, 0.5), (0.995, 0.5))
        seen.status("Ready to fill.")
        mask = hole(seen, tmp_path / "mask.png")
        assert mask[120, 0]
        assert mask[120, -1]


def test_the_eraser_end_of_a_pen_erases_and_pressure_widens(screen, small, tmp_path):
    with serving(tmp_path / "state", small, program=grey()) as server:
        seen = screen().open(server.address, "a.png")
        seen.pen_stroke((0.3, 0.5), (0.5, 0.5), (0.7, 0.5))
        seen.status("Ready to fill.")
        mask = hole(seen, tmp_path / "mask.png")
        columns = np.flatnonzero(mask.any(axis=0))
        assert mask[:, columns[len(columns) * 3 // 4]].sum() > mask[:, columns[8]].sum()
        seen.eraser_stroke((0.3, 0.5), (0.5, 0.5), (0.7, 0.5))
        until(lambda: hole(seen, tmp_path / "erased.png").sum() < mask.sum())


def test_two_fingers_move_and_draw_nothing(screen, small, tmp_path):
    with serving(tmp_path / "state", small, program=grey()) as server:
        seen = screen(has_touch=True).open(server.address, "a.png")
        before = seen.text("#zoom")
        seen.touch("Start", (0.4, 0.5))
        seen.touch("Start", (0.4, 0.5), (0.6, 0.5))
        for step in range(1, 6):
            seen.touch("Move", (0.4 - step * 0.02, 0.5), (0.6 + step * 0.02, 0.5))
        seen.touch("End")
        until(lambda: seen.text("#zoom") != before)
        assert seen.page.locator("#undo").is_disabled()


def test_all_can_be_done_by_the_keyboard(screen, small, tmp_path):
    with serving(tmp_path / "state", small, program=grey()) as server:
        seen = screen().open(server.address, "a.png")
        page = seen.page
        page.locator("#stage").focus()
        page.keyboard.press("Enter")
        for _ in range(10):
            page.keyboard.press("ArrowRight")
        page.keyboard.press("Enter")
        seen.status("Ready to fill.")
        assert page.locator("#forget").is_hidden()
        page.keyboard.press("f")
        seen.status("Filled.")
        page.keyboard.press("Control+s")
        until((small / "a.filled.png").exists)
        page.keyboard.press("?")
        assert page.locator("#help-dialog").is_visible()


def test_a_reload_in_the_middle_of_a_fill_loses_nothing(screen, small, tmp_path):
    slow = "inpaintcli.ui.fill_queue:fill_picture"
    from tests.programs import paused

    with serving(tmp_path / "state", small, program=paused(slow, 2)) as server:
        seen = screen().open(server.address, "a.png")
        seen.mouse_stroke(*ACROSS)
        seen.status("Ready to fill.")
        seen.page.locator("#fill").click()
        seen.status("Filling")
        seen.mouse_stroke((0.3, 0.3), (0.35, 0.35))
        seen.page.reload()
        until(lambda: seen.text("#status") == "Ready to fill.")
        assert seen.page.locator("#tries").is_visible()
        results = list((tmp_path / "state").glob("photos/*/*.npz"))
        assert len(results) == 1


def test_a_stroke_stays_when_the_window_loses_the_focus(screen, small, tmp_path):
    with serving(tmp_path / "state", small, program=grey()) as server:
        seen = screen().open(server.address, "a.png")
        seen.page.mouse.move(*seen.at(0.4, 0.4))
        seen.page.mouse.down()
        seen.page.mouse.move(*seen.at(0.6, 0.6), steps=5)
        seen.page.evaluate("() => dispatchEvent(new Event('blur'))")
        seen.status("Ready to fill.")
        seen.page.mouse.up()
        assert hole(seen, tmp_path / "mask.png").any()


_DROP = """async text => {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File([bytes], "dropped.png"));
  const options = { dataTransfer, bubbles: true, cancelable: true };
  document.body.dispatchEvent(new DragEvent("drop", options));
}"""


def test_a_file_can_be_dropped_on_the_page(screen, small, tmp_path):
    with serving(tmp_path / "state", small, program=grey()) as server:
        seen = screen().open(server.address, "a.png")
        data = base64.b64encode((small / "a.png").read_bytes()).decode()
        seen.page.evaluate(_DROP, data)
        until(lambda: "dropped.png" in seen.text("#photo-facts"))


def test_two_tabs_see_each_others_edits(screen, small, tmp_path):
    with serving(tmp_path / "state", small, program=grey()) as server:
        first = screen().open(server.address, "a.png")
        second = screen().open(server.address, "a.png")
        first.mouse_stroke(*ACROSS)
        first.status("Ready to fill.")
        until(lambda: second.text("#status") == "Ready to fill.")
        second.page.locator("#undo").click()
        until(lambda: first.page.locator("#undo").is_disabled())


def test_strokes_drawn_while_the_server_is_away_arrive_later(screen, small, tmp_path):
    with serving(tmp_path / "state", small, program=grey()) as server:
        seen = screen().open(server.address, "a.png")
        edits = "**/edits"
        seen.page.route(edits, lambda route: route.abort())
        seen.mouse_stroke(*ACROSS)
        until(lambda: "does not answer" in seen.text("#message"))
        seen.page.unroute(edits)
        until(lambda: seen.text("#status") == "Ready to fill.")
        assert hole(seen, tmp_path / "mask.png").any()


def test_strokes_drawn_after_a_server_has_ended_reach_the_next_one(screen, small, tmp_path):
    with serving(tmp_path / "state", small, program=grey()) as server:
        seen = screen().open(server.address, "a.png")
        server.terminate()
        server.wait(60)
        seen.mouse_stroke(*ACROSS)
        until(lambda: "does not answer" in seen.text("#message"))
        port = urlsplit(server.address).port
    with serving(tmp_path / "state", small, "--port", port, program=grey()) as server:
        until(lambda: "was started again" in seen.text("#message"))
        seen.open(server.address, "a.png")
        seen.status("Ready to fill.")
        assert hole(seen, tmp_path / "mask.png").any()


def test_a_photo_that_cannot_be_read_leaves_nothing_to_draw_on(screen, small, tmp_path):
    (small / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"x" * 100)
    with serving(tmp_path / "state", small, program=grey()) as server:
        seen = screen().open(server.address, "a.png")
        seen.page.locator("#photo-list button", has_text="broken.png").click()
        until(lambda: "broken.png" in seen.text("#message"))
        assert "cannot be opened" in seen.text("#empty")
        seen.mouse_stroke(*ACROSS)
        seen.page.locator("#photo-list button", has_text="a.png").click()
        until(lambda: "a.png" in seen.text("#photo-facts"))
        assert seen.page.locator("#undo").is_disabled()


def test_a_photo_can_be_dropped_in_and_downloaded(screen, small, tmp_path):
    with serving(tmp_path / "state", program=grey()) as server:
        seen = screen()
        seen.page.goto(server.address)
        seen.page.locator("#file").set_input_files(small / "a.png")
        until(lambda: "a.png" in seen.text("#photo-facts"))
        seen.mouse_stroke(*ACROSS)
        seen.status("Ready to fill.")
        seen.page.keyboard.press("f")
        seen.status("Filled.")
        data = seen.downloaded("#download", tmp_path / "result.png").read_bytes()
        assert (np.asarray(Image.open(io.BytesIO(data))) != photo_pixels(240, 320)).any()
        assert [path.name for path in small.iterdir()] == ["a.png"]
        seen.page.locator("#forget").click()
        seen.page.locator("#question-yes").click()
        until(lambda: seen.page.locator("#photo-list li").count() == 0)
        assert not list((tmp_path / "state" / "uploads").glob("*/*"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "narrow"])
def test_axe_finds_nothing_serious(screen, small, tmp_path, scheme, viewport):
    axe = pytest.importorskip("axe_playwright_python", reason="the extra `dev` is not installed")
    script = (Path(axe.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
    with serving(tmp_path / "state", small, program=grey()) as server:
        seen = screen(viewport, color_scheme=scheme).open(server.address)
        seen.mouse_stroke(*ACROSS)
        seen.status("Ready to fill.")
        seen.page.evaluate(script)
        for state in ("edit", "help"):
            if state == "help":
                seen.page.locator("#help").click()
            violations = seen.page.evaluate("() => axe.run()")["violations"]
            serious = [v for v in violations if v["impact"] in {"serious", "critical"}]
            assert [(v["id"], v["nodes"][0]["html"]) for v in serious] == [], state


@pytest.mark.parametrize("width", [1280, 640, 390])
def test_nothing_is_cut_off_at_the_side(screen, small, tmp_path, width):
    """640 is a window of 1280 at 200 %."""
    with serving(tmp_path / "state", small, program=grey()) as server:
        seen = screen({"width": width, "height": 800}).open(server.address)
        script = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert seen.page.evaluate(script) <= 0
        for name in ("#fill", "#save", "#help"):
            seen.page.locator(name).scroll_into_view_if_needed()
            box = seen.page.locator(name).bounding_box()
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= width
