from click.testing import CliRunner

from cli import main
from tests.train.report.made import metrics


def run(*arguments):
    return CliRunner().invoke(main, ["report", *map(str, arguments)])


def test_the_command_prints_the_table_and_where_the_files_are(make_run, tmp_path):
    folder = make_run("run", metrics(6, 2))
    result = run(folder)
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[0].startswith("step 6 of 100, ")
    assert lines[-3:-1] == [f"curves: {folder}/curves.png", f"report: {folder}/report.html"]
    assert lines[-1] == f"next: python cli.py pretrain --resume --out {folder}"
    several = run(folder, make_run("other", metrics(2)), "--out", tmp_path / "out")
    assert several.exit_code == 0, several.output
    assert f"report: {tmp_path / 'out' / 'report.html'}" in several.output


def test_what_is_no_run_is_one_line(make_run, tmp_path):
    assert run().exit_code == 2
    for folders, line in (
        ([tmp_path], f"Error: no run at {tmp_path}: give the folder"),
        ([make_run("empty", [])], "has no step yet: train it with"),
    ):
        result = run(*folders)
        assert result.exit_code == 1
        assert line in result.output
        assert len(result.output.splitlines()) == 1
