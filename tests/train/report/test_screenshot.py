"""The page in a real browser, where there is one."""

import numpy as np
import pytest

from tests.train.report.made import metrics
from train.report.bars import histogram, list_bars
from train.report.chart import Chart, Trace, draw
from train.report.page import page
from train.report.runs import read_runs

NAME = """<img src=x onerror=alert(1)>"'&"""
HARD = [
    draw(Chart("t", 9_000_000, [Trace("a", 0, [1, 9_000_000], [1_052_000, 1_052_500])])),
    draw(Chart("t", 7, [Trace("a", 0, [1, 7], [20.0900001, 20.0900005])])),
    draw(Chart("t", 7, [Trace("a", 0, [1, 7], [0.5, 0.50007])], percent=True)),
    draw(Chart("t", 7, [Trace("a", 0, [1, 7], [-1.5e-7, 2e-6])])),
    histogram("t", [f"{n + 1000}\N{EN DASH}{n + 1015}" for n in range(32)], {"a": range(32)}, "b"),
    list_bars("t", {"a source of a long name": 9, "b": 1}, ["90.0 %", "10.0 %"]),
]
"""Charts whose labels are long."""
OUTSIDE = """[...document.querySelectorAll("svg text")].filter(text => {
    const it = text.getBoundingClientRect(), svg = text.closest("svg").getBoundingClientRect();
    return it.left < svg.left || it.right > svg.right || it.top < svg.top || it.bottom > svg.bottom;
}).map(text => text.textContent)"""


@pytest.fixture
def image():
    return pytest.importorskip("matplotlib.image", reason="matplotlib reads the screenshot")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("is_dark", "width", "count"), [(False, 1280, 1), (True, 1280, 4), (True, 390, 1)]
)
def test_the_page_is_drawn_in_light_and_dark(
    make_run, browser, image, tmp_path, is_dark, width, count
):
    written, picture = tmp_path / "page.html", tmp_path / "page.png"
    folders = [make_run(NAME + "run" * number, metrics(300, 50)) for number in range(count)]
    text = page(read_runs(folders)).replace("</main>", "".join([*HARD, "</main>"]))
    written.write_text(text, encoding="utf-8")
    browser.open(written.as_uri(), width=width, height=2400, is_dark=is_dark)
    browser.screenshot(picture)
    pixels = image.imread(picture)[..., :3]
    assert pixels.shape[:2] == (2400, width)
    assert pixels.std() > 0.02, "the picture is blank"
    corner = pixels[:8, :8].mean()
    assert corner < 0.2 if is_dark else corner > 0.9
    blue = pixels[..., 2] - pixels[..., 0]
    assert np.count_nonzero(blue > 0.3) > 500, "no line has the first run's colour"
    assert browser.run("document.documentElement.scrollWidth") == width, "it scrolls sideways"
    wide = browser.run(
        "[...document.querySelectorAll('#overview .box, #configuration > .box')]"
        ".filter(x => x.scrollWidth > x.clientWidth).map(x => x.innerText)"
    )
    assert wide == [], "the overview or what differs scrolls sideways"
    assert browser.run(OUTSIDE) == [], "labels are cut off"
    assert browser.run("document.querySelectorAll('img').length") == 0
    assert NAME in browser.run("document.querySelector('h1').textContent")
    assert browser.requests == [written.as_uri()]
