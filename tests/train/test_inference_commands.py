"""fill, detect, generate, embed and perplexity as a person runs them."""

import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import transformers as hf
from click.testing import CliRunner
from tqdm import tqdm

from cli import main
from tests.commands import one_line, run
from train.inference import texts

ROOT = Path(__file__).parents[2]
TEXT = "Conder el [MASK] fi in [MASK]."
PROSE = "Conder el fi in no, mer gra hu lo. Per sta ba con der."


@pytest.fixture(scope="module")
def stream_model(tmp_path_factory, tokenizer_folder) -> Path:
    """A random GPT-2 in a folder of its own."""
    folder = tmp_path_factory.mktemp("causal")
    shape = {"vocab_size": 600, "n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 32}
    ends = {"bos_token_id": 3, "eos_token_id": 3}
    hf.GPT2LMHeadModel(hf.GPT2Config(**shape, **ends)).save_pretrained(folder)
    for file in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(tokenizer_folder / file, folder / file)
    return folder


def lines(result):
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()


def objects(result):
    return [json.loads(line) for line in lines(result)]


def test_fill_prints_a_line_for_each_mask_and_what_is_next(run_folder):
    first, second, last = lines(run("fill", run_folder, TEXT, "--top", 2))
    assert len(first.split("  ")) == len(second.split("  ")) == 2
    assert last.startswith("next: python cli.py glue ")
    (found,) = objects(run("fill", run_folder, TEXT, "--top", 2, "--json"))
    assert found["text"] == TEXT
    probability = found["masks"][0]["probabilities"][0]
    assert first.startswith(f"{found['masks'][0]['tokens'][0]} {probability:.3f}")


def test_of_a_run_that_has_not_ended_the_step_is_told_beside_the_answer(run_folder, going_run):
    ended, going = (run("fill", folder, TEXT, "--json") for folder in (run_folder, going_run))
    assert lines(ended) == lines(going)
    assert ended.stderr == ""
    assert going.stderr == f"{going_run} has not ended: this is its model after step 6\n"
    shown = run("fill", going_run, TEXT)
    assert lines(shown)[-1] == f"next: python cli.py report {going_run}"


def test_texts_come_from_a_file_or_from_standard_input(run_folder, tmp_path):
    (tmp_path / "texts.txt").write_text("[MASK] el\nfi [MASK]\n")
    by_file = objects(run("fill", run_folder, "--from", tmp_path / "texts.txt", "--json"))
    piped = CliRunner().invoke(
        main, ["fill", str(run_folder), "-", "--json"], input="[MASK] el\nfi [MASK]\n"
    )
    assert objects(piped) == by_file
    assert [one["text"] for one in by_file] == ["[MASK] el", "fi [MASK]"]
    shown = lines(run("fill", run_folder, "--from", tmp_path / "texts.txt"))
    assert shown[0] == "[MASK] el"
    assert shown[2] == "fi [MASK]"


def test_detect_marks_without_colour_where_no_terminal_reads(run_folder):
    shown = lines(run("detect", run_folder, "Conder el.", "--threshold", 0))
    assert shown[0] == "[[Conder]] [[el.]]"
    assert " tokens held for replaced: " in shown[1]
    assert lines(run("detect", run_folder, "Conder el.", "--threshold", 1))[0] == "Conder el."
    (found,) = objects(run("detect", run_folder, "Conder el.", "--threshold", 0, "--json"))
    assert all(one["is_replaced"] for one in found["tokens"])


@pytest.mark.skipif(os.name == "nt", reason="there are no pseudo-terminals")
@pytest.mark.parametrize(("no_color", "has_colour"), [("", True), ("1", False)])
def test_detect_colours_on_a_terminal_unless_told_not_to(run_folder, no_color, has_colour):
    import pty

    ours, theirs = pty.openpty()
    command = [sys.executable, str(ROOT / "cli.py"), "detect", str(run_folder), "Conder el."]
    subprocess.run(
        [*command, "--threshold", "0"],
        stdout=theirs,
        env=os.environ | {"NO_COLOR": no_color},
        check=True,
        timeout=120,
    )
    os.close(theirs)
    shown = os.read(ours, 1 << 16).decode()
    os.close(ours)
    assert "onder" in shown
    assert ("\x1b[" in shown) is has_colour


def test_generate_says_how(stream_model, run_folder):
    greedy, drawn, beams = (
        lines(run("generate", stream_model, "Conder el", "--max-new-tokens", 4, *more))
        for more in ((), ("--top-k", 3), ("--num-beams", 2))
    )
    assert "tokens, greedy" in greedy[1]
    assert "tokens, sampling" in drawn[1]
    assert "tokens, beam search, score -" in beams[1]
    assert greedy[2].startswith("next: python cli.py perplexity ")
    masked = lines(run("generate", run_folder, TEXT))
    assert "2 masks filled in by mask-predict: no text from left to right" in masked[1]
    (found,) = objects(run("generate", run_folder, TEXT, "--json"))
    assert (found["method"], found["text"]) == ("mask-predict", masked[0])


def test_embed_writes_a_file(run_folder, tmp_path):
    (tmp_path / "texts.txt").write_text("Conder el.\nfi\n")
    out = tmp_path / "vectors.parquet"
    shown = lines(run("embed", run_folder, tmp_path / "texts.txt", "--out", out))
    assert shown[0] == f"2 texts, 128 numbers each -> {out}"
    assert pq.read_table(out)["text"].to_pylist() == ["Conder el.", "fi"]
    again = ("embed", run_folder, tmp_path / "texts.txt", "--out", out, "--json")
    (found,) = objects(run(*again, "--pooling", "first"))
    expected = {"texts": 2, "width": 128, "cut": 0, "pooling": "first", "out": str(out)}
    assert found == expected


def test_perplexity_says_which(stream_model, run_folder, tmp_path):
    (tmp_path / "text.txt").write_text(PROSE * 3)
    shown = lines(run("perplexity", stream_model, tmp_path / "text.txt", "--stride", 8))
    assert shown[0].startswith("perplexity ")
    assert shown[1].endswith("windows of 32 tokens, stride 8")
    piped = CliRunner().invoke(main, ["perplexity", str(run_folder), "-", "--json"], input=PROSE)
    (found,) = objects(piped)
    assert (found["kind"], found["file"]) == ("pseudo-perplexity", "-")


def test_what_has_no_perplexity_is_null_and_said(stream_model, tmp_path):
    folder = tmp_path / "model"
    theirs = hf.GPT2LMHeadModel.from_pretrained(stream_model)
    theirs.transformer.wte.weight.data *= 1e6
    theirs.save_pretrained(folder)
    for file in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(stream_model / file, folder / file)
    (tmp_path / "text.txt").write_text(PROSE)
    printed = lines(run("perplexity", folder, tmp_path / "text.txt", "--json"))[0]
    found = json.loads(printed, parse_constant=pytest.fail)
    assert found["perplexity"] is found["word_perplexity"] is None
    shown = lines(run("perplexity", folder, tmp_path / "text.txt"))
    assert shown[0] == "perplexity no figure a token, no figure a word"


@pytest.mark.parametrize("command", ["fill", "detect", "generate", "embed"])
@pytest.mark.parametrize("spoilt", ["el " * 80, "el \udcff"])
def test_an_error_in_a_file_has_the_number_of_its_text(run_folder, tmp_path, command, spoilt):
    source = tmp_path / "texts.jsonl"
    source.write_text("".join(json.dumps({"text": f"{one} [MASK]"}) + "\n" for one in ["el"]))
    with source.open("a") as file:
        file.write(json.dumps({"text": f"{spoilt} [MASK]"}) + "\n")
    files = [source, "--out", tmp_path / "out"] if command == "embed" else ["--from", source]
    result = run(command, run_folder, *files)
    assert result.exit_code == 1
    assert result.output.splitlines()[-1].startswith("Error: text 2: ")


def test_an_output_is_refused_before_the_model_is_loaded(tmp_path):
    (tmp_path / "texts.txt").write_text("el\n")
    both = (tmp_path / "texts.txt", "--out", tmp_path / "texts.txt")
    assert "is the file to read: name another" in one_line(run("embed", "none", *both))


def test_detect_names_fill_next_where_there_is_something_to_fill_with(run_folder, tmp_path):
    assert lines(run("detect", run_folder, "el"))[-1].startswith("next: python cli.py fill ")
    shutil.copytree(run_folder / "hf", tmp_path / "judge")
    shutil.rmtree(tmp_path / "judge" / "generator")
    assert lines(run("detect", tmp_path / "judge", "el"))[-1].startswith(
        "next: python cli.py glue "
    )


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("embed", ["texts.txt", "--out", "out"]),
        ("fill", ["--from", "texts.txt"]),
        ("detect", ["--from", "texts.txt"]),
        ("generate", ["--from", "texts.txt"]),
    ],
)
def test_a_file_is_read_twice_for_a_bar_alone(run_folder, tmp_path, monkeypatch, command, options):
    monkeypatch.chdir(tmp_path)
    Path("texts.txt").write_text("[MASK] el\n")
    read = []
    original = texts.read_texts
    monkeypatch.setattr(texts, "read_texts", lambda path: [read.append(path), *original(path)][1:])
    arguments = (command, run_folder, *options)
    lines(run(*arguments))
    assert len(read) == 1
    monkeypatch.setattr("tqdm.std.tqdm.__init__", shown_bar)
    lines(run(*arguments))
    assert len(read) == 3
    lines(run(*arguments, "--quiet"))
    assert len(read) == 4


ORIGINAL = tqdm.__init__


def shown_bar(self, *arguments, disable, **more):
    """Make a bar as on a terminal, unless none is wanted."""
    ORIGINAL(self, *arguments, disable=bool(disable), file=io.StringIO(), **more)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["fill", "RUN", "no mask"], "the text has no [MASK]: put [MASK] where a word is to be"),
        (["fill", "RUN", ""], "the text is empty: give one or more words"),
        (["fill", "none", "x"], "no exported model at none: give a run's folder"),
        (["detect", "RUN", "el " * 80], "the text has 82 tokens, the model takes 64: shorten it"),
        (["detect", "RUN", "--from", "none"], "no file at none: give a file that is there"),
        (["generate", "RUN", "el", "--num-beams", "2"], "RUN is a masked model, which fills in"),
        (
            ["generate", "RUN", "el", "--max-new-tokens", "80"],
            "after this text the model has room for 61 tokens, not 80: give --max-new-tokens 61",
        ),
        (["fill", "RUN", "el \udcff [MASK]"], r"character 4 is half of one ('\udcff'): write the"),
        (["perplexity", "RUN", "none"], "no file at none: give a file that is there, or -"),
        (["embed", "RUN", "none", "--out", "x"], "no file at none: give a file that is there"),
    ],
)
def test_what_is_wrong_is_one_line(run_folder, tmp_path, monkeypatch, arguments, line):
    monkeypatch.chdir(tmp_path)
    words = [str(run_folder) if one == "RUN" else one for one in arguments]
    assert one_line(run(*words)).replace(str(run_folder), "RUN").startswith(line)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["fill", "x"],
        ["fill", "x", "text", "--from", "file"],
        ["fill", "x", "text", "--top", "0"],
        ["generate", "x", "text", "--temperature", "0"],
        ["generate", "x", "text", "--num-beams", "2", "--top-k", "2"],
        ["perplexity", "x", "y", "--stride", "0"],
        ["generate", "x", "text", "--seed", "3"],
        ["generate", "x", "text", "--temperature", "nan"],
        ["detect", "x", "text", "--threshold", "nan"],
        ["embed", "x", "y"],
        ["embed", "x", "y", "--out", "z", "--pooling", "last"],
        ["detect", "x", "text", "--device", "abacus"],
    ],
)
def test_a_wrong_option_ends_with_2(arguments):
    result = run(*arguments)
    assert result.exit_code == 2, result.output
