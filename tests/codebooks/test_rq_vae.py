"""The RQ-VAE: what it learns, its switches, and the doctor who watches it."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from codebooks.made_up_vectors import clustered, data_of, fit, small

from assets.codebooks.fit_report import describe_fit
from assets.codebooks.fitting.collapse_doctor import CollapseDoctor, Vitals
from assets.codebooks.fitting.fit import Fitted
from assets.codebooks.fitting.rq_vae import fit_rq_vae
from assets.codebooks.fitting.rq_vae_levels import sinkhorn
from assets.codebooks.fitting.rq_vae_training import contrast
from assets.codebooks.params import RQVAEParams
from assets.codebooks.quantizer import Quantizer
from assets.stage import UserError
from assets.training.checkpoints import Checkpoint

LEARNING = {"epochs": 25, "plain_epochs": 5, "learning_rate": 0.01}


def learn(vectors: np.ndarray, pairs: np.ndarray | None = None, **knobs: object) -> Fitted:
    return fit_rq_vae(data_of(vectors, pairs), small("rq_vae", rq_vae=LEARNING | knobs))


def train(vectors: np.ndarray, pairs: np.ndarray | None = None, **knobs: object) -> Quantizer:
    return learn(vectors, pairs, **knobs).quantizer


def least_perplexity(quantizer: Quantizer, vectors: np.ndarray) -> float:
    report = describe_fit(quantizer, vectors, quantizer.encode(vectors))
    return report["perplexity_worst_level"]


def test_what_was_trained_in_torch_is_what_works_in_numpy() -> None:
    vectors = clustered(200)
    learnt = learn(vectors)
    quantizer = learnt.quantizer
    report = describe_fit(quantizer, vectors, quantizer.encode(vectors))
    kept = learnt.told["training"][learnt.told["kept_epoch"] - 1]
    assert kept["variance_explained"] == max(
        row["variance_explained"] for row in learnt.told["training"]
    )
    explained = 1 - report["mse"] / vectors.var(axis=0).sum()
    assert explained == pytest.approx(kept["variance_explained"], abs=1e-3)
    for row in report["levels"]:
        assert row["perplexity"] == pytest.approx(kept[f"perplexity_{row['level']}"], rel=1e-3)


@pytest.mark.parametrize("knobs", [{}, {"ema": 0.9, "plain_epochs": 12}], ids=["", "moving means"])
def test_a_killed_training_goes_on_to_the_same_end(tmp_path, knobs) -> None:
    vectors = clustered(200)
    data, params = data_of(vectors), small("rq_vae", rq_vae=LEARNING | {"epochs": 23} | knobs)
    whole = fit_rq_vae(data, params)
    resumable = replace(data, checkpoints=lambda: tmp_path)
    fit_rq_vae(resumable, params)  # leaves the checkpoint of an epoch before the end
    state = Checkpoint(tmp_path).load()
    assert state["epochs_done"] < params.rq_vae.plain_epochs + params.rq_vae.epochs
    resumed = fit_rq_vae(resumable, params)
    assert resumed.told == whole.told
    for name, array in whole.quantizer.tensors().items():
        np.testing.assert_array_equal(resumed.quantizer.tensors()[name], array)
    # and it is the checkpoint that it goes on from
    Checkpoint(tmp_path).save(state | {"epochs_done": state["epochs_done"] + 1})
    assert len(fit_rq_vae(resumable, params).told["training"]) == 22


@pytest.mark.parametrize(
    "knobs",
    [
        pytest.param({}, id="as it is"),
        pytest.param({"sinkhorn": True}, id="sinkhorn"),
        pytest.param({"ema": 0.9}, id="moving means"),
        pytest.param({"shared_codebook": True, "sinkhorn": True}, id="shared codebook"),
        pytest.param({"hidden": []}, id="linear"),
    ],
)
def test_every_switch_leads_to_codes_that_tell_items_apart(knobs) -> None:
    vectors = clustered(300)
    quantizer = train(vectors, **knobs)
    codes = quantizer.encode(vectors)
    error = ((vectors - quantizer.decode(codes)) ** 2).sum(axis=1).mean()
    assert error < 0.75 * vectors.var(axis=0).sum()
    assert least_perplexity(quantizer, vectors) > 3
    first = quantizer.codebooks[0]
    assert all((book == first).all() for book in quantizer.codebooks[1:]) == (
        "shared_codebook" in knobs
    )


def test_sinkhorn_hands_every_code_about_as_much() -> None:
    draw = torch.Generator().manual_seed(0)
    points = torch.randn(400, 4, generator=draw)
    codes = torch.randn(8, 4, generator=draw) + torch.tensor([3.0, 0, 0, 0])
    codes[0] = 0  # the nearest to nearly all
    distances = torch.cdist(points, codes).square()
    shares = sinkhorn(distances, sharpness=10.0, iterations=50)
    np.testing.assert_allclose(shares.sum(dim=1), 1, rtol=1e-4)
    np.testing.assert_allclose(shares.sum(dim=0), 50, rtol=0.05)
    assert (distances.argmin(dim=1) == 0).sum() > 300
    assert torch.bincount(shares.argmax(dim=1), minlength=8).max() < 100
    # what is balanced already stays with its nearest code
    grid = torch.eye(8).repeat(10, 1)
    sure = sinkhorn(torch.cdist(grid, torch.eye(8)).square(), sharpness=10.0, iterations=5)
    assert (sure.argmax(dim=1) == torch.arange(8).repeat(10)).all()


def test_restarting_brings_dead_codes_back_to_life() -> None:
    vectors = clustered(300)
    dead = {"kmeans_start": False, "sinkhorn": False, "commitment": 1.0}
    left = train(vectors, restart_every=0, **dead)
    back = train(vectors, restart_every=1, **dead)
    assert least_perplexity(left, vectors) < 3
    assert least_perplexity(back, vectors) > 5


def test_contrast_brings_co_occurring_items_together() -> None:
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(8), 40)
    vectors = rng.normal(size=(8, 16))[group] + 0.2 * rng.normal(size=(320, 16))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    # items of groups 0 and 1 occur together, those of 2 and 3, and so on
    pairs = np.column_stack([np.flatnonzero(group % 2 == 0), np.flatnonzero(group % 2 == 1)])

    def distance(weight: float) -> float:
        """Of co-occurring items as rebuilt, against that of any two."""
        quantizer = train(vectors, pairs, contrast=weight, contrast_batch=64)
        rebuilt = quantizer.decode(quantizer.encode(vectors))
        apart = np.linalg.norm(rebuilt[pairs[:, 0]] - rebuilt[pairs[:, 1]], axis=1).mean()
        return float(apart / np.linalg.norm(rebuilt[:, None] - rebuilt[None], axis=2).mean())

    assert distance(2.0) < 0.8 * distance(0.0)


def test_contrast_is_the_mean_of_three_symmetric_cross_entropies() -> None:
    draw = torch.Generator().manual_seed(0)
    ours, theirs, ours_given, theirs_given = torch.randn(4, 5, 3, generator=draw)
    items = torch.tensor([[0, 10], [1, 11], [2, 12], [3, 13], [4, 13]])
    theirs_given[4] = theirs_given[3]  # the same item in two pairs: no negative of itself
    scales = torch.tensor([0.5, 1.0, 1.5])

    def unit(rows: torch.Tensor) -> torch.Tensor:
        return rows / rows.norm(dim=1, keepdim=True)

    def one_way(rows, others, scale, items) -> float:
        total = 0.0
        for i in range(5):
            logits = scale.exp() * unit(others) @ unit(rows)[i]
            kept = [j for j in range(5) if j == i or not torch.equal(items[j], items[i])]
            total -= float(logits[i] - logits[kept].logsumexp(dim=0))
        return total / 5

    expected = [
        one_way(ours, theirs, scales[0], theirs_given),
        one_way(theirs, ours, scales[0], ours_given),
        one_way(ours, theirs_given, scales[1], theirs_given),
        one_way(theirs, ours_given, scales[1], ours_given),
        one_way(ours, ours_given, scales[2], ours_given),
        one_way(theirs, theirs_given, scales[2], theirs_given),
    ]
    found = contrast((ours, theirs), (ours_given, theirs_given), items, scales)
    assert float(found) == pytest.approx(sum(expected) / 6, rel=1e-4)


def test_contrast_without_pairs_says_what_is_missing() -> None:
    with pytest.raises(UserError, match="set it to 0"):
        train(clustered(50), contrast=1.0)


def test_one_codebook_for_levels_of_different_sizes_is_refused() -> None:
    with pytest.raises(UserError, match="shared_codebook"):
        fit("rq_vae", clustered(50), codebook_size=[4, 8, 8], rq_vae={"shared_codebook": True})


COLLAPSING = {
    "epochs": 40,
    "plain_epochs": 0,
    "kmeans_start": False,
    "sinkhorn": False,
    "restart_every": 0,
    "commitment": 5.0,
    "collapse_share": 0.3,
}


def test_a_collapse_stops_training_early_and_is_explained() -> None:
    with pytest.raises(UserError) as caught:
        train(clustered(300), **COLLAPSING, on_collapse="stop")
    told = str(caught.value)
    assert "stopped after 5 epochs" in told
    assert "codes of 8" in told
    for knob in ("kmeans_start: true", "restart_every: 1", "sinkhorn: true"):
        assert knob in told


def test_a_collapse_may_be_kept_for_the_gate_to_judge() -> None:
    told = learn(clustered(300), **COLLAPSING, on_collapse="keep").told
    assert told["collapsed"]
    assert "the codes collapsed" in told["diagnosis"]
    assert len(told["training"]) == 40


def vitals(*perplexity: float, loss: float = 1.0, spread: float = 0.5) -> Vitals:
    usable = [256] * len(perplexity)
    return Vitals(loss, 0.5, perplexity, usable, spread)


def test_a_level_that_recovers_in_time_is_no_collapse() -> None:
    doctor = CollapseDoctor(RQVAEParams(collapse_patience=3))
    ill, well = vitals(200.0, 4.0), vitals(200.0, 100.0)
    for seen in (ill, ill, well, ill, ill):
        assert doctor.examine(seen) is None
    assert "level 2 works like 4.0 codes of 256 (epochs 4 to 6)" in doctor.examine(ill)


def test_a_level_with_nothing_left_to_code_is_no_collapse() -> None:
    doctor = CollapseDoctor(RQVAEParams(collapse_patience=1))
    assert doctor.examine(Vitals(1.0, 0.99, [8.0, 1.0], [8, 0], 0.5)) is None


@pytest.mark.parametrize(
    ("knobs", "seen", "advice"),
    [
        ({}, vitals(3.0, loss=float("nan")), "lower `codebooks.rq_vae.learning_rate` (now 0.002)"),
        ({}, vitals(3.0, spread=0.001), "a lower `commitment`"),
        ({}, vitals(200.0, 3.0), "fewer levels"),
        ({}, vitals(3.0), "a lower `learning_rate`"),
        ({"sinkhorn": False}, vitals(3.0), "`sinkhorn: true`"),
        ({"restart_every": 0}, vitals(3.0), "`restart_every: 1`"),
        ({"kmeans_start": False}, vitals(3.0), "`kmeans_start: true`"),
    ],
)
def test_the_doctor_names_the_knob_that_fits_the_finding(knobs, seen, advice) -> None:
    # all is on but what a case turns off, whatever the defaults are
    on = {"sinkhorn": True, "restart_every": 1, "kmeans_start": True, "learning_rate": 0.002}
    doctor = CollapseDoctor(RQVAEParams(**{**on, **knobs}, collapse_patience=1))
    assert advice in doctor.examine(seen)


def test_a_loss_that_is_no_number_ends_training_even_if_a_collapse_may_be_kept() -> None:
    with pytest.raises(UserError, match="no number"):
        train(clustered(100), learning_rate=1e30)
