"""Training with sentence-transformers' trainer: checks on validation, the best kept, resumable."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from sentence_transformers import (
    SentenceTransformer,
    SentenceTransformerTrainer,
    SentenceTransformerTrainingArguments,
)
from sentence_transformers.sentence_transformer.evaluation import SentenceEvaluator
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler
from transformers import EarlyStoppingCallback, PrinterCallback, TrainerCallback

from assets.bi_encoder.artifact import BiEncoder
from assets.bi_encoder.examples import Examples
from assets.bi_encoder.loss import SummedContrastiveLoss
from assets.bi_encoder.params import BiEncoderParams
from assets.bi_encoder.trainable import (
    freeze_but_last,
    load_weights,
    new_head,
    save_weights,
    trained_weights,
)
from assets.bi_encoder.validation import CUTS, ValidationQuestions
from assets.bi_encoder.vector_lookup import VectorLookup
from assets.files import write_json
from assets.machine import Machine
from assets.stage import CACHE
from assets.training.forecast import steps_foreseen
from assets.training.schedules import warmup_cosine

WEIGHTS = "trained.safetensors"
HISTORY = "history.json"
CUT = 10  # recall at this rank is what the best check is chosen by
TASK_OF = {"search": "query", "recommendation": "pair"}


def train(
    folder: Path,
    params: BiEncoderParams,
    machine: Machine,
    examples: Examples,
    checks: ValidationQuestions,
) -> SentenceTransformer:
    """Train and write the best weights and the history of checks; a killed run is taken up.

    Only a share of the way from the base's weights to the best ones is gone, which keeps more of
    what the base knows of other texts (WiSE-FT, arXiv 2109.01903).

    Every process of a group calls this with the same arguments; only the first one writes.

    Args:
        folder: Holds ``base/`` (a :class:`BiEncoder`); gets checkpoints, ``trained.safetensors``
            and, last of all, ``history.json``.
        params: The stage's params, their precision decided.
        machine: Settings of this machine.
        examples: What is learnt from.
        checks: What is measured every ``check_every`` steps.

    Returns:
        The trained model, a frozen base in it replaced by its vectors.
    """
    device = machine.torch_device()
    torch.manual_seed(params.seed)
    base = BiEncoder.load(folder / "base", device)
    frozen = params.trained == "head" or params.hard_negatives > 0
    lookup = (
        _frozen(base, [*examples.texts, *checks.queries, *checks.documents]) if frozen else None
    )
    if lookup is not None and params.trained == "head":
        modules = [lookup, *new_head(params, base.dim)]
        model = SentenceTransformer(modules=modules, device=device)
    else:
        model = base.model
        freeze_but_last(model, params.trained)
    # Vectors that are looked up need no small batches.
    batch = max(params.batch_size, 2048) if params.trained == "head" else params.batch_size
    miner = lookup and SentenceTransformer(modules=[lookup], device=device)
    trainer = _Trainer(
        model=model,
        args=_arguments(folder, params, machine),
        train_dataset=examples.dataset(params, miner),
        loss=SummedContrastiveLoss(model, examples.weighted_tasks(params), params.scale),
        evaluator=_Recall(checks, [TASK_OF[task] for task in examples.pairs], batch),
        callbacks=[EarlyStoppingCallback(params.patience), _Progress(params)],
    )
    trainer.remove_callback(PrinterCallback)
    initial = {name: weight.detach().clone() for name, weight in trained_weights(model).items()}
    trainer.train(resume_from_checkpoint=_last_checkpoint(folder / "checkpoints"))

    history = _history(trainer.state.log_history, list(examples.pairs))
    gained = (trainer.state.best_metric or 0) > history[0]["recall"]
    best = trainer.state.best_global_step if gained else 0
    with torch.no_grad():
        for name, weight in trained_weights(model).items():
            weight.copy_(initial[name].lerp(weight, params.kept_share if gained else 0.0))
    if trainer.is_world_process_zero():
        save_weights(model, folder / WEIGHTS)
        write_json(folder / HISTORY, {"best_step": best, "checks": history})
    return model


def _frozen(base: BiEncoder, texts: list[str]) -> VectorLookup:
    distinct = sorted(set(texts))
    return VectorLookup(distinct, base.encode(distinct, cache=CACHE, what="encoding texts"))


def _arguments(
    folder: Path, params: BiEncoderParams, machine: Machine
) -> SentenceTransformerTrainingArguments:
    gpu = machine.torch_device() == "cuda"
    return SentenceTransformerTrainingArguments(
        output_dir=str(folder / "checkpoints"),
        seed=params.seed,
        max_steps=params.steps,
        per_device_train_batch_size=max(1, params.train_batch // machine.training_processes()),
        learning_rate=params.learning_rate,
        warmup_steps=params.warmup_steps,
        weight_decay=params.weight_decay,
        bf16=params.precision == "bfloat16",
        use_cpu=not gpu,
        ddp_backend="gloo" if machine.training_processes() > 1 and not gpu else None,
        ddp_find_unused_parameters=params.trained != "head",
        dataloader_drop_last=True,
        dataloader_pin_memory=gpu,
        eval_strategy="steps",
        eval_steps=params.check_every,
        eval_on_start=True,
        logging_steps=params.check_every,
        save_strategy="steps",
        save_steps=params.check_every,
        save_total_limit=2,
        load_best_model_at_end=True,
        metric_for_best_model="eval_recall",
        greater_is_better=True,
        restore_callback_states_from_checkpoint=True,
        disable_tqdm=True,
        report_to="none",
    )


class _Trainer(SentenceTransformerTrainer):
    """The library's trainer with our schedule.

    Its checkpoints hold the trained weights alone, as safetensors.
    """

    def create_scheduler(
        self, num_training_steps: int, optimizer: Optimizer | None = None
    ) -> LRScheduler:
        """Make the schedule that all trainers of the house share."""
        warmup = int(self.args.warmup_steps)
        self.lr_scheduler = LambdaLR(
            optimizer or self.optimizer,
            lambda step: warmup_cosine(step, warmup, num_training_steps),
        )
        return self.lr_scheduler

    def add_model_card_callback(self, default_args_dict: dict[str, Any]) -> None:
        """Gather nothing for a model card, which would tell the time of training."""

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:  # noqa: ARG002  the library's signature
        if not self.args.should_save:  # every process is asked
            return
        folder = Path(output_dir or self.args.output_dir)
        folder.mkdir(parents=True, exist_ok=True)
        save_weights(self.model, folder / WEIGHTS)

    def _load_from_checkpoint(self, checkpoint_path: str) -> None:
        load_weights(self.model, Path(checkpoint_path) / WEIGHTS)


class _Recall(SentenceEvaluator):
    """Recall of both tasks; ``recall`` is the mean over the tasks that are trained."""

    def __init__(self, checks: ValidationQuestions, tasks: list[str], batch_size: int) -> None:
        super().__init__()
        self._checks = checks
        self._tasks = tasks
        self._batch_size = batch_size

    def __call__(self, model: Any, *_: Any, **__: Any) -> dict[str, float]:
        """Return recall@10 by task and their mean."""
        found = self._checks.recalls(
            lambda texts: model.encode(
                list(texts),
                batch_size=self._batch_size,
                normalize_embeddings=True,
                show_progress_bar=False,
            )
        )
        place = CUTS.index(CUT)
        means = {task: float(values[:, place].mean()) for task, values in found.items()}
        chosen = [means[task] for task in self._tasks if task in means]
        named = {f"{task}_recall@{CUT}": mean for task, mean in means.items()}
        return named | {"recall": sum(chosen) / len(chosen) if chosen else 0.0}


class _Progress(TrainerCallback):
    """Shows how far training is and how long it will take."""

    def __init__(self, params: BiEncoderParams) -> None:
        self._bar: Iterator[int] = iter(())
        self._shorter = [f"fewer `bi_encoder.steps` (now {params.steps})"]
        if params.trained != "head":
            self._shorter.append(f"`bi_encoder.trained: head` (now {params.trained})")

    def on_train_begin(self, _: Any, state: Any, *__: Any, **___: Any) -> None:
        """Start where training starts, which after a kill is not the first step."""
        if state.is_world_process_zero:
            if state.global_step:
                print(f"  training goes on after step {state.global_step}", flush=True)
            steps = range(state.global_step, state.max_steps)
            self._bar = steps_foreseen(steps, "training", self._shorter)
            next(self._bar, None)

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """Count a step."""
        next(self._bar, None)


def _last_checkpoint(folder: Path) -> str | None:
    """Return the newest checkpoint that is whole: the trainer writes its state last."""
    found = sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
    for checkpoint in reversed(found):
        try:
            json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        return str(checkpoint)
    return None


def _history(log: list[dict[str, float]], tasks: list[str]) -> list[dict[str, float]]:
    """Return one row per check: step, recalls, losses since the check before."""
    rows: dict[int, dict[str, float]] = {}
    for entry in log:
        rows.setdefault(int(entry["step"]), {}).update(entry)
    recalls = [f"{task}_recall@{CUT}" for task in TASK_OF.values()]
    names = {f"eval_{name}": name for name in [*recalls, "recall"]}
    names |= {task: f"{task}_loss" for task in tasks}
    return [
        {"step": step, **{name: row[given] for given, name in names.items() if given in row}}
        for step, row in sorted(rows.items())
        if "eval_recall" in row
    ]
