"""Pictures of the page, as a person sees it on a screen and on a phone."""

import numpy as np
import pytest


@pytest.mark.slow
@pytest.mark.parametrize(("is_dark", "width"), [(False, 1280), (True, 390)])
def test_the_page_with_an_answer_is_drawn_in_light_and_dark(
    pair, serve, browser, tmp_path, is_dark, width
):
    image = pytest.importorskip("matplotlib.image", reason="matplotlib reads the screenshot")
    picture = tmp_path / "page.png"
    browser.open(serve(pair).address, width=width, height=900, is_dark=is_dark)
    browser.click("document.querySelector('#text')")
    browser.type("Conder el [MASK] in no. " + "Conder " * 20)
    browser.click("document.querySelector('#go')")
    browser.wait_for("document.querySelector('#result li') !== null")
    browser.screenshot(picture)
    pixels = image.imread(picture)[..., :3]
    assert pixels.shape == (900, width, 3)
    corner = pixels[:8, :8].mean()
    assert corner < 0.2 if is_dark else corner > 0.9
    blue = pixels[..., 2] - pixels[..., 0]
    assert np.count_nonzero(blue > 0.3) > 500, "the button is not to be seen"
    yellow = pixels[..., 0] - pixels[..., 2]
    assert np.count_nonzero(yellow > 0.1) > 200, "nothing marks the [MASK]"
    assert browser.run("document.documentElement.scrollWidth") == width, "it scrolls sideways"
