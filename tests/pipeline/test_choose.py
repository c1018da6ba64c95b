from collections import Counter

import numpy as np
import pytest

from pipeline.choose import choose, hash_fraction

TEXTS = [f"document {number}" for number in range(4000)]
KEYS = np.arange(4000, dtype=np.uint64)


def numbers(chosen) -> dict[str, set[int]]:
    return {split: set(some.numbers.tolist()) for split, some in chosen.items()}


def pick(repetition=0, share=1.0, held_out=0.1, seed=0, texts=TEXTS):
    counts: Counter[str] = Counter()
    keys = KEYS[: len(texts)]
    return choose(texts, keys, 100, (seed, held_out, repetition, share), counts), counts


def test_a_document_is_in_one_split_by_its_text():
    chosen, counts = pick()
    found = numbers(chosen)
    assert found["train"].isdisjoint(found["validation"])
    assert found["train"] | found["validation"] == set(range(100, 4100))
    assert counts["documents"] == 4000
    assert counts["validation_documents"] == len(found["validation"])
    sigma = (4000 * 0.1 * 0.9) ** 0.5
    assert abs(len(found["validation"]) - 400) < 4 * sigma


def test_texts_and_keys_are_those_of_the_numbers():
    for some in pick()[0].values():
        assert some.texts == [TEXTS[number - 100] for number in some.numbers]
        assert some.keys.tolist() == (some.numbers - 100).tolist()


def test_what_is_held_out_is_packed_once():
    again, counts = pick(repetition=1)
    assert numbers(again)["validation"] == set()
    assert numbers(again)["train"] == numbers(pick()[0])["train"]
    assert counts["thinned_documents"] == 0


@pytest.mark.parametrize("share", [0.01, 0.5, 0.9])
def test_a_share_is_drawn_by_the_hash_and_grows_with_the_weight(share):
    chosen, counts = pick(share=share)
    taken, every = numbers(chosen)["train"], numbers(pick()[0])["train"]
    sigma = (len(every) * share * (1 - share)) ** 0.5
    assert abs(len(taken) - len(every) * share) < 4 * sigma
    assert counts["thinned_documents"] == len(every) - len(taken)
    assert taken <= numbers(pick(share=min(1.0, share + 0.05))[0])["train"]


def test_what_is_held_out_is_packed_whatever_the_weight():
    assert numbers(pick(share=0.1)[0])["validation"] == numbers(pick()[0])["validation"] != set()


def test_a_seed_chooses_others():
    assert numbers(pick(seed=1)[0]) != numbers(pick()[0])
    assert hash_fraction("a", 0) != hash_fraction("a", 1)


def test_no_documents_are_no_trouble():
    chosen, counts = pick(texts=[])
    assert all(not some.texts for some in chosen.values())
    assert counts["documents"] == 0
