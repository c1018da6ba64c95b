import pickle

from shards.errors import DataError


def test_an_error_is_printed_as_problem_and_remedy():
    assert str(DataError("no shards at x", "run pack")) == "no shards at x: run pack"


def test_an_error_survives_the_way_back_from_a_worker():
    copy = pickle.loads(pickle.dumps(DataError("problem", "remedy")))
    assert (copy.problem, copy.remedy) == ("problem", "remedy")
