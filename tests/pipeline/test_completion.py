"""Completion in real shells: the script that `completion` prints, and what it then offers."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.completion import TASKS, WHERE
from pipeline.tasks import SCORED_TASKS
from tests.commands import run

ROOT = Path(__file__).parents[2]
PRESETS = ["home", "home-768", "home-seed", "hour", "hour-mlm"]
BASH = """
source {script}
COMP_WORDS=({words})
COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_hearth_completion hearth
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
# zsh calls the function with its own variables set; what it would offer is printed instead.
ZSH = """
compdef() {{ : }}
compadd() {{ print -l -- $completions }}
_describe() {{ print -l -- ${{completions_with_descriptions%%:*}} }}
source {script}
words=({words}); CURRENT=$#words
_hearth_completion
"""
FISH = """
source {script}
complete --do-complete {line!r} | string replace -r "\\t.*" ""; true
"""


@pytest.fixture
def environment(tmp_path) -> dict[str, str]:
    """The program `hearth` on the PATH, as an installation puts it there."""
    program = tmp_path / "bin" / "hearth"
    program.parent.mkdir()
    program.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(ROOT)!r})\n"
        "from cli import main\nsys.exit(main())\n"
    )
    program.chmod(0o755)
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "HOME": str(tmp_path)}


def offered(shell: str, words: list[str], tmp_path: Path, environment) -> list[str]:
    """Return what a shell offers for the last word."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    script = tmp_path / "script"
    script.write_text(run("completion", shell).stdout)
    program = {"bash": BASH, "zsh": ZSH, "fish": FISH}[shell].format(
        script=script,
        words=" ".join(repr(word) for word in ["hearth", *words]),
        line=" ".join(["hearth", *words]),
    )
    result = subprocess.run(
        [
            shell,
            *{"bash": ["--norc"], "zsh": ["-f"], "fish": ["--no-config"]}[shell],
            "-c",
            program,
        ],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stderr == ""
    return sorted(filter(None, result.stdout.split("\n")))


@pytest.mark.parametrize("shell", WHERE)
def test_presets_are_completed(shell, tmp_path, environment):
    assert offered(shell, ["pretrain", "--preset", "ho"], tmp_path, environment) == PRESETS


def test_commands_options_and_tasks_are_completed_in_bash(tmp_path, environment):
    def found(*words):
        return offered("bash", list(words), tmp_path, environment)

    assert found("in") == ["inspect"]
    assert found("verify", "--js") == ["--json"]
    assert found("glue", "run", "--tasks", "cola,m") == ["cola,mnli", "cola,mrpc"]


@pytest.mark.parametrize("shell", WHERE)
def test_the_script_says_where_to_put_it(shell):
    result = run("completion", shell)
    assert result.exit_code == 0
    comments = [line for line in result.stdout.splitlines() if line.startswith("# ")]
    assert comments[0] == "# To use it, run"
    assert f"hearth completion {shell} > " in "".join(comments)


def test_the_tasks_are_those_that_are_scored():
    assert TASKS == SCORED_TASKS


def test_completion_imports_nothing_heavy(environment):
    code = (
        "import sys; sys.argv = ['hearth']\n"
        "try:\n    from cli import main; main()\n"
        "finally:\n    print('LOADED', *{name.split('.')[0] for name in sys.modules})"
    )
    asked = {"_HEARTH_COMPLETE": "bash_complete", "COMP_WORDS": "hearth glue x --tasks c"}
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment | asked | {"COMP_CWORD": "4"},
        capture_output=True,
        text=True,
    )
    answer, _, loaded = result.stdout.partition("LOADED")
    assert "plain,cola" in answer
    assert not set(loaded.split()) & {"torch", "numpy", "pyarrow", "tokenizers", "numba", "blake3"}
