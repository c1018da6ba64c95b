import io
import json
import math
import sys

import click
import pytest
from click.testing import CliRunner

from pipeline.bar import bar
from pipeline.console import in_colour, show_json
from pipeline.flags import quiet_option


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("output", "no_color", "expected"),
    [
        (Terminal, None, True),
        (Terminal, "", True),
        (Terminal, "1", False),
        (io.StringIO, "", False),
    ],
)
def test_colours_are_for_terminals_that_want_them(monkeypatch, output, no_color, expected):
    monkeypatch.setattr(sys, "stdout", output())
    monkeypatch.delenv("NO_COLOR", raising=False)
    if no_color is not None:
        monkeypatch.setenv("NO_COLOR", no_color)
    assert in_colour() is expected


@click.command()
@quiet_option
def working():
    for _ in bar(iterable=range(3), desc="work", file=Terminal()):
        click.echo("." if bar(total=1, file=Terminal()).disable else "bar")


def test_quiet_hides_every_bar_of_a_command_and_of_no_other():
    assert "bar" in CliRunner().invoke(working, []).output
    assert CliRunner().invoke(working, ["--quiet"]).output == "...".replace(".", ".\n")
    assert "bar" in CliRunner().invoke(working, []).output


def test_a_bar_is_silent_where_there_is_no_terminal():
    assert bar(total=1, file=io.StringIO()).disable


def test_json_keeps_letters_as_they_are(capsys):
    show_json({"text": "Caf\N{LATIN SMALL LETTER E WITH ACUTE}"})
    printed = capsys.readouterr().out
    assert "\N{LATIN SMALL LETTER E WITH ACUTE}" in printed
    assert json.loads(printed)["text"].startswith("Caf")


def test_json_has_null_for_what_is_no_number(capsys):
    show_json({"a": [1.5, math.nan], "b": {"c": (math.inf, -math.inf)}}, indent=None)
    assert capsys.readouterr().out == '{"a": [1.5, null], "b": {"c": [null, null]}}\n'
