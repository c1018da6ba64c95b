"""The page in a real browser, where there is one: type, click, read the answer."""

import re

import pytest

from train.inference.detect import detect
from train.inference.fill import fill
from train.inference.generate import generate
from train.inference.loaded import Loaded
from train.inference.settings import GenerateSettings
from train.play.answers import TOP

CONTROL, META = 2, 4
"""Of Input.dispatchKeyEvent."""
TEXT = "Conder el [MASK] fi in [MASK]."
TOKENS = "[...document.querySelectorAll('.token')]"


def element(name):
    return f"document.querySelector('{name}')"


def press(browser, key, modifiers=0):
    text = {"text": "\r"} if key == "Enter" else {}
    code = {"Enter": 13, "End": 35, "Home": 36, "ArrowLeft": 37, "ArrowRight": 39}[key]
    known = {"key": key, "windowsVirtualKeyCode": code, "modifiers": modifiers}
    browser.call("Input.dispatchKeyEvent", type="keyDown", **known, **text)
    browser.call("Input.dispatchKeyEvent", type="keyUp", **known)


@pytest.mark.slow
def test_a_person_types_masks_words_by_clicks_and_reads_the_fillings(pair, serve, browser):
    loaded = Loaded(pair, "cpu")
    browser.open(serve(pair).address)
    browser.click(element("#text"))
    browser.type("Conder el fi in no.")
    for number in (2, 3, 3):  # the last click gives "in" back
        browser.click(f"{element('#words')}.children[{number}]")
    assert browser.run(f"{element('#text')}.value") == "Conder el [MASK] in no."
    browser.click(element("#go"))
    browser.wait_for(f"{element('#result li')} !== null")
    shown = browser.run(f"[...{element('#result')}.querySelectorAll('li')].map(x => x.innerText)")
    (filling,) = fill(loaded, "Conder el [MASK] in no.", TOP)
    assert [line.split("\n")[0] for line in shown] == filling.tokens
    assert all(line.endswith(" %") for line in shown)


@pytest.mark.slow
def test_of_a_run_that_has_not_ended_the_page_tells_the_step(going_run, serve, browser):
    browser.open(serve(going_run).address)
    browser.wait_for(f"{element('#device')}.textContent !== ''")
    shown = browser.run(f"{element('#device')}.textContent")
    assert shown == "after step 6 of a run that has not ended, on cpu, in this machine alone"


@pytest.mark.slow
def test_tokens_are_coloured_by_the_verdict_on_them(pair, serve, browser):
    loaded = Loaded(pair, "cpu")
    browser.open(serve(pair).address)
    browser.click(element("#tab-detect"))
    browser.click(element("#text"))
    browser.type("Conder el fi.")
    browser.click(element("#go"))
    browser.wait_for(f"{element('#result .token')} !== null")
    colours = browser.run(f"{TOKENS}.map(x => getComputedStyle(x).backgroundColor)")
    titles = browser.run(f"{TOKENS}.map(x => x.title)")
    told = [100 * one.probability for one in detect(loaded, "Conder el fi.").verdicts]
    assert [float(title.removesuffix(" %")) for title in titles] == pytest.approx(told, abs=0.06)
    assert len(set(colours)) > 1


@pytest.mark.slow
def test_a_masked_model_fills_in_or_tells_in_a_line_why_not(pair, serve, browser):
    server, loaded = serve(pair), Loaded(pair, "cpu")
    browser.open(server.address)
    browser.click(element("#tab-generate"))
    browser.click(element("#text"))
    browser.type(TEXT)
    browser.click(element("#go"))
    browser.wait_for(f"{element('#result .said')} !== null")
    assert browser.run(f"{element('#result .said')}.textContent") == generate(loaded, TEXT).text
    how = "2 masks filled in by mask-predict: no text from left to right"
    assert browser.run(f"{element('#result .note')}.innerText") == how
    check_marks(browser, TEXT, generate(loaded, TEXT).text)
    browser.click(element("#text"))
    browser.type(" ")
    browser.click(element("#go"))
    line = "the text is empty: give one or more words"
    browser.wait_for(f"{element('#error')}.innerText === '{line}'")
    assert {one for one in browser.requests if not one.startswith(server.address)} <= {"data:,"}


def check_marks(browser, asked, text):
    """Check that what stands at the masks is marked, where the words tell it."""
    marked = browser.run(
        f"[...{element('#result')}.querySelectorAll('.filled')].map(x=>x.innerText)"
    )
    words = re.findall(r"\w+|\S", text)
    places = [n for n, one in enumerate(re.findall(r"\[MASK\]|\w+|\S", asked)) if one == "[MASK]"]
    assert marked == [words[place] for place in places]


@pytest.mark.slow
def test_a_page_is_worked_with_by_keys_alone(pair, serve, browser):
    server = serve(pair)
    browser.open(server.address)
    browser.wait_for(f"!{element('#panel')}.hidden")
    browser.run(f"{element('#tab-fill')}.focus()")
    for key, name in (("End", "generate"), ("ArrowRight", "fill"), ("ArrowLeft", "generate")):
        press(browser, key)
        assert browser.run("document.activeElement.id") == f"tab-{name}"
        assert browser.run(f"{element('#go')}.textContent") == name.capitalize()
    press(browser, "Home")
    browser.run(f"{element('#text')}.focus()")
    browser.type(TEXT)
    for number, modifier in enumerate((CONTROL, META), 1):
        press(browser, "Enter", modifier)
        browser.wait_for(f"{element('#go')}.ariaDisabled === 'false'")
        browser.wait_for(f"{element('#result li')} !== null")
        assert len([one for one in browser.requests if one.endswith("/fill")]) == number
    assert browser.run("document.activeElement.id") == "text"


@pytest.mark.slow
def test_the_focus_stays_on_the_button_and_a_second_press_is_no_second_question(
    pair, serve, browser
):
    browser.open(serve(pair).address)
    browser.click(element("#text"))
    browser.type(TEXT)
    browser.run(f"{element('#go')}.focus()")
    browser.run(f"{element('#go')}.click(); {element('#go')}.click()")
    assert browser.run("document.activeElement.id") == "go"
    browser.wait_for(f"{element('#result li')} !== null")
    assert browser.run("document.activeElement.id") == "go"
    assert len([one for one in browser.requests if one.endswith("/fill")]) == 1
    press(browser, "Enter")
    browser.wait_for(f"{element('#go')}.ariaDisabled === 'false'")
    assert len([one for one in browser.requests if one.endswith("/fill")]) == 2


@pytest.mark.slow
def test_a_causal_model_goes_on_in_the_page(causal, serve, browser):
    server = serve(causal)
    browser.open(server.address, width=390, height=844, is_dark=True)
    browser.wait_for(f"!{element('#panel')}.hidden")
    assert browser.run(f"{element('#tab-fill')}.hidden && {element('#tab-detect')}.hidden")
    browser.click(element("#text"))
    browser.type("Conder el")
    browser.run(f"{element('#method')}.value = 'beams'; {element('#method')}.onchange()")
    browser.run(f"{element('#max_new_tokens')}.value = 6")
    browser.click(element("#go"))
    browser.wait_for(f"{element('#result .new')} !== null")
    settings = GenerateSettings(max_new_tokens=6, num_beams=4, length_penalty=1)
    expected = generate(Loaded(causal, "cpu"), "Conder el", settings)
    shown = browser.run(f"{element('#result .said')}.textContent")
    assert shown == expected.text
    assert "beam search" in browser.run(f"{element('#result .note')}.innerText")
    assert browser.run("document.documentElement.scrollWidth") == 390
    paper = browser.run("getComputedStyle(document.body).backgroundColor")
    assert paper == "rgb(20, 22, 26)"
