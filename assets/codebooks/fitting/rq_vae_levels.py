"""The codebooks of an RQ-VAE in training: who is assigned to which code, and how codes move."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch import Tensor, nn

from assets.codebooks.fitting.kmeans import cluster
from assets.codebooks.params import CodebooksParams, RQVAEParams

LEAST_LEFT = 1e-6  # of the latents' mean squared length: a residual below it is nothing


class Levels(nn.Module):
    """One codebook per level, or one for all; with `ema`, what each code follows as well."""

    def __init__(self, params: CodebooksParams, device: torch.device) -> None:
        super().__init__()
        self.params = params
        self.knobs: RQVAEParams = params.rq_vae
        count = 1 if self.knobs.shared_codebook else params.levels
        self.books = nn.ParameterList(
            nn.Parameter(
                torch.randn(size, self.knobs.latent_dim, device=device)
                / self.knobs.latent_dim**0.5,
                requires_grad=not self.knobs.ema,
            )
            for size in params.sizes[:count]
        )
        self.counts = _followed(torch.ones(len(book), device=device) for book in self.books)
        self.means = _followed(book.detach().clone() for book in self.books)

    def by_level(self) -> list[Tensor]:
        """Return the codebook of each level; a shared one stands there as often as it serves."""
        if self.knobs.shared_codebook:
            return [self.books[0]] * self.params.levels
        return list(self.books)

    @torch.no_grad()
    def start(self, latents: Tensor) -> None:
        """Put codes on k-means centroids of what (n, latent dim) latents leave at each level."""
        if not self.knobs.kmeans_start:
            return
        entering, residuals = [], latents
        for level, size in enumerate(self.params.sizes):
            entering.append(residuals)
            centres = self._centres(residuals, size, level)
            residuals = residuals - centres[_distances(residuals, centres).argmin(dim=1)]
            if not self.knobs.shared_codebook:
                self.books[level].copy_(centres)
        if self.knobs.shared_codebook:
            self.books[0].copy_(self._centres(torch.cat(entering), len(self.books[0]), 0))
        for mean, book in zip(self.means, self.books, strict=True):
            mean.copy_(book)

    def _centres(self, points: Tensor, size: int, level: int) -> Tensor:
        found = cluster(
            np.ascontiguousarray(points.cpu().numpy()),
            size,
            self.params,
            level=level,
        )
        return torch.from_numpy(found).to(points.device)

    def sums(self, latents: Tensor, *, training: bool) -> Iterator[Tensor]:
        """Yield, after each level, the (n, latent dim) sums of the codes chosen so far."""
        residuals = latents
        summed = torch.zeros_like(latents)
        for level, book in enumerate(self.by_level()):
            codes = self._assign(residuals, book, training)
            chosen = book[codes]
            summed = summed + chosen
            yield summed
            if training and self.knobs.ema:
                self._follow(level, residuals, codes)
            residuals = residuals - chosen.detach()

    @torch.no_grad()
    def use(self, latents: Tensor) -> tuple[list[Tensor], list[int], Tensor]:
        """Return per level each code's count and how many codes could be used, and the sums."""
        counts, usable = [], []
        residuals = latents
        least = LEAST_LEFT * float(latents.square().sum(dim=1).mean())
        for book in self.by_level():
            left = int((residuals.square().sum(dim=1) > least).sum())
            codes = _distances(residuals, book).argmin(dim=1)
            counts.append(torch.bincount(codes, minlength=len(book)))
            usable.append(min(len(book), left))
            residuals = residuals - book[codes]
        return counts, usable, latents - residuals

    @torch.no_grad()
    def restart(
        self, latents: Tensor, optimiser: torch.optim.Optimizer, draw: torch.Generator
    ) -> None:
        """Move codes that nothing is nearest to onto residuals drawn at random.

        Use is counted by distance, as in use: Sinkhorn hands items to dead codes as well. What the
        optimiser remembers of a moved code is forgotten, or it would be driven back.
        """
        if self.knobs.shared_codebook:
            entering, counts = [latents], torch.zeros(len(self.books[0]), device=latents.device)
            for book in self.by_level():
                codes = _distances(entering[-1], book).argmin(dim=1)
                counts += torch.bincount(codes, minlength=len(book))
                entering.append(entering[-1] - book[codes])
            self._revive(0, counts == 0, torch.cat(entering[:-1]), optimiser, draw)
            return
        residuals = latents
        for level, book in enumerate(self.books):
            codes = _distances(residuals, book).argmin(dim=1)
            dead = torch.bincount(codes, minlength=len(book)) == 0
            self._revive(level, dead, residuals, optimiser, draw)
            residuals = residuals - book[_distances(residuals, book).argmin(dim=1)]

    def _revive(
        self,
        level: int,
        dead: Tensor,
        residuals: Tensor,
        optimiser: torch.optim.Optimizer,
        draw: torch.Generator,
    ) -> None:
        book, count = self.books[level], int(dead.sum())
        drawn = torch.randint(len(residuals), (count,), generator=draw)
        book[dead] = residuals[drawn.to(residuals.device)]
        self.means[level][dead], self.counts[level][dead] = book[dead], 1.0
        for value in optimiser.state.get(book, {}).values():
            if value.shape == book.shape:
                value[dead] = 0

    @torch.no_grad()
    def _assign(self, residuals: Tensor, book: Tensor, training: bool) -> Tensor:
        distances = _distances(residuals, book)
        if not (training and self.knobs.sinkhorn):
            return distances.argmin(dim=1)
        knobs = self.knobs
        distances = distances + residuals.square().sum(dim=1, keepdim=True)
        return sinkhorn(distances, knobs.sinkhorn_sharpness, knobs.sinkhorn_iterations).argmax(
            dim=1
        )

    @torch.no_grad()
    def _follow(self, level: int, residuals: Tensor, codes: Tensor) -> None:
        """Move codes to the moving means of the residuals that were assigned to them."""
        own = 0 if self.knobs.shared_codebook else level
        book, decay = self.books[own], self.knobs.ema
        counts = torch.bincount(codes, minlength=len(book)).to(book.dtype)
        sums = torch.zeros_like(book).index_add_(0, codes, residuals)
        self.counts[own].mul_(decay).add_(counts, alpha=1 - decay)
        self.means[own].mul_(decay).add_(sums, alpha=1 - decay)
        seen = self.counts[own] > 1e-3
        book[seen] = self.means[own][seen] / self.counts[own][seen, None]


def sinkhorn(distances: Tensor, sharpness: float, iterations: int) -> Tensor:
    """Return (n, codes) shares of each row among codes, such that all codes get about as much.

    Args:
        distances: (n, codes); they are standardised first.
        sharpness: Q starts as exp(−sharpness · distance).
        iterations: Rounds of making columns, then rows, sum to what they should.
    """
    spread = distances.std(correction=0).clamp(min=1e-6)
    log_shares = -sharpness * (distances - distances.mean()) / spread
    items, codes = distances.shape
    for _ in range(iterations):
        log_shares = (
            log_shares - log_shares.logsumexp(dim=0, keepdim=True) + math.log(items / codes)
        )
        log_shares = log_shares - log_shares.logsumexp(dim=1, keepdim=True)
    return log_shares.exp()


def _followed(tensors: Iterable[Tensor]) -> nn.ParameterList:
    """Hold tensors that belong to the state of a module and have no gradient."""
    return nn.ParameterList(nn.Parameter(tensor, requires_grad=False) for tensor in tensors)


def _distances(points: Tensor, book: Tensor) -> Tensor:
    """Return (n, codes) squared distances, less each point's own squared length."""
    return torch.addmm(book.square().sum(dim=1)[None], points, book.T, alpha=-2)
