"""What a person reads while a run is under way."""

from pipeline.tables import in_time
from train.bar import Progress, forecast, news, numbers
from train.checkpoint import State
from train.config import pretrain_config

LINE = {
    "step": 20,
    "loss": 9.0,
    "masked_language_model_loss": 7.0681,
    "sentence_order_loss": None,
    "tokens_per_second": 7988.4,
    "validation": {"masked_language_model_loss": 6.9792, "sentence_order_loss": 0.7},
}


def test_an_evaluation_tells_losses_in_training_and_held_out_and_the_time_left():
    config = pretrain_config("tiny", steps=80)
    start = State(step=10, seconds=4000.0)
    assert news(config, start, State(step=20, seconds=4020.0), LINE) == (
        "step 20 of 80: masked language model 7.068, held out 6.979; "
        "sentence order -, held out 0.700; 7,988 tokens/s; 2 min left"
    )


def test_a_run_by_the_clock_tells_hours():
    config = pretrain_config("tiny", hours=2)
    found = news(config, State(), State(step=20, seconds=1800.0), LINE)
    assert found.startswith("step 20, 0.50 of 2 hours: ")
    assert found.endswith("; 1.5 h left")


def test_seconds_are_told_in_the_unit_that_suits_them():
    assert [in_time(one) for one in (0.4, 59, 600, 5399, 86400)] == [
        "0 s",
        "59 s",
        "10 min",
        "90 min",
        "24.0 h",
    ]


def test_the_bar_shows_every_loss_where_the_terminal_is_wide_enough():
    assert numbers(LINE, 140) == "masked language model 7.068, sentence order -, 7,988 tokens/s"
    assert numbers(LINE, 100) == numbers(LINE, None) == "loss 9.000, 7,988 tokens/s"


def test_a_forecast_goes_by_what_was_done_since_the_start():
    config = pretrain_config("tiny", steps=500)
    start, now = State(10, 100.0, 5_000), State(20, 160.0, 65_000)
    found = forecast(config, start, now)
    assert found == "at 1,000 tokens/s the other 480 updates take about 48 min"
    assert forecast(pretrain_config("tiny", steps=21), start, now) == ""


def test_a_forecast_is_told_once_where_there_is_no_bar_and_not_by_the_clock():
    said = []
    for chosen in ({"steps": 5_000}, {"hours": 2}):
        config = pretrain_config("tiny", **chosen)
        with Progress(config, State(), said.append, is_quiet=True) as bar:
            for minute in range(1, 5):
                bar.show(State(10 * minute, 60.0 * minute, 60_000 * minute), LINE)
    assert said == ["at 1,000 tokens/s the other 4,980 updates take about 8.3 h"]
