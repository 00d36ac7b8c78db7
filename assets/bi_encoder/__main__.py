"""Make the encoder and measure it on validation: ``python -m assets.bi_encoder``."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from assets.bi_encoder.artifact import BiEncoder
from assets.bi_encoder.base_model import copy_encoder, load_base, save_encoder
from assets.bi_encoder.curve import CURVE, RECALLS, write_curve
from assets.bi_encoder.examples import Examples
from assets.bi_encoder.params import BiEncoderParams
from assets.bi_encoder.processes import train_in_processes
from assets.bi_encoder.token_caps import (
    Counts,
    choose_cap,
    cut_sentence,
    cut_share,
    token_counts,
    tokenizer_of,
)
from assets.bi_encoder.validation import Recalls, ValidationQuestions, summary
from assets.files import read_json
from assets.interactions.artifact import Interactions
from assets.machine import Machine, precision_for
from assets.stage import CACHE, Run, run_stage
from assets.synthetic_queries.artifact import SyntheticQueries
from assets.training.checkpoints import training_folder

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


def main(run: Run[BiEncoderParams]) -> None:
    """Learn an encoder and measure it."""
    interactions, queries, measured, checks = _questions(run)
    examples = Examples.of(run.params.variant, interactions, queries)
    told, content = _learn(run, examples, measured, checks)
    _hand_over(run, measured, told, content)


def refresh(run: Run[BiEncoderParams], released: Path) -> None:
    """Take over the encoder of a release and measure it."""
    *_, measured, _ = _questions(run)
    run.say(f"frozen: that of {released.parent.name}; nothing is learnt.")
    copy_encoder(released, run.folder)
    encoder = BiEncoder.load(run.folder)
    counts = token_counts(tokenizer_of(encoder.model), measured.documents)
    cut = _tell_cuts(run, int(encoder.manifest["max_tokens"]), counts)
    _hand_over(run, measured, {"frozen": True} | cut, {})


def _questions(
    run: Run[BiEncoderParams],
) -> tuple[Interactions, SyntheticQueries, ValidationQuestions, ValidationQuestions]:
    """Return the inputs, the questions that measure the encoder, and those that choose it."""
    interactions = Interactions.load(run.input("interactions"))
    queries = SyntheticQueries.load(run.input("synthetic_queries"))
    measured, checks = ValidationQuestions.of(interactions, queries).halves(
        run.params.measured, run.params.seed
    )
    for task in ("queries", "pairs"):
        if not len(getattr(measured, task)):
            run.say(f"no validation {task}: recall is not measured on them.")
    return interactions, queries, measured, checks


def _hand_over(
    run: Run[BiEncoderParams],
    measured: ValidationQuestions,
    told: dict[str, float],
    content: Recalls,
) -> None:
    """Measure the encoder that was saved; `content` is what its base reached."""
    found = _measure(run.folder, measured, Machine.here().torch_device())
    recalls = summary(measured, found, content, run.params.seed)
    if not (run.folder / CURVE).exists():  # DVC draws one point instead of complaining
        point = {name: recalls[name] for name in RECALLS if name in recalls}
        write_curve([{"step": 0, **point}], 0, run.folder)
    run.report(
        {
            "dim": BiEncoder.load(run.folder).dim,
            "validation_queries": len(measured.queries),
            "validation_pairs": len(measured.pairs),
            **told,
            **recalls,
        }
    )


def _learn(
    run: Run[BiEncoderParams],
    examples: Examples,
    measured: ValidationQuestions,
    checks: ValidationQuestions,
) -> tuple[dict[str, float], Recalls]:
    """Save the encoder, trained if it can be; return what is told of it and the base's recalls."""
    machine, device = Machine.here(), Machine.here().torch_device()
    # Asked once, for all processes.
    params = run.params.model_copy(
        update={"precision": precision_for(run.params.precision, device)}
    )
    for task in examples.lacking:
        run.say(f"no train {task}: the encoder does not learn from them.")
    told: dict[str, float] = {
        f"train_{task}_pairs": len(pairs) for task, pairs in examples.pairs.items()
    }
    base = load_base(params.base, None, device)
    cap, counts = choose_cap(base, params, measured.documents, device, run.say)
    base.max_seq_length = cap
    told |= _tell_cuts(run, cap, counts)
    save_encoder(base, run.folder, params, "content")
    content = _measure(run.folder, measured, device)
    if examples.pairs:
        inputs = [run.folder / "model", run.input("interactions"), run.input("synthetic_queries")]
        folder = training_folder(run.name, inputs, params.model_dump() | {"device": device})
        shutil.copytree(run.folder, folder / "base", dirs_exist_ok=True)
        train_in_processes(folder, params, machine, examples, checks)
        told |= _adopt(run, params, folder, base)
        shutil.rmtree(folder)
    return told, content


def _adopt(
    run: Run[BiEncoderParams], params: BiEncoderParams, folder: Path, base: SentenceTransformer
) -> dict[str, float]:
    """Make the trained weights the encoder; return what is told of their training."""
    from assets.bi_encoder.trainable import trained_model
    from assets.bi_encoder.training import HISTORY, WEIGHTS

    computed = {"precision": params.precision, "device": Machine.here().torch_device()}
    model = trained_model(base, params, folder / WEIGHTS)
    save_encoder(model, run.folder, params, params.variant, computed)
    history = read_json(folder / HISTORY)
    write_curve(history["checks"], history["best_step"], run.folder)
    return {"best_step": history["best_step"], "last_step": history["checks"][-1]["step"]}


def _tell_cuts(run: Run[BiEncoderParams], cap: int, counts: Counts) -> dict[str, float]:
    """Say after how many tokens texts are cut, and return what the report tells of it."""
    run.say(f"{cut_sentence(cap, counts)}.")
    return {
        "max_tokens": cap,
        "documents_cut": cut_share(cap, counts),
        "longest_document": int(counts.max(initial=0)),
    }


def _measure(folder: Path, questions: ValidationQuestions, device: str) -> Recalls:
    encoder = BiEncoder.load(folder, device)
    return questions.recalls(lambda texts: encoder.encode(texts, cache=CACHE), device)


if __name__ == "__main__":
    run_stage("bi_encoder", BiEncoderParams, main, refresh)
