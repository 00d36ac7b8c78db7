"""Training of the RQ-VAE, in torch. Its loss and its parts are told in ``codebooks/rq_vae.py``."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  as all of torch's users call it

from assets.codebooks.fitting.collapse_doctor import CollapseDoctor, Vitals
from assets.codebooks.fitting.rq_vae_levels import Levels
from assets.codebooks.params import CodebooksParams, RQVAEParams
from assets.codebooks.quantizer import Vectors
from assets.codebooks.rq_vae import Layers
from assets.stage import UserError
from assets.training.best import BestMoment
from assets.training.checkpoints import Checkpoint
from assets.training.forecast import steps_foreseen
from assets.training.schedules import set_learning_rate, warmup_cosine

WATCHED = 32  # vectors per code on which the use of codes is measured
START_SCALE = 1 / 0.07  # of similarities in the contrast, as in FORGE
MOST_SCALE = 100.0
SAVE_EVERY = 10  # epochs

Pairs = tuple[Vectors, NDArray[np.int64]]


@dataclass(frozen=True)
class Trained:
    """What training leaves behind: arrays, and what it has to say for the report."""

    codebooks: list[Vectors]
    encoder: Layers
    decoder: Layers
    told: dict[str, Any]


def train(
    vectors: Vectors,
    pairs: Pairs | None,
    params: CodebooksParams,
    device: str,
    folder: Path | None = None,
) -> Trained:
    """Train an RQ-VAE; what is handed over is as it was after its best quantised epoch.

    The best epoch is the one whose codes explain most of the vectors' variance; with the contrast,
    which is there to trade some of that away, the one of the lowest loss.

    Args:
        vectors: (n, dim) float32.
        pairs: Vectors of all items and (pairs, 2) rows of those that occur together, or None.
        params: Those of the stage.
        device: ``cpu``, ``cuda`` or ``auto``.
        folder: Holds a checkpoint of every tenth epoch, from which a killed training goes on to
            the same end. None: no checkpoints.

    Raises:
        UserError: The codes collapsed and `on_collapse` is `stop`.
    """
    torch.manual_seed(params.seed)
    where = torch.device("cuda" if device != "cpu" and torch.cuda.is_available() else "cpu")
    return _Training(vectors, pairs, params, where).run(Checkpoint(folder) if folder else None)


class _Training:
    """The state of one training."""

    def __init__(
        self, vectors: Vectors, pairs: Pairs | None, params: CodebooksParams, device: torch.device
    ) -> None:
        self.params = params
        self.knobs: RQVAEParams = params.rq_vae
        self.points = torch.tensor(vectors, device=device)
        self.pairs: tuple[Tensor, Tensor] | None = None
        if pairs is not None:
            self.pairs = (
                torch.tensor(pairs[0], device=device),
                torch.tensor(pairs[1], device=device),
            )
        self.variance = float(self.points.var(dim=0, correction=0).sum()) or 1.0
        self.batch = min(self.knobs.batch_size, len(vectors))
        self.latent_scale = 1.0
        self.epochs_done = 0
        self.steps_done = 0
        self.course: list[Vitals] = []  # one of each quantised epoch
        self.draw = torch.Generator().manual_seed(params.seed)
        widths = [vectors.shape[1], *self.knobs.hidden, self.knobs.latent_dim]
        self.encoder = _mlp(widths).to(device)
        self.decoder = _mlp(widths[::-1]).to(device)
        self.levels = Levels(params, device)
        self.scales = nn.Parameter(torch.full((3,), math.log(START_SCALE), device=device))
        groups = [
            {
                "params": [*self.encoder.parameters(), *self.decoder.parameters()],
                "weight_decay": self.knobs.weight_decay,
            },
            {"params": [*self.levels.books, self.scales], "weight_decay": 0.0},
        ]
        self.optimiser = torch.optim.AdamW(groups, lr=self.knobs.learning_rate)
        learnt = [self.encoder, self.decoder, self.levels, nn.ParameterList([self.scales])]
        self.model = nn.ModuleList(learnt)
        self.best = BestMoment(self.model)

    def run(self, checkpoint: Checkpoint | None) -> Trained:
        """Train, watch, and hand over."""
        knobs = self.knobs
        total = knobs.plain_epochs + knobs.epochs
        doctor, verdict = CollapseDoctor(knobs), None
        if checkpoint and (state := checkpoint.load()):
            self._restore(state)
        for vitals in self.course:
            verdict = verdict or doctor.examine(vitals)
        shorter = [f"fewer `codebooks.rq_vae.epochs` (now {knobs.epochs})"]
        plain = range(self.epochs_done, knobs.plain_epochs)
        for _ in steps_foreseen(plain, "training the autoencoder", shorter, unit="epochs"):
            self._epoch(quantised=False)
            self._end_epoch(checkpoint)
        if not self.course:
            self._start_codes()
        # Other steps than before: foreseen anew.
        epochs = range(self.epochs_done, total)
        for epoch in steps_foreseen(epochs, "training the quantizer", shorter, unit="epochs"):
            loss = self._epoch(quantised=True)
            latents = self._latents()
            vitals = self._vitals(latents, loss)
            self.course.append(vitals)
            verdict = verdict or doctor.examine(vitals)
            if verdict and (knobs.on_collapse == "stop" or not math.isfinite(loss)):
                raise UserError(f"RQ-VAE stopped after {epoch + 1} epochs: {verdict}.")
            self.best.look(len(self.course), -loss if self.pairs else vitals.explained)
            last = epoch + 1 == total
            if knobs.restart_every and not last and (epoch + 1) % knobs.restart_every == 0:
                self.levels.restart(latents, self.optimiser, self.draw)
            self._end_epoch(checkpoint)
        self.best.put_back()
        told = {
            "training": [_row(epoch, vitals) for epoch, vitals in enumerate(self.course, 1)],
            "kept_epoch": self.best.step,
            "device": self.points.device.type,
            "collapsed": verdict is not None,
            "diagnosis": verdict,
        }
        books = [_plain(book) for book in self.levels.by_level()]
        return Trained(books, _layers(self.encoder), _layers(self.decoder), told)

    def _end_epoch(self, checkpoint: Checkpoint | None) -> None:
        self.epochs_done += 1
        if checkpoint and self.epochs_done % SAVE_EVERY == 0:
            state = {
                "epochs_done": self.epochs_done,
                "steps_done": self.steps_done,
                "latent_scale": self.latent_scale,
                "model": self.model.state_dict(),
                "optimiser": self.optimiser.state_dict(),
                "draw": self.draw.get_state(),
                "best": self.best.state(),
                "course": [asdict(vitals) for vitals in self.course],
            }
            checkpoint.save(state)

    def _restore(self, state: dict[str, Any]) -> None:
        self.epochs_done, self.steps_done = state["epochs_done"], state["steps_done"]
        self.latent_scale = state["latent_scale"]
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.draw.set_state(state["draw"])
        self.best.restore(state["best"])
        self.course = [Vitals(**vitals) for vitals in state["course"]]

    def _start_codes(self) -> None:
        latents = self._latents()
        self.levels.start(latents)
        # Errors of latents count in units of the variance that they have here. Were it followed,
        # an encoder that shrinks its latents would be pulled ever harder, down to a single point.
        self.latent_scale = 1 / max(float(latents.var(dim=0, correction=0).sum()), 1e-12)

    def _epoch(self, *, quantised: bool) -> float:
        """Make one pass over the vectors; return its mean loss."""
        losses = [self._step(rows, quantised) for rows in self._batches()]
        return sum(losses) / len(losses)

    def _batches(self) -> Iterator[Tensor]:
        order = torch.randperm(len(self.points), generator=self.draw)
        yield from order[: len(order) // self.batch * self.batch].split(self.batch)

    def _step(self, rows: Tensor, quantised: bool) -> float:
        knobs = self.knobs
        steps = (knobs.plain_epochs + knobs.epochs) * (len(self.points) // self.batch)
        share = warmup_cosine(self.steps_done, round(knobs.warmup * steps), steps)
        set_learning_rate(self.optimiser, knobs.learning_rate * share)
        self.steps_done += 1
        x = self.points[rows]
        rebuilt, pull = self._forward(x, quantised)
        loss = (rebuilt - x).square().sum(dim=1).mean() / self.variance + pull
        if quantised and self.pairs is not None:
            vectors, pairs = self.pairs
            chosen = torch.randint(len(pairs), (knobs.contrast_batch,), generator=self.draw)
            items = pairs[chosen.to(pairs.device)]
            ours, theirs = vectors[items].unbind(dim=1)
            rebuilt, pull = self._forward(torch.cat([ours, theirs]), quantised=True)
            our_rebuilt, their_rebuilt = rebuilt.chunk(2)
            pulled_together = contrast(
                (our_rebuilt, their_rebuilt), (ours, theirs), items, self.scales
            )
            loss = loss + pull + knobs.contrast * pulled_together
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()
        with torch.no_grad():
            self.scales.clamp_(max=math.log(MOST_SCALE))
        return float(loss.detach())

    def _forward(self, x: Tensor, quantised: bool) -> tuple[Tensor, Tensor]:
        """Return (rows, dim) rebuilt vectors and what pulls latents and codes together."""
        z = self.encoder(x)
        if not quantised:
            return self.decoder(z), z.new_zeros(())
        knobs, pull = self.knobs, z.new_zeros(())
        scale = self.latent_scale
        for summed in self.levels.sums(z.detach(), training=True):
            pull = (
                pull + knobs.commitment * scale * (z - summed.detach()).square().sum(dim=1).mean()
            )
            if not knobs.ema:
                distance = (z.detach() - summed).square().sum(dim=1).mean()
                pull = pull + knobs.codebook_weight * scale * distance
        return self.decoder(z + (summed - z).detach()), pull

    @torch.no_grad()
    def _latents(self) -> Tensor:
        """Encode the vectors on which the use of codes is measured."""
        limit = WATCHED * max(self.params.sizes)
        return self.encoder(self.points[:: -(-len(self.points) // limit)])

    @torch.no_grad()
    def _vitals(self, latents: Tensor, loss: float) -> Vitals:
        counts, usable, summed = self.levels.use(latents)
        every = -(-len(self.points) // (WATCHED * max(self.params.sizes)))
        error = (self.decoder(summed) - self.points[::every]).square().sum(dim=1).mean()
        length = latents.square().sum(dim=1).mean()
        spread = latents.var(dim=0, correction=0).sum() / length.clamp(min=1e-12)
        return Vitals(
            loss=loss,
            explained=1 - float(error) / self.variance,
            perplexity=[_perplexity(count) for count in counts],
            usable=usable,
            spread=float(spread),
        )


def contrast(
    rebuilt: tuple[Tensor, Tensor], given: tuple[Tensor, Tensor], items: Tensor, scales: Tensor
) -> Tensor:
    """Return FORGE's contrast of co-occurring items i and j, with in-batch negatives.

    The mean of three symmetric cross-entropies of scaled cosines: rebuilt i with rebuilt j, rebuilt
    with the other's given vector, rebuilt with its own given vector. A negative that is the same
    item as the positive is left out.

    Args:
        rebuilt: (pairs, dim) rebuilt vectors of i, and of j.
        given: (pairs, dim) vectors of i, and of j.
        items: (pairs, 2) a number for each item.
        scales: (3,) logarithms of the scales.
    """
    rebuilt, given = ((F.normalize(i, dim=1), F.normalize(j, dim=1)) for i, j in (rebuilt, given))
    right = torch.arange(len(items), device=items.device)
    losses = []
    # the candidates among which i and j look, and whose they are
    for scale, candidates, swap in zip(
        scales.exp(), (rebuilt, given, given), (True, True, False), strict=True
    ):
        for side in (0, 1):
            other = 1 - side if swap else side
            same = items[:, other, None] == items[None, :, other]
            logits = scale * rebuilt[side] @ candidates[other].T
            logits = logits.masked_fill(same.fill_diagonal_(False), -math.inf)
            losses.append(F.cross_entropy(logits, right))
    return torch.stack(losses).mean()


def _mlp(widths: list[int]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def _perplexity(counts: Tensor) -> float:
    shares = counts[counts > 0].double() / counts.sum()
    return float(torch.exp2(-(shares * shares.log2()).sum()))


def _row(epoch: int, vitals: Vitals) -> dict[str, float]:
    levels = {f"perplexity_{level + 1}": value for level, value in enumerate(vitals.perplexity)}
    return {"epoch": epoch, "loss": vitals.loss, "variance_explained": vitals.explained, **levels}


def _plain(tensor: Tensor) -> Vectors:
    return np.ascontiguousarray(tensor.detach().cpu().numpy(), np.float32)


def _layers(network: nn.Sequential) -> Layers:
    linear = [module for module in network if isinstance(module, nn.Linear)]
    return [(_plain(layer.weight), _plain(layer.bias)) for layer in linear]
