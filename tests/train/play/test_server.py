"""What the page's server answers, over plain HTTP, and the command itself."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.commands import one_line, run
from train.inference.detect import Detection, Verdict, detect
from train.inference.fill import fill
from train.inference.generate import generate
from train.inference.loaded import Loaded
from train.inference.settings import GenerateSettings
from train.play.answers import TOP, Answers, pieces
from train.play.server import PlayServer

ROOT = Path(__file__).parents[3]
TEXT = "Conder el [MASK] fi in [MASK]."


def ask(server, path, request=None, **headers):
    """Return the status and what a server answers; JSON as an object."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=60)
    try:
        if request is None:
            connection.request("GET", path, headers=headers)
        else:
            known = {"Content-Type": "application/json"}
            body = request if isinstance(request, str) else json.dumps(request)
            connection.request("POST", path, body, known | headers)
        answer = connection.getresponse()
        content = answer.read().decode()
        is_json = answer.headers.get_content_type() == "application/json"
        return answer.status, json.loads(content) if is_json else content
    finally:
        connection.close()


def test_the_answers_are_those_of_the_commands(pair, serve):
    server, loaded = serve(pair), Loaded(pair, "cpu")
    status, found = ask(server, "/fill", {"text": TEXT})
    expected = fill(loaded, TEXT, TOP)
    assert status == 200
    assert [one["tokens"] for one in found["masks"]] == [one.tokens for one in expected]
    assert found["masks"][0]["probabilities"] == pytest.approx(expected[0].probabilities)

    status, found = ask(server, "/detect", {"text": "Conder el fi."})
    told = [one["probability"] for one in found["pieces"] if one["probability"] is not None]
    verdicts = detect(loaded, "Conder el fi.").verdicts
    assert told == pytest.approx([one.probability for one in verdicts])
    assert "".join(one["text"] for one in found["pieces"]) == "Conder el fi."

    status, found = ask(server, "/generate", {"text": TEXT, "rounds": 3})
    assert found["text"] == generate(loaded, TEXT, GenerateSettings(rounds=3)).text
    assert (found["method"], found["tokens"]) == ("mask-predict", 2)


def test_a_causal_model_generates_each_way(causal, serve):
    server, loaded = serve(causal), Loaded(causal, "cpu")
    for settings in ({}, {"temperature": 0.8, "top_p": 0.9, "seed": 4}, {"num_beams": 3}):
        request = {"text": "Conder el", "max_new_tokens": 5, **settings}
        status, found = ask(server, "/generate", request)
        assert status == 200
        expected = generate(loaded, "Conder el", GenerateSettings(max_new_tokens=5, **settings))
        assert found["text"] == expected.text
        assert found["method"] == expected.method


def test_only_what_a_model_can_do_has_a_tab(pair, causal, masked, judge, serve):
    tabs = {
        folder: ask(serve(folder), "/about")[1]["tabs"] for folder in (pair, causal, masked, judge)
    }
    assert tabs[pair] == ["fill", "detect", "generate"]
    assert tabs[causal] == ["generate"]
    assert tabs[masked] == ["fill", "generate"]
    assert tabs[judge] == ["detect"]
    status, found = ask(serve(judge), "/fill", {"text": TEXT})
    assert (status, found) == (404, {"error": "this model does not do that: open /"})


def test_a_model_with_nothing_to_show_is_refused_in_a_line(bare):
    line = one_line(run("play", bare, "--port", 0))
    assert line == (
        f"the model at {bare} has no head that fills, detects or generates: "
        "give a language model, or an ELECTRA discriminator"
    )


@pytest.mark.parametrize(
    ("tab", "request_", "line"),
    [
        ("fill", {"text": ""}, "the text is empty: give one or more words"),
        ("detect", {"text": "  "}, "the text is empty: give one or more words"),
        ("fill", {"text": "el " * 99 + "[MASK]"}, r"the text has \d+ tokens, the model takes 32: "),
        ("detect", {"text": "el " * 99}, r"the text has \d+ tokens, the model takes 32: shorten"),
        ("fill", {"text": "el"}, r"the text has no \[MASK\]: put \[MASK\] where"),
        ("generate", {"text": TEXT, "rounds": 0}, "rounds is 0; it must be at least 1: change it$"),
        ("generate", {"text": TEXT, "rounds": 1e9}, "rounds is 1000000000.0; it must be a whole"),
        ("generate", {"text": TEXT, "rounds": 1 << 70}, r"rounds is \d+; it must be at most 100"),
        ("generate", {"text": TEXT, "rounds": "x"}, "rounds is 'x'; it must be a number"),
        (
            "generate",
            {"text": TEXT, "temperature": 0.5},
            "temperature is for causal models, this one is masked: leave it out$",
        ),
        (
            "generate",
            {"text": "el", "max_new_tokens": 1000},
            "the model takes 32 tokens, the text has 3 and 1000 masks are added to it: "
            "add 29 at most, or shorten it$",
        ),
    ],
)
def test_a_text_or_setting_that_does_not_suit_is_told_in_a_line(pair, serve, tab, request_, line):
    status, found = ask(serve(pair), f"/{tab}", request_)
    assert status == 422
    assert re.match(line, found["error"])
    assert "\n" not in found["error"]


def test_as_many_masks_are_added_as_there_is_room_for(pair, serve):
    status, found = ask(serve(pair), "/generate", {"text": "el", "max_new_tokens": 29})
    assert (status, found["tokens"]) == (200, 29)


def test_a_small_vocabulary_offers_all_it_has(pair, serve, monkeypatch):
    monkeypatch.setattr("train.play.answers.TOP", 601)
    status, found = ask(serve(pair), "/fill", {"text": "Conder [MASK]"})
    assert (status, len(found["masks"][0]["tokens"])) == (200, 600)


def test_rounds_are_not_for_a_causal_model(causal, serve):
    status, found = ask(serve(causal), "/generate", {"text": "el", "rounds": 3})
    line = "rounds is for masked models, this one is causal: leave it out"
    assert (status, found) == (422, {"error": line})


@pytest.mark.parametrize("length", [1_000_001, 9_000_000])
def test_a_text_that_is_too_long_is_told_as_such(pair, serve, length):
    server = serve(pair)
    status, found = ask(server, "/fill", {"text": "x" * (length - 12)})
    assert (status, found) == (413, {"error": "the text is too long: shorten it"})
    assert ask(server, "/fill", {"text": TEXT})[0] == 200


def test_many_may_connect_at_once(pair, serve):
    connections = []
    with PlayServer(Answers(Loaded(pair, "cpu")), 0) as server:  # nobody accepts yet
        for _ in range(40):
            connections.append(socket.create_connection(("127.0.0.1", server.server_port), 5))
    assert len(connections) == 40
    for one in connections:
        one.close()


SURROGATE = '{"text": "\\ud800 [MASK]"}'


@pytest.mark.parametrize(
    "body", ["", "no JSON", "[]", "{}", '{"text": 3}', "\x00", "[" * 9999, SURROGATE]
)
def test_what_is_no_request_is_refused(pair, serve, body):
    status, found = ask(serve(pair), "/fill", body)
    assert status == 400
    assert found == {"error": "no JSON object with a text: send one"}


def test_pages_of_other_hosts_get_nothing(pair, serve):
    server = serve(pair)
    for path in ("/", "/about", "/script.js"):
        assert ask(server, path, Host="evil.example")[0] == 403
    assert ask(server, "/fill", {"text": TEXT}, Host=f"evil.example:{server.server_port}")[0] == 403
    plain = {"Content-Type": "text/plain"}  # what a form of another site can send unasked
    assert ask(server, "/fill", {"text": TEXT}, **plain)[0] == 400
    assert ask(server, "/", Host="localhost:9999")[0] == 200  # a forwarded port


def test_the_page_names_no_other_host(pair, serve):
    server = serve(pair)
    for path in ("/", "/style.css", "/script.js"):
        status, content = ask(server, path)
        assert status == 200
        assert not re.search(r"https?://|src=\"//|@import", content)
    assert ask(server, "/other")[0] == 404


def test_a_taken_port_is_told_in_a_line(pair, serve):
    port = serve(pair).server_port
    line = one_line(run("play", pair, "--port", port))
    assert line.startswith(f"port {port} cannot be used (Address already in use): choose another")


@given(st.text(max_size=20), st.lists(st.tuples(st.integers(0, 20), st.integers(0, 5))))
def test_pieces_are_the_text_whatever_the_tokens(text, places):
    places = sorted((min(start, len(text)), min(start + long, len(text))) for start, long in places)
    verdicts = tuple(Verdict("x", start, end, 0.5) for start, end in places)
    found = pieces(Detection(text, verdicts))
    assert "".join(one["text"] for one in found) == text
    assert all(one["text"] for one in found)


@pytest.mark.slow
def test_ctrl_c_ends_the_command_quietly(pair):
    command = [sys.executable, "cli.py", "play", str(pair), "--port", "0", "--device", "cpu"]
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    ) as process:
        line = process.stdout.readline().decode()
        assert re.fullmatch(r"the page: http://127\.0\.0\.1:\d+/ \(Ctrl-C ends it\)\n", line)
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=60)
    assert (process.returncode, rest, errors) == (0, b"", b"")
