"""The model: a small Qwen2 over SID tokens, with two ways for a query's vector to enter it.

A search reads ``search: q q``, where the q are soft tokens projected from the bi-encoder's query
vector; a recommendation reads ``recommend:`` and the SIDs of the history. What follows is a SID.

The guide tells the model where a query's vector lies among the centroids: for code c of level l it
adds ``guide[l] * (latent(query) . codebook_l[c])`` to the logit, in training and in the beam alike.
Summed over the levels of an additive quantizer that is the query's similarity to the item as its
SID rebuilds it; the language model learns what the SID does not say.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, Qwen2Config, Qwen2ForCausalLM
from transformers.utils import logging

from assets.retriever.vocabulary import PAD, SEARCH, Vocabulary
from assets.stage import UserError

if TYPE_CHECKING:
    from assets.retriever.params import RetrieverParams

HEADS = ("project.weight", "project.bias", "guide")  # what lies beside the language model
GUIDE_SCALE = 100.0  # lets a guide of usual size, about 50, be learnt at the model's learning rate


class RetrieverModel(nn.Module):
    """The language model with its projection and guide.

    Attributes:
        lm: The language model.
        project: Query vector to soft tokens.
        guide: (guided levels,) learnt weight of the guide per level, in units of `GUIDE_SCALE`.
    """

    def __init__(
        self,
        lm: Qwen2ForCausalLM,
        vocabulary: Vocabulary,
        codebooks: Sequence[NDArray[np.float32]],
        query_dim: int,
        query_tokens: int,
    ) -> None:
        """Put a model together.

        Args:
            lm: The language model.
            vocabulary: Its tokens.
            codebooks: One (codes, latent dim) matrix per level that has one; levels after them
                (the index of `append_index`) have no guide.
            query_dim: Length of a query vector.
            query_tokens: Soft tokens per query.
        """
        super().__init__()
        self.lm = lm
        self.vocabulary = vocabulary
        self.query_tokens = query_tokens
        self.project = nn.Linear(query_dim, query_tokens * lm.config.hidden_size)
        self.guide = nn.Parameter(torch.zeros(len(codebooks)))
        for level, codebook in enumerate(codebooks):
            self.register_buffer(f"codebook_{level}", torch.from_numpy(codebook), persistent=False)

    @classmethod
    def create(
        cls,
        params: RetrieverParams,
        vocabulary: Vocabulary,
        codebooks: Sequence[NDArray[np.float32]],
        query_dim: int,
    ) -> RetrieverModel:
        """Make an untrained model, its weights drawn from torch's generator."""
        config = Qwen2Config(
            vocab_size=len(vocabulary),
            hidden_size=params.hidden,
            intermediate_size=params.feed_forward,
            num_hidden_layers=params.layers,
            num_attention_heads=params.heads,
            num_key_value_heads=params.heads,
            max_position_embeddings=max(
                1 + (params.history + 1) * vocabulary.levels,
                1 + params.query_tokens + vocabulary.levels,
            ),
            pad_token_id=PAD,
            bos_token_id=None,
            eos_token_id=None,
        )
        lm = Qwen2ForCausalLM(config)
        model = cls(lm, vocabulary, codebooks, query_dim, params.query_tokens)
        nn.init.constant_(model.guide, params.guide / GUIDE_SCALE)
        return model

    def save(self, folder: Path) -> None:
        """Write ``model/`` as transformers saves it and ``heads.safetensors``."""
        logging.disable_progress_bar()
        self.lm.save_pretrained(folder / "model")
        own = self.state_dict()
        save_file(
            {name: own[name].detach().cpu().contiguous() for name in HEADS},
            folder / "heads.safetensors",
        )

    @classmethod
    def load(
        cls, folder: Path, vocabulary: Vocabulary, codebooks: Sequence[NDArray[np.float32]]
    ) -> RetrieverModel:
        """Read what :meth:`save` wrote.

        Raises:
            UserError: A tensor is missing, unknown or of another shape.
        """
        logging.disable_progress_bar()
        lm, told = AutoModelForCausalLM.from_pretrained(
            folder / "model", output_loading_info=True, ignore_mismatched_sizes=True
        )
        heads = load_file(folder / "heads.safetensors")
        for place, fault, tensors in (
            ("model", "lacks a", told["missing_keys"]),
            ("model", "holds an unknown", told["unexpected_keys"]),
            ("model", "holds a misshapen", [key[0] for key in told["mismatched_keys"]]),
            ("heads.safetensors", "lacks a", set(HEADS) - set(heads)),
            ("heads.safetensors", "holds an unknown", set(heads) - set(HEADS)),
        ):
            _complain(folder / place, fault, tensors)
        query_dim = heads["project.weight"].shape[1]
        query_tokens = heads["project.weight"].shape[0] // lm.config.hidden_size
        model = cls(lm, vocabulary, codebooks, query_dim, query_tokens)
        own = model.state_dict()
        wrong = [name for name in HEADS if heads[name].shape != own[name].shape]
        _complain(folder / "heads.safetensors", "holds a misshapen", wrong)
        model.load_state_dict({**own, **heads})
        return model.eval()

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return self.guide.device

    def guides(self) -> list[float]:
        """Return the learnt weight of the guide of each level that has one."""
        return [float(weight) * GUIDE_SCALE for weight in self.guide.detach().cpu()]

    def search_prompt(self, vectors: Tensor) -> Tensor:
        """Embed ``search: q q``: (queries, dim) vectors to (queries, 1 + query tokens, hidden)."""
        start = self.embed(torch.full((len(vectors), 1), SEARCH, device=self.device))
        soft = self.project(vectors).view(len(vectors), self.query_tokens, -1)
        return torch.cat([start, soft], dim=1)

    def embed(self, tokens: Tensor) -> Tensor:
        """Look up input embeddings."""
        return self.lm.get_input_embeddings()(tokens)

    def similarity(self, latent: Tensor | None, level: int) -> Tensor | None:
        """Compare queries with the codes of one level.

        Args:
            latent: (rows, latent dim) query vectors in the codebooks' space, if there are any.
            level: The level.

        Returns:
            (rows, codes of the level) inner products; None where there is nothing to compare.
        """
        if latent is None or level >= len(self.guide):
            return None
        return latent @ self.get_buffer(f"codebook_{level}").T

    def logits(self, hidden: Tensor, level: int, similarity: Tensor | None) -> Tensor:
        """Score the codes of one level.

        Args:
            hidden: (..., hidden) states from which the level's token is to come.
            level: The level.
            similarity: From :meth:`similarity`, for the guide; of a shape that broadcasts.

        Returns:
            (..., codes of the level) float.
        """
        first, end = self.vocabulary.first[level : level + 2]
        scores = hidden @ self.lm.lm_head.weight[first:end].T
        if similarity is None:
            return scores
        return scores + GUIDE_SCALE * self.guide[level] * similarity


def _complain(file: Path, fault: str, tensors: Collection[str]) -> None:
    """Refuse weights that would leave part of the model as it was drawn.

    Raises:
        UserError: There is a tensor that is at fault.
    """
    if tensors:
        raise UserError(
            f"{file} {fault} tensor, `{min(tensors)}` ({len(tensors)} in all): it is damaged, or "
            "comes from another version of Sidmill. Run `dvc repro retriever`, or go back to a "
            "whole release."
        )
