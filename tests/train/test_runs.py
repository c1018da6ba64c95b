import json
import shutil

import pytest

from shards.errors import DataError
from train.runs import load_run


@pytest.mark.parametrize("content", ['"abc"', "5", "[]", "{}", "null", "{", "?"])
def test_a_run_file_that_holds_no_run_is_one_line_with_a_remedy(tmp_path, content):
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(DataError) as error:
        load_run(tmp_path)
    assert "run.json" in error.value.problem
    assert "\n" not in str(error.value)
    assert error.value.remedy


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *((field, value) for field in ("config", "model") for value in ("abc", 5, [], {})),
        *((field, value) for field in ("shards", "fingerprint") for value in (5, [], {}, None)),
        ("init_from", 5),
    ],
)
def test_a_field_of_another_type_is_no_traceback(run_folder, tmp_path, field, value):
    shutil.copy(run_folder / "run.json", tmp_path)
    path = tmp_path / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {field: value}))
    with pytest.raises(DataError, match="cannot be read"):
        load_run(tmp_path)
