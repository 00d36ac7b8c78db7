from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from assets.machine import Machine
from assets.stage import UserError
from assets.synthetic_queries.answer_store import AnswerStore
from assets.synthetic_queries.answers import numbered_lines
from assets.synthetic_queries.language_model import Request
from assets.synthetic_queries.local_model import LocalModel, Sampler
from assets.synthetic_queries.params import ModelParams, SyntheticQueriesParams, TransformersParams
from assets.synthetic_queries.written import WrittenGenerator

THINGS = ["war", "love", "space", "horror", "robot", "summer", "crime", "school", "jazz", "dogs"]
TEMPLATE = (
    "{% for message in messages %}<user>{{ message['content'] }}{% endfor %}"
    "{% if add_generation_prompt %}<answer>{% endif %}"
)
REQUESTS = [Request("name the film " + "abc"[: n % 4] * n, 0, 3) for n in range(1, 12)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A Llama that reads letters and writes whole numbered lines, with weights set by hand.

    It attends to all tokens alike: the mean of what it has read moves the odds of the lines, each
    letter those of one line. So a token of padding that is seen changes an answer, and what is
    drawn stands so far from what is not that no processor's rounding changes one.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    letters = [*"abcdefghijklmnopqrstuvwxyz .,:0123456789()\n"]
    lines = [f"{n}. {thing} films\n" for n, thing in enumerate(THINGS, start=1)]
    blanks = [" " * count for count in range(2, 12)]  # before a line they are no harm
    vocabulary = ["<unk>", "<pad>", "<end>", "<user>", "<answer>", *letters, *blanks, *lines]
    unknown = {"unk_token": "<unk>"}
    special = {**unknown, "pad_token": "<pad>", "eos_token": "<end>"}
    inner = Tokenizer(models.WordLevel({t: i for i, t in enumerate(vocabulary)}, **unknown))
    inner.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    inner.decoder = decoders.Fuse()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner,
        **special,
        additional_special_tokens=["<user>", "<answer>"],
        chat_template=TEMPLATE,
    )
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=96,  # one number for each token, and one that is always on
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        eos_token_id=2,
        pad_token_id=1,
        bos_token_id=None,
    )
    model = LlamaForCausalLM(config)
    always = 95
    odds = {token: 0.05 - 0.001 * n for n, token in enumerate([*lines, *blanks])}
    odds["<end>"] = 0.03
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() > 1:
                weight.zero_()
        model.model.embed_tokens.weight[:, : len(vocabulary)] = torch.eye(len(vocabulary))
        model.model.embed_tokens.weight[:, always] = 8
        attention = model.model.layers[0].self_attn
        attention.v_proj.weight.copy_(torch.eye(96))
        attention.v_proj.weight[always] = 0
        attention.o_proj.weight.copy_(torch.eye(96))
        for place, token in enumerate(vocabulary):
            model.lm_head.weight[place, always] = 0.7 * np.log(odds.get(token, 1e-9)) / 8
        for place, letter in enumerate("abcdefghij"):
            token = vocabulary.index(lines[place])
            model.lm_head.weight[token, vocabulary.index(letter)] = 4 + place
    target = tmp_path_factory.mktemp("model")
    tokenizer.save_pretrained(target)
    model.save_pretrained(target)
    return target


def local(folder, *, seed=0, batch_size=4, **llm) -> LocalModel:
    return LocalModel(
        params(folder, seed=seed, batch_size=batch_size, **llm), Machine(device="cpu")
    )


def params(folder, *, seed=0, batch_size=4, **llm) -> SyntheticQueriesParams:
    return SyntheticQueriesParams(
        seed=seed,
        generator="transformers",
        llm=ModelParams(**({"queries": 3, "answer_tokens": 40} | llm)),
        transformers=TransformersParams(model=str(folder), batch_size=batch_size),
    )


def ask(model, requests=REQUESTS):
    return {request: answer for step in model.answers(requests) for request, answer in step}


def test_answers_are_the_same_again_in_batches_of_any_size_and_order(folder):
    answers = ask(local(folder))
    assert list(answers) != REQUESTS  # the longest come first
    assert set(answers) == set(REQUESTS)
    assert ask(local(folder)) == answers
    assert ask(local(folder, batch_size=3), REQUESTS[::-1]) == answers
    assert ask(local(folder, batch_size=1), REQUESTS[4:5]) == {REQUESTS[4]: answers[REQUESTS[4]]}


def test_another_seed_or_attempt_is_another_answer(folder):
    first = ask(local(folder))
    other_seed = ask(local(folder, seed=1))
    again = ask(local(folder), [Request(r.prompt, 1, r.lines) for r in REQUESTS])
    assert sum(first[r].text != other_seed[r].text for r in REQUESTS) > 8
    texts = {r.prompt: answer.text for r, answer in again.items()}
    assert sum(first[r].text != texts[r.prompt] for r in REQUESTS) > 8


def test_an_answer_ends_with_the_last_line_asked_for_or_is_known_to_be_cut(folder):
    requests = [Request(r.prompt, 0, 6) for r in REQUESTS]
    answers = ask(local(folder, answer_tokens=8), requests)
    ended = [a for a in answers.values() if a.whole and numbered_lines(a.text) == 6]
    cut = [a for a in answers.values() if not a.whole]
    assert len(ended) >= 3
    assert len(cut) >= 1
    assert all(numbered_lines(a.text) <= 6 for a in answers.values())
    assert all(a.answer_tokens == 8 for a in cut)
    assert all(a.answer_tokens <= 8 and a.prompt_tokens > 10 for a in answers.values())


def test_at_temperature_0_the_likeliest_token_is_taken(folder):
    answers = ask(local(folder, temperature=0))
    assert len({a.text for a in answers.values()}) > 1  # the prompt decides
    assert ask(local(folder, temperature=0, seed=5)) != {}
    assert [a.text for a in ask(local(folder, temperature=0, seed=5)).values()] == [
        a.text for a in answers.values()
    ]


def test_tokens_are_drawn_as_often_as_their_share_of_the_likeliest():
    shares = np.array([0.05, 0.4, 0.3, 0.15, 0.1])
    draws = (np.arange(20_000) + 0.5) / 20_000
    logits = torch.tensor(np.log(shares)).repeat(len(draws), 1) * 2  # halved by the temperature

    def drawn(top_k, top_p):
        sampler = Sampler(draws[:, None], 7, 2.0, top_k=top_k, top_p=top_p)
        left = sampler(torch.zeros(len(draws), 7, dtype=torch.long), logits)
        assert (left.isfinite().sum(dim=1) == 1).all()
        return np.bincount(left.argmax(dim=1), minlength=5) / len(draws)

    assert drawn(5, 1.0) == pytest.approx(shares, abs=1e-3)
    assert drawn(3, 1.0) == pytest.approx(np.array([0, 0.4, 0.3, 0.15, 0]) / 0.85, abs=1e-3)
    assert drawn(5, 0.6) == pytest.approx(np.array([0, 0.4, 0.3, 0, 0]) / 0.7, abs=1e-3)
    assert drawn(5, 0.01) == pytest.approx([0, 1, 0, 0, 0])


def catalogue(count: int) -> pd.DataFrame:
    rows = [{"item_id": f"{n:02}", "title": f"Film {n}", "attributes": "{}"} for n in range(count)]
    return pd.DataFrame(rows).assign(text=None, brand=None, category="Drama")


def write(folder, cache, items):
    chosen = params(folder)
    model = LocalModel(chosen, Machine(device="cpu"))
    with AnswerStore(cache, model) as store:
        generator = WrittenGenerator(chosen, model, store, None, print)
        return list(generator.generate(items)), dict(generator.report())


def test_a_second_run_makes_the_same_without_loading_the_model(folder, tmp_path, capsys):
    made, report = write(folder, tmp_path, catalogue(6))
    assert {one.kind for one in made} == {"written", "paraphrase"}
    assert {one.query for one in made} <= {f"{thing} films" for thing in THINGS}
    assert report["lines_kept"] == len(made)
    assert (
        report["lines_kept"] + sum(row["lines"] for row in report["dropped"])
        == (report["answer_lines"])
    )
    assert "requests to" in capsys.readouterr().out
    assert write(folder, tmp_path, catalogue(6)) == (made, report)
    assert "requests to" not in capsys.readouterr().out


def test_other_weights_are_another_model(folder, tmp_path):
    copied = tmp_path / "model"
    copied.mkdir()
    for file in folder.iterdir():
        (copied / file.name).write_bytes(file.read_bytes())
    assert local(copied).version == local(folder).version
    (copied / "model.safetensors").write_bytes(b"else")
    assert local(copied).version != local(folder).version
    with pytest.raises(UserError, match="could not be loaded as a language model"):
        ask(local(copied))


def test_a_model_that_follows_no_instructions_is_refused(folder, tmp_path):
    for file in folder.iterdir():
        if file.suffix != ".jinja":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    with pytest.raises(UserError, match="no chat template"):
        ask(local(tmp_path))


def test_a_name_that_is_nowhere_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UserError, match="is no folder here"):
        local("no-such/model")
