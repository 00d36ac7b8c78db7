"""Run by torchrun: train, and write what each process holds."""

from __future__ import annotations

import os
from pathlib import Path

from assets.bi_encoder.examples import Examples
from assets.bi_encoder.params import BiEncoderParams
from assets.bi_encoder.trainable import save_weights
from assets.bi_encoder.training import train
from assets.bi_encoder.validation import ValidationQuestions
from assets.interactions.artifact import Interactions
from assets.machine import Machine
from assets.stage import load_params
from assets.synthetic_queries.artifact import SyntheticQueries

if __name__ == "__main__":
    rank = os.environ["RANK"]
    params = load_params("bi_encoder", BiEncoderParams)
    interactions = Interactions.load(Path("data/interactions"))
    queries = SyntheticQueries.load(Path("data/synthetic_queries"))
    examples = Examples.of(params.variant, interactions, queries)
    checks, _ = ValidationQuestions.of(interactions, queries).halves(params.measured, params.seed)
    model = train(Path("work"), params, Machine(), examples, checks)
    save_weights(model, Path(f"rank{rank}.safetensors"))
