from train.summary import summary


def test_the_summary_says_when_the_loss_is_over_the_baseline():
    scores = {
        "masked_language_model_loss": 7.0,
        "hidden_token_loss": 7.25,
        "replaced_token_loss": 0.3,
        "replaced_token_entropy": 0.4,
        "replaced_token_auc": 0.9,
        "sentence_order_accuracy": 0.8,
        "sentence_order_sigma": 0.02,
        "sentence_order_rows": 625,
    }
    over, under = (summary(scores, baseline, 128) for baseline in (6.5, 7.5))
    assert over[0].startswith("on held-out rows of 128 tokens, where guessing")
    assert "loss 7.000, 0.500 OVER guessing, as it is trained" in over[1]
    assert "loss 7.000, 0.500 under guessing" in under[1]
    assert "loss 7.250, 0.250 under guessing, with [MASK] at every one" in under[2]
    assert len(over) == 5
    late = summary(scores | {"replaced_token_auc": 0.55}, 6.5, 128)[-1]
    assert late == "The discriminator needs hours of training, not minutes."
    scores |= {"replaced_token_auc": 0.55, "sentence_order_accuracy": 0.52}
    both = "The discriminator and sentence order need hours of training, not minutes."
    assert summary(scores, 6.5, 128)[-1] == both


def test_a_perplexity_that_no_number_holds_is_told_as_such():
    scores = {
        "causal_language_model_loss": 800.0,
        "causal_language_model_perplexity": None,
        "word_perplexity": None,
    }
    assert "nan per token" in summary(scores, 6.5, 128)[-1]
