"""The course of a training: steps, looks at validation, the best moment kept, kills survived."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from assets.training.best import BestMoment
from assets.training.checkpoints import Checkpoint
from assets.training.forecast import steps_foreseen
from assets.training.processes import Place, place, summed
from assets.training.schedules import set_learning_rate, warmup_cosine


@dataclass(frozen=True)
class Plan:
    """How long a training is and how it goes.

    Attributes:
        what: What is trained, for whoever watches.
        steps: Steps of the schedule: linear warm-up, then a cosine down to 0.
        look: Steps between two looks at validation.
        learning_rate: Its peak.
        warmup: Share of the steps of warm-up.
        weight_decay: AdamW's; biases and norms do not decay.
        adam_beta2: AdamW's memory of squared gradients.
        gradient_clip: Longest gradient; longer ones are cut.
        shorter: What would make it shorter, in words.
        end: Steps after which it ends, the learning rate where it is then; None: all.
    """

    what: str
    steps: int
    look: int
    learning_rate: float
    warmup: float
    weight_decay: float
    adam_beta2: float
    gradient_clip: float
    shorter: Sequence[str]
    end: int | None = None


@dataclass
class Course:
    """How a training went.

    Attributes:
        curve: One row per step: step, and the losses there are, by name.
        looks: One row per look at validation: step, and what was measured.
        kept: Steps done at the look whose weights were kept.
    """

    curve: list[dict[str, float]] = field(default_factory=list)
    looks: list[dict[str, float]] = field(default_factory=list)
    kept: int = 0


def follow(
    plan: Plan,
    model: nn.Module,
    losses: Callable[[], tuple[Tensor, Mapping[str, Tensor]]],
    measure: Callable[[], tuple[float, Mapping[str, float]]],
    rng: np.random.Generator,
    folder: Path,
    say: Callable[[str], None],
) -> Course:
    """Train a model in place with AdamW and leave it as it was at its best look.

    Every process of a group calls this, with the same model and an `rng` in the same state. The
    first one alone looks, speaks and writes; the others' models are left as they were at the end.

    Args:
        plan: How.
        model: The model.
        losses: Returns what is to fall in a step, and its parts by name; in a group the share of
            this process, so that all of them sum up to it.
        measure: Looks at validation: returns a score, higher is better, and the numbers behind it.
        rng: What `losses` draws from; a training that goes on draws as it would have.
        folder: Holds a checkpoint of each look; a killed training goes on from the last one.
        say: Takes lines for whoever watches.
    """
    optimiser = _adamw(model, plan)
    best, checkpoint, course = BestMoment(model), Checkpoint(folder), Course()
    done, here = 0, place()
    if state := checkpoint.load():
        done = state["done"]
        model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        rng.bit_generator.state = state["rng"]
        torch.set_rng_state(state["torch_rng"])
        if state["gpu_rng"] is not None and torch.cuda.is_available():
            torch.cuda.set_rng_state(state["gpu_rng"])
        best.restore(state["best"])
        course = Course(state["curve"], state["looks"])
        if here.rank == 0:
            say(f"{plan.what} goes on after step {done}")
    _part_ways(here, rng)
    end = plan.steps if plan.end is None else plan.end
    steps = range(done, end)
    for step in steps_foreseen(steps, plan.what, plan.shorter) if here.rank == 0 else steps:
        share = warmup_cosine(step, round(plan.warmup * plan.steps), plan.steps)
        set_learning_rate(optimiser, plan.learning_rate * share)
        model.train()
        total, parts = losses()
        optimiser.zero_grad(set_to_none=True)
        total.backward()
        if here.count > 1:
            parts = dict(zip(parts, summed([*parts.values()]), strict=True))
            _sum_gradients(model)
        torch.nn.utils.clip_grad_norm_(model.parameters(), plan.gradient_clip)
        optimiser.step()
        course.curve.append({"step": step, **{name: x.item() for name, x in parts.items()}})
        done = step + 1
        if done % plan.look and done < end:
            continue
        if here.rank:
            _part_ways(here, rng)
            continue
        model.eval()
        score, numbers = measure()
        said = ", ".join(f"{name} {value:.3f}" for name, value in numbers.items())
        say(f"{plan.what}: after {done} steps {said or 'validation asks nothing'}")
        course.looks.append({"step": done, **numbers})
        best.look(done, score)
        checkpoint.save(
            {
                "done": done,
                "model": model.state_dict(),
                "optimiser": optimiser.state_dict(),
                "rng": rng.bit_generator.state,
                "torch_rng": torch.get_rng_state(),
                "gpu_rng": torch.cuda.get_rng_state() if torch.cuda.is_initialized() else None,
                "best": best.state(),
                "curve": course.curve,
                "looks": course.looks,
            }
        )
        _part_ways(here, rng)
    if here.rank:
        model.eval()
        return course
    best.put_back()
    model.eval()
    course.kept = best.step
    return course


def _sum_gradients(model: nn.Module) -> None:
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    # what this process's share of a batch does not touch has no gradient here
    own = [torch.zeros_like(w) if w.grad is None else w.grad for w in weights]
    for weight, gradient in zip(weights, summed(own), strict=True):
        weight.grad = gradient


def _part_ways(here: Place, rng: np.random.Generator) -> None:
    """Let each process of a group drop its own units out, the same ones after a kill."""
    if here.count > 1:
        torch.manual_seed(int(deepcopy(rng).integers(2**62)) + here.rank)


def _adamw(model: nn.Module, plan: Plan) -> torch.optim.Optimizer:
    weights = list(model.parameters())
    groups = [
        {"params": [w for w in weights if w.ndim > 1], "weight_decay": plan.weight_decay},
        {"params": [w for w in weights if w.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=plan.learning_rate, betas=(0.9, plan.adam_beta2))
