"""The commands of docs/tutorial.md, one after another, and the errors that it shows."""

import bz2
import hashlib
import json
import re
import shlex
import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import torch
import transformers as hf

from cli import main
from tests.commands import run
from tests.pipeline.test_readers_wikipedia import dump, page

PAGE = Path(__file__).parents[1] / "docs" / "tutorial.md"
DUMP = "scowiki-latest-pages-articles.xml.bz2"
NOT_UTF_8 = "bgwiki-latest-pages-articles.xml.bz2"
PUBLISHED = "bert_uncased_L-2_H-128_A-2"
REAL = {
    DUMP: "dumps/dbpedia-mini-sco-wiki.xml.bz2",
    NOT_UTF_8: "dumps/bgwiki-latest-pages-articles-shortened.xml.bz2",
    "vocab.txt": "vocab/bert-base-uncased-vocab.txt",
}
ON_CPU = "--device cpu --precision float32 --quiet"
# Sizes for seconds instead of hours; the last of two equal options counts. `fetch` without --from
# loads from a mirror of one's own.
SMALL = {
    "fetch": "--workers 1",
    "tokenize": "--vocab-size 500",
    "pack": "--workers 1",
    "pretrain": f"--steps 4 --batch-size 4 {ON_CPU}",
    "glue": "--epochs 1 --device cpu --quiet",
}
STAGES = f"--steps 5 --stages 32x4:0.6,64:0.2,128:0.2 {ON_CPU}"
MIRRORED = "--base-url mirror --data mirrored --workers 1"


def blocks() -> Iterator[tuple[str, list[str]]]:
    """Yield the language and the lines of each block of code of the page, in their order."""
    text = PAGE.read_text(encoding="utf-8")
    for found in re.finditer(r"^```(\w*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        yield found[1], found[2].splitlines()


def words_of(line: str) -> list[str]:
    """Return what follows `python cli.py`."""
    assert line.startswith("python cli.py ")
    return shlex.split(line)[2:]


def refusals(lines: list[str]) -> list[tuple[str, str]]:
    """Return the commands of a block whose answer is an error, with it."""
    return [
        (line.removeprefix("$ "), answer)
        for line, answer in pairwise(lines)
        if line.startswith("$ ") and answer.startswith("Error: ")
    ]


def shorten(words: list[str], held_out: str) -> list[str]:
    """Return a command of the page with sizes for a test."""
    name = words[0]
    more = SMALL.get(name, "")
    if name == "fetch" and "--from" not in words:
        more = MIRRORED
    if name == "pretrain" and "--stages" in words:
        more = STAGES
    if name == "tokenize" and "--import" in words:
        more = ""
    if name == "pack":
        more += f" --validation-fraction {held_out}"
    return [*words, *shlex.split(more)]


def write_mirror(raw: bytes) -> None:
    """Write a dump as its server has it: the sums tell its date."""
    folder = Path("mirror/dumps.wikimedia.org/scowiki/latest")
    folder.mkdir(parents=True)
    (folder / DUMP).write_bytes(raw)
    sums = f"{hashlib.sha1(raw).hexdigest()}  {DUMP.replace('latest', '20260101')}\n"
    (folder / "scowiki-latest-sha1sums.txt").write_text(sums)


def write_task() -> None:
    Path("my-task").mkdir()
    Path("my-task/task.txt").write_text("classification\n")
    rows = "".join(f"Ane o {n}.\tsco\nOne of {n}.\ten\n" for n in range(4))
    for split in ("train", "dev"):
        Path(f"my-task/{split}.tsv").write_text(f"text\tlabel\n{rows}")


def publish(vocabulary: str) -> None:
    """Write a BERT of the smallest published shape, its weights drawn."""
    torch.manual_seed(0)
    config = hf.BertConfig(
        vocab_size=len(vocabulary.splitlines()),
        hidden_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=512,
    )
    hf.BertForPreTraining(config).save_pretrained(PUBLISHED)
    Path(PUBLISHED, "vocab.txt").write_text(vocabulary, encoding="utf-8")


def made_up_vocabulary(texts: list[str]) -> str:
    """Return a vocabulary of characters, its special tokens where BERT's are."""
    characters = sorted(set("".join(texts).lower()) - set(" \n"))
    first = ["[PAD]", *(f"[unused{n}]" for n in range(99)), "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    return "\n".join([*first, *characters, *(f"##{one}" for one in characters)]) + "\n"


@pytest.fixture(params=["made up", "real"])
def held_out(request, tmp_path, monkeypatch, prose) -> str:
    """Stand where a person would, with the files that the page names; return what to hold out.

    The real dump is of one article, which 1 % does not hold out.
    """
    monkeypatch.chdir(tmp_path)
    texts = prose(60, 1)
    if request.param == "real":
        folder = request.getfixturevalue("real_data")
        for name, place in REAL.items():
            shutil.copyfile(folder / place, name)
        vocabulary = Path("vocab.txt").read_text(encoding="utf-8")
    else:
        raw = dump([page(f"Page {n}", text, identity=n) for n, text in enumerate(texts, 1)])
        Path(DUMP).write_bytes(bz2.compress(raw))
        Path(NOT_UTF_8).write_bytes(bz2.compress(raw.decode().encode("utf-16")))
        vocabulary = made_up_vocabulary(texts)
    write_mirror(Path(DUMP).read_bytes())
    write_task()
    publish(vocabulary)
    Path("held-out.txt").write_text("Conder el fi.\n")
    Path("my-texts").mkdir()
    for number, text in enumerate(prose(40, 2)):
        Path(f"my-texts/{number}.txt").write_text(text)
    return "0.01" if request.param == "real" else "0.2"


def without_numbers(line: str) -> str:
    return re.sub(r"\d+", "N", line)


def check_refusal(command: str, expected: str) -> None:
    words = words_of(command)
    if words[0] == "tokenize":  # the page's folder is in use
        words += ["--out", "too-large"]
    result = run(*words)
    assert result.exit_code in (1, 2), (command, result.output)
    assert without_numbers(result.output.splitlines()[-1]) == without_numbers(expected)


@pytest.mark.slow
def test_the_commands_of_the_tutorial_run_and_its_errors_come(held_out):
    errors = []
    for language, lines in blocks():
        if language == "bash":
            for line in lines:
                result = run(*shorten(words_of(line), held_out))
                assert result.exit_code == 0, (line, result.output)
        for command, error in refusals(lines):
            check_refusal(command, error)
            errors.append(error)
    assert not Path("runs/wrong").exists()
    assert Path("my-model/config.json").is_file()
    assert Path("compared/report.html").is_file()
    for name, source in (("domain", "sco"), ("continued", "published")):
        begun = json.loads(Path(f"runs/{name}/run.json").read_text())["init_from"]
        assert Path(begun) == Path(f"runs/{source}").resolve()
    check_remedies(errors)


def check_remedies(errors: list[str]) -> None:
    """Check that what two of the errors say to do helps."""
    (line,) = (one for one in errors if "pack with its tokenizer" in one)
    command = re.search(r"`(python cli\.py pack .*)`", line)[1]
    again = shlex.split("--text domain/text --out again --workers 1")
    assert run(*words_of(command), *again).exit_code == 0
    assert any("iconv -f UTF-16 -t UTF-8" in one for one in errors)
    converted = Path(NOT_UTF_8.removesuffix(".bz2"))
    converted.write_bytes(bz2.decompress(Path(NOT_UTF_8).read_bytes()).decode("utf-16").encode())
    fetched = run(*shlex.split("fetch wikipedia --language bg --data bg --from"), converted)
    assert fetched.exit_code == 0, fetched.output


def test_the_commands_of_the_tutorial_have_such_options():
    lines = [line for language, lines in blocks() if language == "bash" for line in lines]
    assert len(lines) > 20
    for name, *options in map(words_of, lines):
        main.commands[name].make_context(name, options)


def test_links_of_the_tutorial_lead_somewhere():
    links = re.findall(r"\]\(([^)#]+)", PAGE.read_text(encoding="utf-8"))
    assert links
    assert [link for link in links if not (PAGE.parent / link).exists()] == []
