"""The PNG: that its lines have the right colours and lengths."""

import pytest

from tests.train.report.made import metrics
from train.guessing import Guessing
from train.report.curves import Curves
from train.report.picture import draw_picture
from train.report.runs import ReportedRun
from train.runs import load_run


@pytest.fixture
def axes(make_run, tmp_path, monkeypatch):
    """Return a function that draws runs, and returns what is drawn by title."""
    pyplot = pytest.importorskip("matplotlib.pyplot")

    def draw(*every):
        drawn = []
        monkeypatch.setattr(pyplot, "close", drawn.append)
        runs = []
        for number, lines in enumerate(every):
            run, curves = load_run(make_run(f"run-{number}", [])), Curves()
            for line in lines:
                curves.add(line)
            guessing = {64: Guessing(6.5, 0.05), 32: Guessing(6.0, 0.06)}
            runs.append(ReportedRun(run, f"run-{number}", curves, None, guessing))
        assert draw_picture(runs, tmp_path / "curves.png") is None
        monkeypatch.undo()
        (figure,) = drawn
        found = {axis.get_title(): axis for axis in figure.axes}
        pyplot.close(figure)
        return found

    return draw


def test_dots_have_the_colour_of_their_run(axes):
    first = [line | {"another_loss": 1.0} for line in metrics(9)]
    second = list(metrics(9, 3))
    for line in second:
        del line["masked_language_model_loss"]
    axis = axes(first, second)["masked tokens: loss in nats"]
    (dots,) = [line for line in axis.lines if line.get_marker() == "o"]
    assert dots.get_color() == "C1"


def test_guessing_goes_on_to_the_end_of_the_run(axes):
    lines = [line | {"max_length": 64 if line["step"] < 5 else 32} for line in metrics(9)]
    axis = axes(lines)["masked tokens: loss in nats"]
    (guess,) = [line for line in axis.lines if line.get_linestyle() == ":"]
    assert list(guess.get_xdata()) == [1, 5, 9]
    assert list(guess.get_ydata()) == [6.5, 6.0, 6.0]
