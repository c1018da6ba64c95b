"""Generated texts beside those of `transformers`' `generate`, token for token."""

import json
from dataclasses import replace

import pytest
import torch
import transformers as hf
from hypothesis import given, settings
from hypothesis import strategies as st

from model.cache import Cache
from shards.errors import DataError
from tests.train.inference.conftest import END, GPT2
from train.inference.beams import search_beams
from train.inference.context import Context, window_start
from train.inference.generate import generate
from train.inference.loaded import Loaded
from train.inference.sampling import continue_text
from train.inference.settings import GenerateSettings

PROMPTS = ("Conder el", "fi in no", "mer", "gra hu lo", "sta sta", "Ba con der el fi gra")


def theirs(saved, row, **options):
    options = {"eos_token_id": END, "pad_token_id": 0} | options
    mask = torch.ones_like(row)
    return saved.theirs.generate(row, attention_mask=mask, max_new_tokens=14, **options)[0].tolist()


def ours(saved, row, ends=(END,), **options):
    chosen = GenerateSettings(max_new_tokens=14, **options)
    context = Context(saved.loaded.decoder, row.shape[1] + 14)
    with torch.inference_mode():
        if chosen.num_beams > 1:
            return search_beams(context, row[0], chosen, ends).tokens.tolist()
        return continue_text(context, row[0], chosen, ends).tolist()


def test_greedy_texts_are_those_of_transformers(causal):
    rows = [causal.ids(prompt, framed=False) for prompt in PROMPTS]
    found = [ours(causal, row) for row in rows]
    assert found == [theirs(causal, row, do_sample=False) for row in rows]
    assert {one[-1] == END for one in found} == {True, False}


@pytest.mark.parametrize("length_penalty", [-1.0, 0.0, 1.0, 2.0])
@pytest.mark.parametrize("num_beams", [2, 4])
def test_texts_of_beam_search_are_those_of_transformers(causal, num_beams, length_penalty):
    options = {"num_beams": num_beams, "length_penalty": length_penalty}
    more = {"early_stopping": False, "do_sample": False}
    for prompt in PROMPTS[:4]:
        row = causal.ids(prompt, framed=False)
        assert ours(causal, row, **options) == theirs(causal, row, **options, **more), prompt


def test_the_score_of_a_beam_is_that_of_transformers(causal):
    row = causal.ids("Conder el", framed=False)
    chosen = GenerateSettings(max_new_tokens=9, num_beams=3, length_penalty=0.7)
    with torch.inference_mode():
        found = search_beams(Context(causal.loaded.decoder), row[0], chosen, [END])
    expected = causal.theirs.generate(
        row,
        attention_mask=torch.ones_like(row),
        max_new_tokens=9,
        num_beams=3,
        length_penalty=0.7,
        eos_token_id=END,
        pad_token_id=0,
        return_dict_in_generate=True,
        output_scores=True,
    )
    assert found.score == pytest.approx(float(expected.sequences_scores), rel=1e-5)


@pytest.mark.parametrize(
    "options",
    [
        {"temperature": 0.7},
        {"top_k": 5},
        {"top_p": 0.8},
        {"temperature": 1.6, "top_k": 40, "top_p": 0.9},
        {"temperature": 3.0, "top_p": 0.3},
    ],
    ids=str,
)
def test_drawn_texts_are_those_of_transformers_with_the_same_seed(causal, options):
    for seed, prompt in enumerate(PROMPTS[:4]):
        row = causal.ids(prompt, framed=False)
        torch.manual_seed(seed)
        expected = theirs(causal, row, do_sample=True, **{"top_k": 0} | options)
        assert ours(causal, row, seed=seed, **options) == expected, prompt


def test_the_least_temperature_takes_the_likeliest(causal):
    row = causal.ids("Conder el", framed=False)
    assert ours(causal, row, temperature=1e-6) == ours(causal, row)


@pytest.mark.parametrize("num_beams", [1, 3])
def test_several_end_tokens_end_a_text_as_those_of_transformers(save_model, causal, num_beams):
    row = causal.ids("Conder el", framed=False)
    later = theirs(causal, row, do_sample=False, num_beams=num_beams, eos_token_id=599)[5]
    saved = save_model(causal.theirs)
    options = {"max_new_tokens": 14, "num_beams": num_beams}
    found = set()
    for prompt in PROMPTS:
        row = saved.ids(prompt, framed=False)
        for ends in ([END, later], [later, 7, 11], 9):
            content = json.dumps({"eos_token_id": ends})
            (saved.folder / "generation_config.json").write_text(content)
            again = hf.GPT2LMHeadModel.from_pretrained(saved.folder).eval()
            mask = torch.ones_like(row)
            expected = again.generate(
                row, attention_mask=mask, pad_token_id=0, do_sample=False, **options
            )[0].tolist()
            loaded = Loaded(saved.folder, "cpu")
            assert ours(saved, row, loaded.end_token_ids, num_beams=num_beams) == expected
            made = generate(loaded, prompt, GenerateSettings(**options))
            is_ended = expected[-1] in loaded.end_token_ids
            assert made.is_ended == is_ended
            assert made.tokens == len(expected) - row.shape[1] - is_ended
            found.add(expected[-1])
    assert later in found


@pytest.mark.parametrize("options", [{}, {"num_beams": 3}])
def test_entries_without_a_token_are_never_chosen(save_model, options):
    """The text is that of the model whose table ends where the tokenizer does."""
    torch.manual_seed(0)
    wide = hf.GPT2LMHeadModel(hf.GPT2Config(**GPT2 | {"vocab_size": 640}))
    with torch.no_grad():
        wide.transformer.wte.weight[600:] *= 4
    longer = save_model(wide)
    drawn = hf.GPT2LMHeadModel.from_pretrained(longer.folder)
    drawn.resize_token_embeddings(600)
    shorter = save_model(drawn)
    assert max(theirs(longer, longer.ids("Conder el", framed=False), do_sample=False)) >= 600
    chosen = GenerateSettings(max_new_tokens=40, **options)
    made = [generate(saved.loaded, "Conder el", chosen) for saved in (longer, shorter)]
    assert made[0] == made[1]
    forbidden = longer.loaded.tokenless_ids(longer.loaded.decoder)
    assert forbidden == list(range(600, 640))
    context = Context(longer.loaded.decoder, None, forbidden)
    drawing = GenerateSettings(max_new_tokens=40, temperature=3.0)
    with torch.inference_mode():
        found = continue_text(context, torch.tensor([5]), drawing, [])
    assert max(found) < 600


def test_memory_is_for_as_many_tokens_as_there_will_be(causal, monkeypatch):
    sizes = []
    original = Cache.__init__

    def watched(self, config, max_length=None):
        original(self, config, max_length)
        sizes.append(max_length)

    monkeypatch.setattr(Cache, "__init__", watched)
    generate(causal.loaded, "Conder el", GenerateSettings(max_new_tokens=4, num_beams=3))
    generate(causal.loaded, "Conder el", GenerateSettings(max_new_tokens=400, top_k=2))
    assert sizes[0] == causal.ids("Conder el", framed=False).shape[1] + 4
    assert sizes[1] == 32


def test_a_seed_draws_again_and_leaves_the_default_generator_alone(causal):
    chosen = GenerateSettings(temperature=2.0, seed=5)
    before = torch.get_rng_state()
    one = generate(causal.loaded, "Conder", chosen)
    assert one == generate(causal.loaded, "Conder", chosen)
    assert one.text != generate(causal.loaded, "Conder", replace(chosen, seed=6)).text
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("num_beams", [1, 2])
def test_past_the_trained_length_a_window_slides(causal, num_beams):
    """As it would be without a cache, the window read anew for each token."""

    class Anew(Context):
        def next_logits(self, sequences, origin=None):
            part = sequences[:, window_start(sequences.shape[1], 32) :]
            lengths.append(part.shape[1])
            return causal.loaded.decoder.token_logits(part, torch.ones_like(part))[:, -1]

    lengths: list[int] = []
    decoder = causal.loaded.decoder
    chosen = GenerateSettings(max_new_tokens=70, num_beams=num_beams)
    with torch.inference_mode():
        for prompt in ("Conder el", "sta " * 45):
            row = causal.ids(prompt, framed=False)[0]
            found = [
                continue_text(one, row, chosen, [])
                if num_beams == 1
                else search_beams(one, row, chosen, []).tokens
                for one in (Context(decoder), Context(decoder, len(row) + 70), Anew(decoder))
            ]
            assert found[0].tolist() == found[1].tolist() == found[2].tolist()
            assert len(found[0]) == len(row) + 70
    assert max(lengths) == 32
    assert min(lengths[40:]) == 25


@given(st.integers(1, 200), st.integers(1, 64))
def test_a_window_is_at_most_what_the_model_takes_and_three_quarters_of_it(length, limit):
    start = window_start(length, limit)
    read = length - start
    assert read == length if length <= limit else limit * 3 / 4 <= read <= limit
    assert start <= window_start(length + 1, limit)


def test_a_generation_tells_what_is_new(causal):
    made = generate(causal.loaded, "Conder el", GenerateSettings(max_new_tokens=4))
    row = causal.ids("Conder el", framed=False)
    new = theirs(causal, row, do_sample=False)[row.shape[1] :][:4]
    assert made.method == "greedy"
    assert made.score is None
    assert made.is_ended == (new[-1] == END)
    kept = new[:-1] if made.is_ended else new
    assert made.tokens == len(kept)
    assert made.continuation.strip() == causal.loaded.tokenizer.decode(kept)
    assert made.text == "conder el" + made.continuation


def test_a_word_that_a_continuation_goes_on_with_shows_no_mark_of_its_tokens(causal, monkeypatch):
    piece = next(token for token in causal.loaded.tokenizer.get_vocab() if token.startswith("##"))
    added = torch.tensor([causal.loaded.tokenizer.token_to_id(piece)])
    monkeypatch.setattr(
        "train.inference.generate.continue_text", lambda context, row, *_: torch.cat([row, added])
    )
    made = generate(causal.loaded, "Conder el", GenerateSettings(max_new_tokens=1))
    assert made.continuation == piece.removeprefix("##")
    assert made.text == f"conder el{made.continuation}"


def test_a_text_that_ends_leaves_its_end_token_out(causal):
    made = [generate(causal.loaded, prompt) for prompt in PROMPTS]
    assert any(one.is_ended for one in made)
    assert not any("[SEP]" in one.text for one in made if one.is_ended)


@pytest.mark.parametrize(
    ("model", "prompt", "options", "problem"),
    [
        ("causal", " ", {}, "the text is empty"),
        ("masked", "", {}, "the text is empty"),
        ("masked", "el", {"max_new_tokens": 50_000_000}, r"room for 29 .*give --max-new-tokens 29"),
        ("masked", "el " * 30, {}, r"the text has 32 tokens, the model takes 32, a \[MASK\] incl"),
        ("masked", "el \udcff", {}, "character 4 is half of one"),
        ("causal", "el \udcff", {}, "character 4 is half of one"),
        ("masked", "el", {"top_k": 3}, "is a masked model"),
        ("masked", "el", {"num_beams": 3}, "is a masked model"),
        ("causal", "el", {"rounds": 3}, "--rounds is for masked models"),
        ("judge", "el", {}, "does not fill in masked tokens"),
    ],
)
def test_what_cannot_be_generated_is_refused(request, model, prompt, options, problem):
    saved = request.getfixturevalue(model)
    with pytest.raises(DataError, match=problem):
        generate(saved.loaded, prompt, GenerateSettings(**options))


@pytest.mark.parametrize(
    "options",
    [
        *({"max_new_tokens": 0}, {"top_k": 0}, {"num_beams": 0}, {"rounds": 0}, {"seed": -1}),
        *({"temperature": 0.0}, {"temperature": float("inf")}, {"top_p": 0.0}, {"top_p": 1.1}),
        *({"temperature": 1e-40}, {"num_beams": 1_000_000}, {"seed": 1}, {"seed": 1, "rounds": 2}),
        *({"length_penalty": 11.0, "num_beams": 2}, {"length_penalty": 1.0}),
        {"num_beams": 2, "temperature": 1.0},
    ],
    ids=str,
)
def test_settings_out_of_range_are_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        GenerateSettings(**options)


@given(st.text(max_size=20))
@settings(max_examples=30)
def test_any_text_is_continued(causal, masked, text):
    for saved in (causal, masked):
        made = generate(saved.loaded, "el " + text, GenerateSettings(max_new_tokens=2))
        assert made.prompt == "el " + text
        assert made.tokens == 2 or made.is_ended or not saved.loaded.is_decoder
