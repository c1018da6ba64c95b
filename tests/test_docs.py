"""The documents: their commands parse, their links lead somewhere, what they name is there."""

import ast
import re
import tomllib
from dataclasses import fields
from importlib import import_module
from itertools import zip_longest
from pathlib import Path
from shlex import shlex
from textwrap import dedent

import click
import pytest
from click.testing import CliRunner

from benchmarks.__main__ import NAMES as BENCHMARKS
from cli import main
from pipeline.config import FetchConfig, PackConfig, TokenizeConfig, import_config
from pipeline.inspect_config import InspectConfig
from train.config import Execution, PretrainConfig, execution, pretrain_config
from train.glue.config import GlueConfig
from train.inference.settings import GenerateSettings

ROOT = Path(__file__).parents[1]
PATHS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "shards" / "FORMAT.md"])
TEXTS = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in PATHS}
FOLDERS = {"docs/models.md": "model", "docs/training.md": "train", "shards/FORMAT.md": "shards"}
"""Where the files are that a document names without a folder."""
PACKAGES = ("benchmarks", "model", "pipeline", "shards", "train")
PLACEHOLDERS = {"COMMAND": "--help", "SOURCE": "docstrings"}
"""Words in the place of one of a fixed set; all others may be any path or text."""
OTHERS = {
    *("--nnodes", "--nproc-per-node", "--rdzv-endpoint"),  # torchrun
    *("--nthreads", "--nworkers"),  # dask
    *("--help", "--version"),
}
"""Options that are no command's of ours."""
CHECKS = {
    "fetch": [(FetchConfig, FetchConfig)],
    "tokenize": [(TokenizeConfig, TokenizeConfig)],
    "pack": [(PackConfig, PackConfig)],
    "inspect": [(InspectConfig, InspectConfig)],
    "plan": [(pretrain_config, PretrainConfig)],
    "pretrain": [(pretrain_config, PretrainConfig), (execution, Execution)],
    "glue": [(GlueConfig, GlueConfig)],
    "generate": [(GenerateSettings, GenerateSettings)],
}
"""What a command checks its options with, before it does anything, and whose fields these are."""
MOST_FIGURES = 500_000
"""Bytes of all pictures in docs."""

FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
SPAN = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
of_each_document = pytest.mark.parametrize("name", TEXTS)


def blocks(text):
    """Return the fenced blocks, each with its language, which may be none."""
    return [(language, dedent(block)) for language, block in FENCE.findall(text)]


def spans(text):
    """Return what stands between backticks in running text."""
    return SPAN.findall(FENCE.sub("", text))


def shell_lines(text):
    """Return what a person would type: blocks of bash, lines behind `$`, and spans.

    What is shown to end with an error is left out; the test of that document runs it.
    A span with the bare name of a command stands for its help: RUN and the like go without saying.
    """
    for language, block in blocks(text):
        lines = block.replace("\\\n", " ").splitlines()
        if language == "bash":
            yield from lines
        elif not language:
            for line, answer in zip_longest(lines, lines[1:], fillvalue=""):
                if line.startswith("$ ") and not answer.startswith("Error: "):
                    yield line.removeprefix("$ ")
    for span in spans(text):
        yield f"{span} --help" if re.fullmatch(r"python cli\.py \w+", span) else span


def words_of(line):
    """Return the words of each command in a line of shell, without comments."""
    commands = [[]]
    reader = shlex(line, posix=True, punctuation_chars=True)
    reader.whitespace_split = True
    for word in reader:
        if set(word) <= set("();<>|&"):
            commands.append([])
        elif word not in ("…", "...", "do"):
            commands[-1].append(PLACEHOLDERS.get(word, word))
    return commands


def after(text, *program):
    """Return what follows this program in each command of a document that has it."""
    found = []
    for line in shell_lines(text):
        if program[-1] not in line:
            continue
        for words in words_of(line):
            for place in range(len(words)):
                if tuple(words[place : place + len(program)]) == program:
                    found.append(words[place + len(program) :])
    return found


def parse(command, name, words):
    """Parse as Click does before it runs a command, and check the options together."""
    try:
        with command.make_context(name, list(words)) as context:
            options = {key: value for key, value in context.params.items() if value is not None}
    except click.exceptions.Exit:  # --help, --version
        return
    if options.get("resume"):  # the other options are those of the run
        return
    for make, made in CHECKS.get(name, []):
        make = import_config if "vocabulary" in options else make
        make(**{one.name: options[one.name] for one in fields(made) if one.name in options})


@of_each_document
def test_the_commands_of_a_document_parse(name, capsys):
    wrong = []
    for words in [*after(TEXTS[name], "cli.py"), *after(TEXTS[name], "hearth")]:
        try:
            if words and words[0] in main.commands:
                parse(main.commands[words[0]], words[0], words[1:])
            elif words:
                main.make_context("cli.py", words)
                wrong.append((words, "no such command"))
        except click.exceptions.Exit:
            pass
        except (click.UsageError, ValueError) as error:
            wrong.append((words, str(error)))
    assert wrong == []


@of_each_document
def test_the_benchmarks_of_a_document_are_there_with_their_options(name, tmp_path, monkeypatch):
    (tmp_path / "data" / "text").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    for benchmark, *options in after(TEXTS[name], "-m", "benchmarks"):
        assert benchmark in BENCHMARKS
        try:
            command = import_module(f"benchmarks.{benchmark}").main
        except SystemExit:  # what it compares with is not installed
            continue
        if isinstance(command, click.Command):
            command.make_context(benchmark, options).close()
        else:
            assert options == [], benchmark


@of_each_document
def test_the_targets_of_make_are_in_the_makefile(name):
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    typed = [line for line in shell_lines(TEXTS[name]) if line.startswith("make ")]
    for _, *words in (words_of(line)[0] for line in typed):
        assert [word for word in words if "=" not in word and word not in targets] == []


@pytest.mark.parametrize("name", sorted(TEXTS.keys() - {"CHANGELOG.md"}))
def test_options_named_in_passing_are_those_of_the_command(name):
    """`pack --layout stream`, `--hours 24`: the first word may be a command, or none."""
    options = {
        command: {flag for one in made.params for flag in (*one.opts, *one.secondary_opts)}
        for command, made in main.commands.items()
    }
    every = set.union(OTHERS, *options.values(), options_of_benchmarks())
    wrong = []
    for span in spans(TEXTS[name]):
        first, *_ = span.split()
        known = options[first] | OTHERS if first in options else every
        if first in options or first.startswith("--"):
            named = re.findall(r"(?<!\S)--[a-z][a-z-]*", span)
            wrong += [(span, flag) for flag in named if flag not in known]
    assert wrong == []


def options_of_benchmarks():
    """Return the options in their sources: to be imported, some want what is not installed."""
    sources = (ROOT / "benchmarks").rglob("*.py")
    flags = re.compile(r'click\.option\(\s*"(--[a-z][a-z-]*)')
    return {flag for source in sources for flag in flags.findall(source.read_text())}


@of_each_document
def test_links_lead_to_files_and_headings(name):
    wrong = []
    for link in LINK.findall(FENCE.sub("", TEXTS[name])):
        if re.match("[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / name).parent / path if path else ROOT / name
        if not target.exists() or (anchor and anchor not in anchors(target)):
            wrong.append(link)
    assert wrong == []


def anchors(path):
    """Return the names that GitHub gives the headings of a document."""
    headings = HEADING.findall(FENCE.sub("", path.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@of_each_document
def test_files_named_are_there(name):
    folders = [ROOT, ROOT / name / "..", ROOT / FOLDERS.get(name, ".")]
    named = [
        word
        for span in spans(TEXTS[name])
        for word in span.split()
        if re.fullmatch(r"[\w./-]+\.py|(tests|docs)/[\w./-]+", word)
        or re.fullmatch(rf"({'|'.join(PACKAGES)})/[\w./-]*", word)
    ]
    assert [word for word in named if not any((one / word).exists() for one in folders)] == []


@of_each_document
def test_modules_and_what_is_taken_from_them_are_there(name):
    """In spans (`model.backbones.Reader`) and in the imports of Python blocks."""
    wanted = []
    for span in spans(TEXTS[name]):
        if dotted := re.match(rf"(?:{'|'.join(PACKAGES)})(?:\.\w+){{2,}}", span):
            wanted.append(dotted[0].rpartition("."))
    for language, block in blocks(TEXTS[name]):
        for node in ast.walk(ast.parse(block)) if language == "python" else ():
            if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] in PACKAGES:
                wanted += [(node.module, ".", one.name) for one in node.names]
    for module, _, attribute in wanted:
        assert hasattr(import_module(module), attribute), f"{module}.{attribute}"


@of_each_document
def test_extras_named_are_in_pyproject(name):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for extras in re.findall(r"\.\[([a-z,]+)\]", TEXTS[name]):
        assert set(extras.split(",")) <= set(project["optional-dependencies"])


@of_each_document
def test_help_shown_is_the_help_given(name):
    for language, block in blocks(TEXTS[name]):
        line, _, shown = block.partition("\n")
        if not language and line.startswith("$ ") and line.endswith("--help"):
            (words,) = after(f"`{line[2:]}`", "cli.py")
            result = CliRunner().invoke(main, words, prog_name="cli.py")
            assert shown == result.output


def test_figures_are_small_and_shown():
    figures = list((ROOT / "docs").glob("*.png"))
    assert sum(figure.stat().st_size for figure in figures) < MOST_FIGURES
    shown = "".join(TEXTS.values())
    assert [one.name for one in figures if f"{one.name})" not in shown] == []


def test_every_command_is_documented():
    named = {words[0] for text in TEXTS.values() for words in after(text, "cli.py") if words}
    assert set(main.commands) - named == set()
