"""After how many tokens texts are cut: the rule beside a slow one, and what a model then reads."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.bi_encoder.__main__ import main, refresh
from assets.bi_encoder.artifact import BiEncoder
from assets.bi_encoder.base_model import PACKAGED, load_base
from assets.bi_encoder.params import BiEncoderParams
from assets.bi_encoder.token_caps import (
    cap_by_length,
    cap_in_time,
    foresee_cuts,
    token_counts,
    tokenizer_of,
)
from assets.stage import Run

LADDER = [64 * 2**step for step in range(12)]
lengths = st.lists(st.integers(1, 3000), max_size=300).map(lambda found: np.array(found, np.int64))
LONG = " ".join(f"word{number % 7}" for number in range(50))  # 2 tokens each, and 2 around


@given(lengths, st.sampled_from([32, 100, 256, 512, 8192, 1e30]))
def test_the_smallest_cap_that_leaves_99_of_100_documents_whole(counts, limit):
    fits = [cap for cap in LADDER if sum(counts > cap) * 100 <= len(counts)]
    assert cap_by_length(counts, limit) == min(fits[0], limit)


@given(
    lengths,
    st.sampled_from([32, 64, 128, 200, 256, 384, 4096]),
    st.floats(0.1, 1e4),
    st.floats(1, 100),
)
def test_time_lowers_a_cap_to_the_largest_that_it_suffices_for(counts, cap, minutes, faster):
    slowest = 10.0
    timed = []

    def pace():
        timed.append(1)
        return slowest * faster

    found = cap_in_time(counts, cap, minutes=minutes, slowest=slowest, pace=pace)
    lower = [step for step in LADDER if step < cap]
    seconds = {step: sum(min(count, step) for count in counts) for step in [*lower, cap]}
    in_time = [step for step in seconds if seconds[step] <= 60 * minutes * slowest * faster]
    assert found == max(in_time, default=min(cap, 64))
    # The machine has a say only where it could have one.
    assert bool(timed) == (cap > 64 and seconds[cap] > 60 * minutes * slowest)


def test_tokens_are_counted_as_the_model_reads_them_and_the_model_stays_as_it_was():
    model = load_base(PACKAGED, 16, "cpu")
    texts = ["", "Amélie (2001)", LONG, "naïve café — ☃"]
    before = model.tokenizer.backend_tokenizer.to_str()
    counts = token_counts(tokenizer_of(model), texts)
    assert model.tokenizer.backend_tokenizer.to_str() == before
    whole = model.tokenizer(texts, truncation=False, verbose=False)["input_ids"]
    assert counts.tolist() == [len(tokens) for tokens in whole]
    assert token_counts(None, ["a b c", ""]).tolist() == [7, 2]


@pytest.fixture
def of_documents(bare):
    """``of_documents(documents, **params)``: the asset of an untrained encoder of them."""

    def make(documents, name="bi_encoder", **params):
        file = bare / "data" / "interactions" / "items.parquet"
        pd.read_parquet(file).assign(document=documents).to_parquet(file, index=False)
        out = bare / "data" / name
        out.mkdir()
        main(Run("bi_encoder", BiEncoderParams(variant="content", **params), out))
        return out

    return make


def test_long_documents_are_read_whole_and_the_report_says_so(of_documents, capsys):
    folder = of_documents([LONG, LONG + " x", "Sea"])
    report = json.loads((folder / "report.json").read_text())
    assert (report["max_tokens"], report["documents_cut"]) == (128, 0)
    assert report["longest_document"] == 103
    assert "texts are cut after 128 tokens; no document is longer" in capsys.readouterr().out
    encoder = BiEncoder.load(folder)
    assert encoder.manifest["max_tokens"] == encoder.model.max_seq_length == 128
    one, other = encoder.encode([LONG + " robots", LONG + " cake"])
    assert np.abs(one - other).max() > 0.01


def test_short_documents_and_the_number_64_make_the_same_model(of_documents):
    version = [
        BiEncoder.load(of_documents(["Red shoes", "Blue hat", "Sea"], name, max_tokens=cap))
        for name, cap in {"first": "auto", "second": 64}.items()
    ]
    assert version[0].manifest == version[1].manifest


def test_documents_that_take_too_long_are_cut_and_the_model_is_that_of_the_lower_number(
    of_documents, capsys
):
    documents = [LONG, LONG + " x", "Sea"]
    hurried = of_documents(documents, "hurried", max_encode_minutes=1e-9)
    assert "of `bi_encoder.max_encode_minutes`" in capsys.readouterr().out
    report = json.loads((hurried / "report.json").read_text())
    assert report["max_tokens"] == 64
    assert report["documents_cut"] == pytest.approx(2 / 3)
    given_number = of_documents(documents, "given", max_tokens=64)
    assert BiEncoder.load(hurried).manifest == BiEncoder.load(given_number).manifest


def test_a_refresh_keeps_the_cap_and_counts_the_documents_of_today(of_documents, bare):
    released = of_documents(["Red shoes", "Blue hat", "Sea"], "released")
    file = bare / "data" / "interactions" / "items.parquet"
    pd.read_parquet(file).assign(document=[LONG, "Blue hat", "Sea"]).to_parquet(file, index=False)
    out = bare / "data" / "bi_encoder"
    out.mkdir()
    refresh(Run("bi_encoder", BiEncoderParams(), out), released)
    report = json.loads((out / "report.json").read_text())
    assert (report["max_tokens"], report["longest_document"]) == (64, 102)
    assert report["documents_cut"] == pytest.approx(1 / 3)


def test_what_would_be_cut_is_told_without_the_model(tmp_path, monkeypatch, tiny):
    documents = [LONG, LONG, "Sea", "Blue hat"]
    told = foresee_cuts(BiEncoderParams(), documents)
    assert "cut after 128 tokens; no document is longer, the longest has 102" in told
    assert "auto`, by length alone" in told
    told = foresee_cuts(BiEncoderParams(max_tokens=64), documents)
    assert "cut after 64 tokens; 50.00% of the documents are longer" in told
    assert "`bi_encoder.max_tokens: auto` would choose 128" in told
    assert "after 32 tokens" in foresee_cuts(BiEncoderParams(base=str(tiny)), documents)
    assert "after 64 tokens; no document is longer, the longest has 0" in foresee_cuts(
        BiEncoderParams(), []
    )
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (tmp_path / "tokenizer.json").write_text("{")
    for base in ("somebody/absent", str(tmp_path)):
        told = foresee_cuts(BiEncoderParams(base=base), documents)
        assert "the longest has 77" in told
        assert "estimated from words" in told
