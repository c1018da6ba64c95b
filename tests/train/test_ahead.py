"""What is made ahead is what would have been made; what was not asked for is dropped."""

import threading

import pytest

from train.ahead import Ahead


def test_what_was_foreseen_is_made_once_by_another_thread():
    makers = []

    def make(number: int) -> int:
        makers.append((number, threading.current_thread() is threading.main_thread()))
        return 2 * number

    ahead = Ahead(make)
    assert ahead.take(1) == 2
    ahead.foresee(2)
    assert ahead.take(2) == 4
    ahead.foresee(3)
    assert ahead.take(5) == 10
    assert ahead.take(3) == 6
    assert makers == [(1, True), (2, False), (3, False), (5, True), (3, True)]


def test_an_error_is_raised_where_its_result_is_taken_and_nowhere_else():
    ahead = Ahead(lambda number: 1 // number)
    ahead.foresee(0)
    assert ahead.take(1) == 1
    ahead.foresee(0)
    with pytest.raises(ZeroDivisionError):
        ahead.take(0)
