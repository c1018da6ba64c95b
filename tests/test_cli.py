"""The command line: the README's commands, help for every option, one line for every error."""

import errno
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cli import main
from tests.commands import one_line, run

README = Path(__file__).parents[1] / "README.md"
# Sizes for seconds instead of hours; the last of two equal options counts.
AGAIN = "run the command again"
FETCH = "run `python cli.py fetch SOURCE` first, or `fetch text --from` with files of yours"
SMALL = {
    "tokenize": "--vocab-size 500",
    "pack": "--validation-fraction 0.1 --workers 1",
    "pretrain": "--steps 4 --batch-size 4",
    "glue": "--seeds 1 --epochs 1",
}
COLA = "gj04\t{}\t\t{}\n"


def readme_commands():
    """Return the commands of the README's section on one's own text, without `python cli.py`."""
    section = README.read_text(encoding="utf-8").split("## Your own text")[1]
    block = re.search(r"```bash\n(.*?)```", section, re.DOTALL).group(1)
    return [shlex.split(line)[2:] for line in block.splitlines() if line.startswith("python")]


@pytest.fixture
def home(tmp_path, monkeypatch, prose):
    """Stand in a folder with a person's text and a small CoLA, as the README names them."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my-texts").mkdir()
    for number, text in enumerate(prose(60, 1)):
        (tmp_path / "my-texts" / f"{number}.txt").write_text(text)
    (tmp_path / "my-glue" / "CoLA").mkdir(parents=True)
    for split in ("train", "dev"):
        rows = [COLA.format(number % 2, "Con der " * (number % 2) + "el.") for number in range(8)]
        (tmp_path / "my-glue" / "CoLA" / f"{split}.tsv").write_text("".join(rows))
    (tmp_path / "my-glue" / "CoLA" / "test.tsv").write_text("index\tsentence\n0\tCon.\n")
    return tmp_path


def test_the_commands_of_the_readme_run_one_after_another(home):
    commands = readme_commands()
    assert [command[0] for command in commands] == [
        *("fetch", "tokenize", "pack", "verify", "inspect", "pretrain"),
        *("report", "fill", "glue", "export"),
    ]
    following = {
        "glue": "report runs/first",
        "report": "play runs/first",
        "export": "play my-model",
    }
    for command in commands:
        result = run(*command, *shlex.split(SMALL.get(command[0], "")))
        assert result.exit_code == 0, (command, result.output)
        last = result.output.splitlines()[-1]
        assert last.startswith(f"next: python cli.py {following.get(command[0], '')}")
    assert (home / "my-model" / "config.json").is_file()
    assert (home / "runs" / "first" / "glue" / "results.md").is_file()

    for command in commands[:3]:  # again: nothing is to be done
        result = run(*command, *shlex.split(SMALL.get(command[0], "")))
        assert result.output.splitlines()[0] == "already done"


def test_every_command_and_option_has_help():
    for name, command in main.commands.items():
        assert command.help, name
        assert not command.get_short_help_str(64).endswith("..."), name  # on 80 columns
        for parameter in command.params:
            if parameter.param_type_name == "option":
                assert parameter.help, f"{name} {parameter.opts}"


def test_the_readme_names_every_command():
    text = README.read_text(encoding="utf-8")
    assert [name for name in main.commands if f"cli.py {name}" not in text] == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["pack", "--max-length", "4"],
        ["pack", "--validation-fraction", "0.9"],
        ["tokenize", "--vocab-size", "3"],
        ["tokenize", "--type", "morse"],
        ["tokenize", "--sample", "0"],
        ["tokenize", "--sample", "most"],
        ["tokenize", "--pad-to-multiple-of", "0"],
        ["tokenize", "--import", "x", "--pad-to-multiple-of", "0"],
        ["tokenize", "--import", "x", "--vocab-size", "900"],
        ["tokenize", "--import", "x", "--sample", "all"],
        ["tokenize", "--import", "x", "--type", "bpe"],
        ["pretrain", "--preset", "giant"],
        ["pretrain", "--steps", "0"],
        ["pretrain", "--resume"],
        ["fetch"],
        ["fetch", "books"],
        ["fetch", "text", "wikipedia", "--from", "x"],
        ["fetch", "text", "--limit", "much"],
        ["fetch", "text"],
        ["fetch", "vocab", "--from", "x"],
        ["fetch", "vocab", "--base-url", ""],
        ["fetch", "vocab", "--base-url", "http://[::1"],
        ["fetch", "gutenberg", "--from", "x", "--drop-raw"],
        ["fetch", "wikipedia", "--language", "../x"],
        ["fetch", "wikipedia", "--date", "yesterday"],
        ["export", "run", "--out", "x", "--part", "head"],
        ["import", "x"],
        ["polish"],
    ],
)
def test_a_wrong_option_ends_with_2(arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["tokenize"], f"no text at data/text: {FETCH}"),
        (["pack"], f"no text at data/text: {FETCH}"),
        (
            ["pretrain", "--preset", "tiny"],
            "no shards at data/shards: run `python cli.py pack --out data/shards` first",
        ),
        (["verify", "x"], "no shards at x: run `python cli.py pack --out x` first"),
        (["inspect", "x"], "no shards at x: run `python cli.py pack --out x` first"),
        (
            ["pretrain", "--resume", "--out", "x"],
            "no run at x: give the folder that `python cli.py pretrain` made",
        ),
        (["report", "x"], "no run at x: give the folder that `python cli.py pretrain` made"),
        (
            ["export", "x", "--out", "y"],
            "no run at x: give the folder that `python cli.py pretrain` made",
        ),
        (
            ["import", "x", "--out", "y"],
            "no folder at x: give the one that a model was downloaded to",
        ),
    ],
)
def test_what_is_missing_is_one_line_that_ends_with_the_command_to_run(
    arguments, line, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert one_line(run(*arguments)) == line


def test_tokenize_shows_rates_by_source_and_sentences(text_folder, tmp_path):
    options = shlex.split("--type unigram --vocab-size 400 --sample 50KB --pad-to-multiple-of 64")
    result = run("tokenize", "--text", text_folder, "--out", tmp_path / "made", *options)
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[:2] == [
        "unigram vocabulary of 448 entries, 48 of them unused",
        "[PAD] 0, [UNK] 1, [CLS] 2, [SEP] 3, [MASK] 4",
    ]
    assert [line.split()[0] for line in lines[3:5]] == ["books", "pages"]
    assert all(line.startswith("\N{LOWER ONE EIGHTH BLOCK}") for line in lines[5:10])
    assert lines[10].startswith("next: python cli.py pack ")


def test_a_tokenizer_can_be_imported_with_and_without_text(text_folder, tokenizer_folder, tmp_path):
    imported = ("tokenize", "--import", tokenizer_folder, "--out", tmp_path / "made")
    missing = run(*imported, "--text", tmp_path / "none")
    assert one_line(missing).startswith(f"no text at {tmp_path / 'none'}: ")
    result = run(*imported, "--text", text_folder)
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[:3] == [
        "wordpiece vocabulary of 600 entries",
        "[PAD] 0, [UNK] 1, [CLS] 2, [SEP] 3, [MASK] 4",
        "tokenizer.json: wordpiece",
    ]
    again = run(*imported)
    assert again.output.splitlines()[0] == "already done"
    assert "tokens a word" in again.output


def test_an_import_needs_no_text_that_is_not_given(
    text_folder, tokenizer_folder, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data" / "text" / "unfinished").mkdir(parents=True)
    command = ("tokenize", "--import", tokenizer_folder)
    result = run(*command)
    assert result.exit_code == 0, result.output
    assert "tokens a word" not in result.output
    assert "is not a finished source of text" in one_line(run(*command, "--text", "data/text"))
    reported = run(*command, "--text", text_folder).output
    assert reported.startswith("already done")
    assert "tokens a word" in reported
    assert "tokens a word" in run(*command).output


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--import", ""], "--import is empty: give the path of a vocabulary"),
        (["--import", "x", "--type", "bpe"], "--type is for training, not for --import: leave it"),
    ],
)
def test_what_cannot_be_imported_says_what_to_do(options, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run("tokenize", *options)
    assert result.exit_code == 2
    assert message in result.output


def test_a_vocabulary_too_large_for_the_text_names_the_size_to_ask_for(text_folder, tmp_path):
    out = tmp_path / "tokenizer"
    line = one_line(run("tokenize", "--text", text_folder, "--out", out, "--vocab-size", "30000"))
    assert re.search(r"yields only \d+ vocabulary entries, not 30000: .*--vocab-size \d+", line)
    assert not (out / "tokenizer.json").exists()


def test_another_choice_in_the_same_folder_names_the_field(
    shards_folder, text_folder, tokenizer_folder
):
    line = one_line(
        run("pack", "--text", text_folder, "--tokenizer", tokenizer_folder, "--out", shards_folder)
    )
    assert (
        f"{shards_folder} was made with max_length '64', not '128': choose another folder" in line
    )


def test_verify_counts_problems_and_says_how_to_mend_them(shards_folder, tmp_path):
    shards = tmp_path / "shards"
    shutil.copytree(shards_folder, shards)
    (shards / "note.txt").write_text("mine")
    result = run("verify", shards)
    assert result.exit_code == 1
    assert result.output.splitlines() == [
        f"{shards / 'note.txt'} is foreign: the manifest does not list it",
        f"Error: 1 problem in {shards}: delete the files named above, and run the "
        "`python cli.py pack` that made the folder again",
    ]


def test_a_device_is_no_folder(text_folder, tokenizer_folder):
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    line = one_line(
        run("pack", "--text", text_folder, "--tokenizer", tokenizer_folder, "--out", "/dev/full")
    )
    assert line.startswith("/dev/full is not a folder: choose an empty folder with --out")


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (
            errno.ENOSPC,
            f"make room on this disk and {AGAIN}; what is finished is kept",
        ),
        (errno.EROFS, f"choose a folder that you can write to, and {AGAIN}"),
        (errno.EIO, f"mend that and {AGAIN}"),
    ],
)
def test_an_error_of_the_system_is_one_line_with_a_remedy(monkeypatch, number, remedy):
    def failing(*_):
        raise OSError(number, os.strerror(number), "data/x")

    monkeypatch.setattr("pipeline.tokenizer.train_tokenizer", failing)
    assert one_line(run("tokenize")) == f"data/x: {os.strerror(number)}: {remedy}"


@pytest.mark.parametrize("option", ["--text", "--out"])
def test_an_empty_path_is_not_the_working_folder(option):
    result = run("tokenize", option, "")
    assert result.exit_code == 2
    assert "is empty: name a path" in result.output


@pytest.mark.parametrize("name", ["curves.pdf", "curves", "."])
def test_a_picture_is_a_png(shards_folder, name):
    result = run("inspect", shards_folder, "--plot", name)
    assert result.exit_code == 2
    assert "is no name of a .png file" in result.output


def test_ctrl_c_is_one_line(monkeypatch, tmp_path):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("pipeline.tokenizer.train_tokenizer", interrupted)
    line = one_line(run("tokenize"))
    assert line == "interrupted; nothing half-written is left: run the command again"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["verify"], "Missing argument 'SHARDS': see `python cli.py verify --help`"),
        (["verify", "--foo", "x"], "No such option '--foo': see `python cli.py verify --help`"),
        (
            ["export", "x", "--out"],
            "Option '--out' requires an argument: see `python cli.py export",
        ),
        (["inspect", "x", "--rows", "y"], "'y' is not a valid integer: see `python cli.py inspect"),
        (["fill", "x", "y", "--topp", "3"], "--top'? See `python cli.py fill --help`"),
        (["--foo"], "No such option '--foo': see `python cli.py --help`"),
        (["polish"], "No such command 'polish': see `python cli.py --help`"),
    ],
)
def test_an_error_of_clicks_own_is_a_line_that_ends_with_the_help_to_see(arguments, line):
    result = run(*arguments)
    assert result.exit_code == 2
    (found,) = result.output.splitlines()
    assert found.startswith("Error: ")
    assert line in found


def test_without_a_command_the_help_is_printed():
    result = run()
    assert result.exit_code == 2  # as Click has it
    assert result.output == run("--help").output


def test_an_error_of_ours_keeps_its_own_remedy():
    result = run("tokenize", "--import", "")
    assert result.exit_code == 2
    assert result.output.splitlines()[-1] == (
        "Error: --import is empty: give the path of a vocabulary"
    )


def test_the_version_is_a_line():
    result = run("--version")
    assert result.exit_code == 0
    assert re.fullmatch(r"hearth \d+\.\d+\.\d+ \(Python 3\S+, (no )?torch.*\)\n", result.output)


def test_verify_answers_in_json_too(shards_folder, tmp_path):
    result = run("verify", shards_folder, "--json", "--quiet")
    expected = {"shards": str(shards_folder), "is_intact": True, "problems": []}
    assert json.loads(result.stdout) == expected
    shards = tmp_path / "shards"
    shutil.copytree(shards_folder, shards)
    (shards / "note.txt").write_text("mine")
    result = run("verify", shards, "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["problems"] == [
        f"{shards / 'note.txt'} is foreign: the manifest does not list it"
    ]
    assert result.stderr.startswith("Error: 1 problem in ")


def test_commands_with_bars_can_be_quiet_and_those_for_scripts_have_json():
    def commands_with(flag):
        return {
            name
            for name, command in main.commands.items()
            if any(flag in parameter.opts for parameter in command.params)
        }

    assert commands_with("--quiet") >= {"fetch", "tokenize", "pack", "pretrain", "glue", "verify"}
    assert commands_with("--json") >= {"verify", "inspect", "plan", "runs", "doctor"}


@pytest.mark.parametrize("package", ["click", "torch"])
def test_a_python_without_the_packages_is_told_what_to_do(package, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(f"import sys\nsys.modules[{package!r}] = None\n")
    program = [sys.executable, README.parent / "cli.py", "pretrain", "--shards", tmp_path]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    result = subprocess.run(program, env=environment, capture_output=True, text=True)
    (line,) = result.stderr.splitlines()
    assert line == (
        f"Error: this Python ({sys.executable}) has no package {package}: "
        "run `source .venv/bin/activate`, or `pip install -e .`"
    )
    assert result.returncode == 1


def test_commands_are_named_as_a_person_calls_us(text_folder, tokenizer_folder, tmp_path):
    """In another folder there is no cli.py to run."""
    installed = Path(sys.executable).with_name("hearth")
    if not installed.is_file():
        pytest.skip("hearth is not installed beside this Python")

    def ask(*arguments):
        command = [installed, *arguments]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)

    made = ask("pack", "--text", text_folder, "--tokenizer", tokenizer_folder, "--max-length", "32")
    assert made.stdout.splitlines()[-1].startswith("next: hearth pretrain ")
    assert ask("verify", "x").stderr == "Error: no shards at x: run `hearth pack --out x` first\n"
    assert ask("verify").stderr.splitlines()[-1].endswith("see `hearth verify --help`")
