from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from train.stages import (
    Position,
    Stage,
    begin_stages,
    find_position,
    first_steps,
    parse_stages,
    with_rows,
)


@st.composite
def divisions(draw):
    """Stages whose shares, in hundredths, sum to 1."""
    cuts = draw(st.sets(st.integers(1, 99), max_size=5))
    ends = [0, *sorted(cuts), 100]
    shares = [(stop - start) / 100 for start, stop in pairwise(ends)]
    lengths, rows = st.sampled_from([64, 128, 512]), st.integers(1, 9)
    return tuple(Stage(draw(lengths), share, draw(rows)) for share in shares)


@pytest.mark.parametrize(
    ("text", "stages"),
    [
        ("128:0.9,512:0.1", (Stage(128, 0.9), Stage(512, 0.1))),
        ("128x256:.9, 512x64:0.1", (Stage(128, 0.9, 256), Stage(512, 0.1, 64))),
        ("512", (Stage(512),)),
        ("512x8", (Stage(512, 1.0, 8),)),
        ("1:0.1,2:0.2,3:0.7", (Stage(1, 0.1), Stage(2, 0.2), Stage(3, 0.7))),
    ],
)
def test_stages_are_read(text, stages):
    assert parse_stages(text) == stages


@given(divisions())
def test_what_is_written_is_read_again(stages):
    assert parse_stages(",".join(map(str, stages))) == stages


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("128:0.9,512:0.2", "the shares sum to 1.1, not to 1"),
        ("128:0.5", "the shares sum to 0.5, not to 1"),
        ("128,512", "'128,512' is not of the form 512, 128:0.9,512:0.1"),
        ("", "is not of the form"),
        ("128:0.9;512:0.1", "is not of the form"),
        ("128x0:1", "128x0:1.0 has a number that is not above 0"),
        ("0:1", "has a number that is not above 0"),
        ("128:0,512:1", "the share of 128:0.0 is not above 0 and at most 1"),
        ("128:1.5", "the share of 128:1.5 is not above 0"),
    ],
)
def test_what_is_wrong_with_stages_is_said(text, message):
    with pytest.raises(ValueError, match=message):
        parse_stages(text)


@given(st.text(alphabet="0123456789x:., ", max_size=20))
def test_any_text_is_stages_or_a_value_error(text):
    try:
        stages = parse_stages(text)
    except ValueError:
        return
    assert abs(sum(stage.share for stage in stages) - 1) < 1e-9


def test_without_rows_an_update_keeps_its_tokens():
    stages = with_rows(parse_stages("128:0.5,512:0.3,96:0.1,65536:0.1"), 130)
    assert [stage.batch_size for stage in stages] == [130, 32, 173, 1]
    tokens = [stage.batch_size * stage.max_length for stage in stages]
    assert all(16640 - stage.max_length < n for n, stage in zip(tokens[:3], stages, strict=False))
    given_rows = with_rows(parse_stages("128x256:0.5,512:0.3,128:0.2"), 7)
    assert [stage.batch_size for stage in given_rows] == [256, 64, 256]


def test_the_last_tenth_of_a_million_steps_is_exact():
    assert first_steps(parse_stages("128:0.9,512:0.1"), 1_000_000) == (0, 900_000)
    assert first_steps(parse_stages("1:0.1,2:0.2,3:0.7"), 1_000_000) == (0, 100_000, 300_000)


@given(divisions(), st.integers(1, 60))
def test_every_step_is_in_a_stage_and_no_row_is_left_out_or_repeated(stages, steps):
    begun = first_steps(stages, steps)
    assert begun[0] == 0
    assert list(begun) == sorted(begun)
    assert begun[-1] <= steps
    shares = [stage.share for stage in stages]
    for number in range(len(stages)):
        assert abs(begun[number] - steps * sum(shares[:number])) <= 0.5 + 1e-9
    taken = dict.fromkeys((stage.max_length for stage in stages), 0)
    last = 0
    for step in range(steps):
        position = find_position(stages, begun, step)
        stage = stages[position.stage]
        assert (position.max_length, position.batch_size) == (stage.max_length, stage.batch_size)
        assert position.stage >= last
        assert position.cursor == taken[position.max_length]
        taken[position.max_length] += position.batch_size
        last = position.stage


@given(divisions(), st.lists(st.floats(0.001, 0.4), min_size=1, max_size=40))
def test_by_the_clock_a_stage_begins_when_its_share_is_reached(stages, durations):
    begun, progress, found = (), 0.0, []
    for step, duration in enumerate(durations):
        begun = begin_stages(stages, begun, step, progress)
        position = find_position(stages, begun, step)
        found.append(position)
        before = sum(stage.share for stage in stages[: position.stage])
        assert before - 1e-9 <= progress
        progress += duration
        if progress >= 1:
            break
    # What a checkpoint keeps is enough to find every position again.
    assert [find_position(stages, begun, step) for step in range(len(found))] == found


def test_a_stage_that_is_passed_over_has_no_step():
    stages = parse_stages("128x2:0.5,512x2:0.1,128x4:0.4")
    begun = begin_stages(stages, begin_stages(stages, (), 0, 0.0), 3, 0.7)
    assert begun == (0, 3, 3)
    assert find_position(stages, begun, 2) == Position(0, 128, 2, 4)
    assert find_position(stages, begun, 3) == Position(2, 128, 4, 6)


def test_a_stage_without_rows_is_our_mistake():
    with pytest.raises(TypeError, match="has no batch size"):
        find_position((Stage(128),), (0,), 0)
