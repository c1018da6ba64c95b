"""Colours that can be read."""

import re

import pytest

from train.report.style import STYLE

LIGHT, DARK = (
    dict(re.findall(r"--([\w-]+): (#\w{6})", part)) for part in STYLE.split("@media")[:2]
)
LEAST = 4.5
"""Contrast of text, by WCAG 2.2, 1.4.3."""


def luminance(colour):
    """Return the relative luminance of a colour (WCAG 2.2)."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("name", ["ink", "faint", "right", *(f"run-{n}" for n in range(8))])
def test_colours_stand_out_from_the_paper(colours, name):
    dark, light = sorted((luminance(colours[name]), luminance(colours["paper"])))
    assert (light + 0.05) / (dark + 0.05) >= LEAST
