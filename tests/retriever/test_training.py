"""Training on the shared small project, taken in parts: precision, kills, what is kept."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from assets.bi_encoder.artifact import BiEncoder
from assets.embeddings.artifact import Embeddings
from assets.files import read_json
from assets.interactions.artifact import Interactions
from assets.interactions.catalogue import Catalogue
from assets.machine import precision_for
from assets.retriever.artifact import Generator
from assets.retriever.examples import read_examples
from assets.retriever.model import WEIGHTS, CompactModel, Features, Shape
from assets.retriever.params import RetrieverParams
from assets.retriever.training import train, untrained
from assets.retriever.validation import Validation
from assets.semantic_ids.artifact import SemanticIds
from assets.stage import UserError
from assets.synthetic_queries.artifact import SyntheticQueries
from assets.training.checkpoints import Checkpoint

SMALL = {
    "hidden": 32,
    "feed_forward": 64,
    "epochs": 4,
    "positions": 2000,
    "check_every": 1,
    "check_queries": 20,
    "check_beams": 10,
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
    embeddings = Embeddings.load(data / "embeddings")
    examples = read_examples(catalogue, interactions, queries, encoder, embeddings)

    def run(folder, say, **changes):
        params = RetrieverParams(**(SMALL | changes))
        torch.manual_seed(0)
        generator = untrained(
            params, ids, embeddings.text, catalogue.popularity, examples.tasks, "cpu"
        )
        validation = Validation.sample(
            queries.tasks("validation"),
            interactions.sessions("validation"),
            catalogue,
            encoder,
            params,
        )
        folder.mkdir(exist_ok=True)
        course, _ = train(generator, examples, validation, params, folder, say)
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
    steps = [row["step"] for row in course.looks]
    assert steps == [len(course.curve) // 4 * look for look in (1, 2, 3, 4)]
    state = Checkpoint(tmp_path / "long").load()
    assert state is not None
    same = all(torch.equal(state["model"][name], tensor) for name, tensor in weights.items())
    assert same == (course.kept == steps[-1])
    assert all(torch.equal(state["best"]["weights"][name], weights[name]) for name in weights)


def test_few_histories_leave_a_search_its_steps(lesson, project, tmp_path):
    course, _ = lesson(tmp_path, silent, epochs=1, positions=10**6)
    data = project.folder / "data"
    queries = SyntheticQueries.load(data / "synthetic_queries").table
    items = Embeddings.load(data / "embeddings").item_ids
    examples = (queries["split"] == "train").sum() + len(items)
    assert len(course.curve) == pytest.approx(examples / 16 / 4, abs=1)
    assert all("recommendation_sid_loss" in row for row in course.curve)


def test_bfloat16_learns_as_float32_does(lesson, tmp_path):
    curves = {}
    for precision in ("float32", "bfloat16"):
        course, weights = lesson(tmp_path / precision, silent, precision=precision)
        assert {tensor.dtype for tensor in weights.values()} == {torch.float32}
        curves[precision] = np.array(
            [[row[name] for name in row if name != "step"] for row in course.curve]
        )
    assert not np.array_equal(*curves.values())
    np.testing.assert_allclose(*curves.values(), rtol=0.05)


def test_the_manifest_says_what_auto_came_to(project):
    manifest = read_json(project.make("retriever") / "manifest.json")
    assert manifest["trained_as"]["precision"] == precision_for("auto", "cpu")
    assert manifest["trained_as"]["device"] == "cpu"


def test_without_the_item_head_only_sids_are_learnt(lesson, tmp_path):
    course, _ = lesson(tmp_path / "shaped", silent, item_weight=0.0)
    assert set(course.curve[0]) == {"step", "search_sid_loss", "recommendation_sid_loss"}
    assert not any("item_head" in name for look in course.looks for name in look)


def test_an_item_nobody_touched_is_read_through_codes_and_text_alone():
    """Whatever its row of own vectors holds; so is one whose vector a step leaves out."""
    known, dropped = np.array([True, False, True, True]), torch.tensor([False, False, True, False])
    text = np.eye(4, dtype=np.float32)
    features = Features(np.array([[0, 1], [1, 0], [1, 1], [0, 0]]), text, known, [2, 2])
    model = CompactModel(Shape.of(RetrieverParams(hidden=8, heads=2)), features).eval()
    with torch.inference_mode():
        before = model.item_vectors(), model.item_vectors(torch.tensor([3, 2]), dropped)
        model.own.weight += 1
        after = model.item_vectors(), model.item_vectors(torch.tensor([3, 2]), dropped)
    assert (after[0] != before[0]).any(dim=1).tolist() == known.tolist()
    assert (after[1] != before[1]).any(dim=1).tolist() == [True, False]


@pytest.mark.parametrize("positions_per_item", ["one", "one_per_code"])
def test_a_state_knows_its_item_and_those_before_it_alone(positions_per_item):
    rng = np.random.default_rng(0)
    text = rng.standard_normal((6, 4)).astype(np.float32)
    features = Features(rng.integers(3, size=(6, 3)), text, np.ones(6, dtype=bool), [3, 3, 3])
    shape = Shape.of(RetrieverParams(hidden=8, heads=2, positions_per_item=positions_per_item))
    model = CompactModel(shape, features).eval()
    history = torch.tensor([[0, 1, 2, 3]])
    with torch.inference_mode():
        states = model.history_states(history)[0]
        for place in range(4):
            other = history.clone()
            other[0, place] = 5
            changed = (model.history_states(other)[0] != states).any(dim=1)
            assert changed.tolist() == [later >= place for later in range(4)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"own.weight": None}, "lacks a tensor, `own.weight`"),
        ({"own.weight": torch.zeros(7, 2)}, "holds a misshapen tensor, `own.weight`"),
        ({"heads.0.bias": torch.zeros(3)}, "holds a misshapen tensor, `heads.0.bias`"),
        ({"other": torch.zeros(1)}, "holds an unknown tensor, `other`"),
    ],
)
def test_weights_that_do_not_fit_are_refused(project, tmp_path, change, message):
    folder = shutil.copytree(project.make("retriever"), tmp_path / "retriever")
    _load(project, folder)
    tensors = load_file(folder / WEIGHTS) | change
    (folder / WEIGHTS).unlink()
    save_file({name: tensor for name, tensor in tensors.items() if tensor is not None},
              folder / WEIGHTS)  # fmt: skip
    with pytest.raises(UserError, match=message):
        _load(project, folder)
    (folder / WEIGHTS).write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"model.safetensors cannot be read .* go back to a whole"):
        _load(project, folder)


def _load(project, folder) -> Generator:
    data = project.folder / "data"
    ids, text = SemanticIds.load(data / "semantic_ids"), Embeddings.load(data / "embeddings").text
    popularity = Catalogue.of(Interactions.load(data / "interactions")).popularity
    return Generator.load(folder, ids, text, popularity, "cpu")
