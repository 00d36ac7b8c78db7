"""Training on the shared small project, taken in parts: precision, kills, what is kept."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from assets.bi_encoder.artifact import BiEncoder
from assets.codebooks.artifact import Codebooks
from assets.embeddings.artifact import Embeddings
from assets.files import read_json
from assets.interactions.artifact import Interactions
from assets.interactions.catalogue import Catalogue
from assets.machine import precision_for
from assets.retriever.examples import read_examples
from assets.retriever.model import RetrieverModel
from assets.retriever.params import RetrieverParams
from assets.retriever.training import train, untrained
from assets.retriever.validation import Validation
from assets.retriever.vocabulary import Vocabulary
from assets.semantic_ids.artifact import SemanticIds
from assets.semantic_ids.buckets import Buckets
from assets.stage import UserError
from assets.synthetic_queries.artifact import SyntheticQueries
from assets.training.checkpoints import Checkpoint

SMALL = {
    "hidden": 32,
    "layers": 2,
    "feed_forward": 64,
    "steps": 8,
    "warmup_steps": 2,
    "check_every": 2,
    "check_queries": 20,
    "check_beams": 10,
    "recommend_batch": 8,
    "search_batch": 16,
    "precision": "float32",
}


@pytest.fixture
def lesson(project, monkeypatch):
    """``lesson(folder, say, **params)``: train a new model; return the course and the weights."""
    project.make("quality_gate")
    monkeypatch.chdir(project.folder)
    data = project.folder / "data"
    interactions = Interactions.load(data / "interactions")
    queries = SyntheticQueries.load(data / "synthetic_queries")
    encoder = BiEncoder.load(data / "bi_encoder")
    ids, catalogue = SemanticIds.load(data / "semantic_ids"), Catalogue.of(interactions)
    buckets = Buckets.of(ids.codes, catalogue.popularity)
    codebooks, embeddings = Codebooks.load(data / "codebooks"), Embeddings.load(data / "embeddings")
    examples = read_examples(buckets.leaf_of, interactions, queries, encoder, embeddings)

    def run(folder, say, **changes):
        params = RetrieverParams(**(SMALL | changes))
        torch.manual_seed(0)
        generator = untrained(params, ids, buckets, codebooks, encoder.dim, examples.tasks, "cpu")
        validation = Validation.sample(
            queries.tasks("validation"),
            interactions.sessions("validation"),
            catalogue,
            encoder,
            params,
        )
        folder.mkdir(exist_ok=True)
        course = train(generator, examples, validation, params, folder, say)
        return course, generator.model.state_dict()

    return run


def silent(_):
    pass


@pytest.mark.parametrize("looks_before", [0, 1, 3])
def test_a_killed_training_goes_on_from_its_last_look_and_ends_with_the_same_bytes(
    lesson, tmp_path, looks_before
):
    whole, weights = lesson(tmp_path / "whole", silent)
    said = []

    def killed(line):
        said.append(line)
        if len(said) > looks_before:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lesson(tmp_path / "killed", killed)
    again = []
    course, ended = lesson(tmp_path / "killed", again.append)
    assert course == whole
    assert all(torch.equal(ended[name], tensor) for name, tensor in weights.items())
    assert ("goes on" in again[0]) == (looks_before > 0)
    assert len(again) == 4 - looks_before + (looks_before > 0)


def test_the_weights_are_those_of_the_best_look(lesson, tmp_path):
    course, weights = lesson(tmp_path / "long", silent, learning_rate=0.3)
    best = max(course.looks, key=lambda row: (Validation.score(row), row["step"]))
    assert course.kept == best["step"]
    assert [row["step"] for row in course.looks] == [2, 4, 6, 8]
    state = Checkpoint(tmp_path / "long").load()
    assert state is not None
    same = all(torch.equal(state["model"][name], tensor) for name, tensor in weights.items())
    assert same == (course.kept == 8)
    assert all(torch.equal(state["best"]["weights"][name], weights[name]) for name in weights)


def test_bfloat16_learns_as_float32_does(lesson, tmp_path):
    curves = {}
    for precision in ("float32", "bfloat16"):
        course, weights = lesson(tmp_path / precision, silent, precision=precision)
        assert {tensor.dtype for tensor in weights.values()} == {torch.float32}
        curves[precision] = np.array(
            [[row["search_loss"], row["recommendation_loss"]] for row in course.curve]
        )
    assert not np.array_equal(*curves.values())
    np.testing.assert_allclose(*curves.values(), rtol=0.05)


def test_the_manifest_says_what_auto_came_to(project):
    manifest = read_json(project.make("retriever") / "manifest.json")
    assert manifest["trained_as"]["precision"] == precision_for("auto", "cpu")
    assert manifest["trained_as"]["device"] == "cpu"


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("heads.safetensors", {"guide": None}, "lacks a tensor, `guide`"),
        ("heads.safetensors", {"guide": torch.zeros(7)}, "holds a misshapen tensor, `guide`"),
        ("heads.safetensors", {"other": torch.zeros(1)}, "holds an unknown tensor, `other`"),
        ("model/model.safetensors", {"lm_head.weight": None}, "lacks a tensor, `lm_head.weight`"),
        (
            "model/model.safetensors",
            {"lm_head.weight": torch.zeros(2, 2)},
            "holds a misshapen tensor, `lm_head.weight`",
        ),
    ],
)
def test_weights_that_do_not_fit_are_refused(project, tmp_path, file, change, message):
    folder = shutil.copytree(project.make("retriever"), tmp_path / "retriever")
    vocabulary = Vocabulary.load(folder / "vocabulary.json")
    books = Codebooks.load(project.make("codebooks")).quantizer.codebooks
    RetrieverModel.load(folder, vocabulary, books)
    tensors = load_file(folder / file) | change
    kept = {name: tensor for name, tensor in tensors.items() if tensor is not None}
    (folder / file).unlink()
    save_file(kept, folder / file, metadata={"format": "pt"})
    with pytest.raises(UserError, match=message):
        RetrieverModel.load(folder, vocabulary, books)
