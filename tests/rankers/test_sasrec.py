"""SASRec: what it learns, what it never ranks, that kills, saving and order change nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from assets.rankers.log import Log, TooLargeError
from assets.rankers.params import SASRecParams
from assets.rankers.sasrec import SASRec
from assets.rankers.sasrec_training import train_sasrec
from assets.rankers.tuning import exam_of
from assets.ranking import Histories
from assets.sequential.sampled_softmax import sampled_softmax_loss

ITEMS = 14  # of which 12 follow one another in a circle; nobody had the last two
SMALL = SASRecParams(hidden=16, epochs=12, check_every=4, positions=64, learning_rate=0.02)
TIES = np.arange(ITEMS)


@pytest.fixture(scope="module")
def circle():
    """Histories in which item n is followed by n + 1, and what validation asks of the like."""
    starts = np.random.default_rng(0).integers(12, size=60)
    users = [(start + np.arange(2 + start % 7)) % 12 for start in starts]
    numbers = np.repeat(np.arange(60), [len(had) for had in users])
    asked = [np.array([start, (start + 1) % 12]) for start in range(12)]
    right = [np.array([(start + 2) % 12]) for start in range(12)]
    return Log(numbers, np.concatenate(users), ITEMS), Histories(asked), right


# A batch is a few short windows, so that passes differ in how many batches they make.
UNEVEN = SMALL.model_copy(update={"history": 4, "positions": 4, "check_every": 1, "epochs": 3})


def trained(circle, folder, say=lambda _: None, params=SMALL):
    folder.mkdir(exist_ok=True)
    log, asked, right = circle
    return train_sasrec(log, params, TIES, exam_of(asked, right), 0, folder, say, dropout=0.1)


def test_it_learns_what_follows_and_ranks_neither_the_history_nor_what_it_never_saw(
    circle, tmp_path
):
    _, asked, right = circle
    found = trained(circle, tmp_path / "one").rank(asked, ITEMS)
    assert [row[0] for row in found.rows] == [row[0] for row in right]
    for rows, history in zip(found.rows, asked.items, strict=True):
        ranked = rows[rows >= 0].tolist()
        assert sorted([*ranked, *history]) == [*range(12)]


def test_a_history_of_unknown_items_is_passed_over_and_a_known_one_beside_it_is_not(
    circle, tmp_path
):
    model = trained(circle, tmp_path / "one")
    nothing, alone, beside = np.array([], np.int64), np.array([4]), np.array([4, 13])
    found = model.rank(Histories([nothing, np.array([12, 13]), alone, beside]), 3)
    assert (found.rows[:2] == -1).all()
    assert np.isneginf(found.scores[:2]).all()
    assert found.rows[2].tolist() == found.rows[3].tolist()
    assert found.rows[2, 0] == 5


def test_histories_beside_it_change_no_score(circle, tmp_path):
    model = trained(circle, tmp_path / "one")
    histories = [np.array([3]), np.array([3, 4, 5, 6]), np.arange(12)]
    together = model.scores(histories)
    for row, history in enumerate(histories):
        np.testing.assert_allclose(model.scores([history])[0], together[row], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("params", [SMALL, UNEVEN])
def test_it_ranks_alike_once_loaded_and_once_killed(circle, tmp_path, params):
    _, asked, _ = circle
    whole = trained(circle, tmp_path / "whole", params=params)
    said = []

    def killed(line):
        said.append(line)
        if len(said) > 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(circle, tmp_path / "killed", killed, params)
    again = trained(circle, tmp_path / "killed", said.append, params)
    assert any("goes on" in line for line in said)
    whole.save(tmp_path)
    for other in (again, SASRec.load(tmp_path, TIES)):
        assert other.epochs == whole.epochs
        np.testing.assert_array_equal(other.scores(asked.items), whole.scores(asked.items))


def test_without_validation_it_is_after_so_many_epochs_where_it_was_then(circle, tmp_path):
    log, asked, _ = circle
    looks = []

    def first_is_best(ranker):
        looks.append(ranker.scores(asked.items))
        return 1 / len(looks), 0.0

    def learnt(exam, epochs):
        folder = tmp_path / f"{epochs}"
        folder.mkdir()
        return train_sasrec(log, SMALL, TIES, exam, 0, folder, lambda _: None, epochs, dropout=0.1)

    measured = learnt(first_is_best, None)
    assert (measured.epochs, len(looks)) == (SMALL.check_every, SMALL.epochs // SMALL.check_every)
    again = learnt(None, measured.epochs)
    assert again.epochs == measured.epochs
    np.testing.assert_array_equal(again.scores(asked.items), looks[0])


def test_it_is_refused_for_the_epochs_that_it_takes(circle, tmp_path):
    log, _, _ = circle
    products = 3.0 * len(log.items) * 12 * SMALL.hidden  # of an epoch, against all 12 items
    few = SMALL.model_copy(update={"most_products": products * 2})

    def learnt(epochs):
        return train_sasrec(log, few, TIES, None, 0, tmp_path, lambda _: None, epochs, dropout=0.1)

    assert learnt(2).epochs == 2
    with pytest.raises(TooLargeError):
        learnt(3)


def test_what_takes_too_long_is_refused_in_a_sentence(circle, tmp_path):
    with pytest.raises(TooLargeError, match=r"most_products` \(1\.0e\+00\)"):
        trained(circle, tmp_path / "one", params=SMALL.model_copy(update={"most_products": 1.0}))


def test_a_sample_of_the_catalogue_estimates_the_softmax_over_all_of_it():
    torch.manual_seed(0)
    vectors, states = torch.randn(500, 8), torch.randn(40, 8) / 2
    items, rng = torch.arange(40), np.random.default_rng(0)

    def loss(negatives):
        return float(
            sampled_softmax_loss(
                states,
                items,
                lambda rows: vectors if rows is None else vectors[rows],
                len(vectors),
                negatives,
                rng,
            )
        )

    exact = float(functional.cross_entropy(states @ vectors.T, items))
    assert loss(500) == pytest.approx(exact, rel=1e-6)
    few, many = np.mean([loss(20) for _ in range(300)]), np.mean([loss(250) for _ in range(300)])
    assert many == pytest.approx(exact, rel=0.02)
    assert abs(many - exact) < abs(few - exact) < 0.2 * exact
