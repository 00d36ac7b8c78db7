"""After how many tokens texts are cut: by the documents' lengths, and by the time it takes."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from assets.bi_encoder.base_model import load_base, local_folder
from assets.bi_encoder.params import BiEncoderParams
from assets.files import read_json

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

SMALLEST = 64  # cuts titles nowhere, and what it takes to encode is never in question
WHOLE = 0.99  # share of the documents that no cap cuts
SLOWEST = 5e9  # operations a second that any machine is trusted with: a core of 2020 does 5e10
TRIES = 3
CHUNK = 10_000  # texts tokenised at once; memory alone depends on it
MOST_FORESEEN = 20_000  # documents that are counted where nothing is made

Counts = NDArray[np.int64]


def tokenizer_of(model: SentenceTransformer) -> Tokenizer | None:
    """Return a copy of a model's tokenizer that cuts nothing; None: it has none that can be copied.

    The model's own stays as it is: its settings are saved with it.
    """
    backend = getattr(getattr(model, "tokenizer", None), "backend_tokenizer", None)
    return None if backend is None else _uncut(Tokenizer.from_str(backend.to_str()))


def token_counts(tokenizer: Tokenizer | None, texts: Sequence[str]) -> Counts:
    """Return the number of tokens of each text, uncut, special ones counted.

    Args:
        tokenizer: What :func:`tokenizer_of` returned; None: it is estimated from the words.
        texts: Any.
    """
    if tokenizer is None:
        return np.array([2 + math.ceil(1.5 * len(text.split())) for text in texts], np.int64)
    counts: list[int] = []
    for start in range(0, len(texts), CHUNK):
        encoded = tokenizer.encode_batch_fast(list(texts[start : start + CHUNK]))
        counts.extend(len(one) for one in encoded)
    return np.array(counts, np.int64)


def cap_by_length(counts: Counts, limit: float) -> int:
    """Return the smallest of 64, 128, 256, ... tokens that leaves 99 % of the documents whole.

    Args:
        counts: (documents,) tokens of each.
        limit: Most tokens that the base reads, which no cap exceeds.
    """
    needed = np.sort(counts)[math.ceil(WHOLE * len(counts)) - 1] if len(counts) else 0
    cap = SMALLEST
    while cap < needed:
        cap *= 2
    return int(min(cap, limit))


def cap_in_time(
    counts: Counts, cap: int, *, minutes: float, slowest: float, pace: Callable[[], float]
) -> int:
    """Lower a cap, by powers of two and never below 64, until all documents are encoded in time.

    Nothing is timed where even the slowest machine would be in time, so that the choice depends on
    the machine for large catalogues of long texts alone.

    Args:
        counts: (documents,) tokens of each.
        cap: What their lengths ask for.
        minutes: Time that there is to encode every document once.
        slowest: Tokens a second that any machine encodes.
        pace: Times this machine: tokens a second.
    """
    seconds = 60 * minutes
    if cap <= SMALLEST or np.minimum(counts, cap).sum() <= seconds * slowest:
        return cap
    found = pace()
    while cap > SMALLEST and np.minimum(counts, cap).sum() > seconds * found:
        cap = 1 << ((cap - 1).bit_length() - 1)
    return cap


def choose_cap(
    base: SentenceTransformer,
    params: BiEncoderParams,
    documents: Sequence[str],
    device: str,
    say: Callable[[str], None],
) -> tuple[int, Counts]:
    """Return the cap of a base's texts, and the tokens of each document.

    Args:
        base: The model, not cut yet; it stays as it is.
        params: With the number that was asked for, or ``auto``.
        documents: Of all items.
        device: ``cpu`` or ``cuda``.
        say: Is told where time lowers the cap.
    """
    counts, limit = token_counts(tokenizer_of(base), documents), base.max_seq_length or math.inf
    if params.max_tokens != "auto":
        return int(min(params.max_tokens, limit)), counts
    cap = cap_by_length(counts, limit)
    chosen = cap_in_time(
        counts,
        cap,
        minutes=params.max_encode_minutes,
        slowest=SLOWEST / (2 * _weights_per_token(base)),
        pace=lambda: _tokens_per_second(params, cap, documents, counts, device),
    )
    if chosen < cap:
        say(
            f"encoding all documents at {cap:,} tokens would take longer than the "
            f"{params.max_encode_minutes:g} minutes of `bi_encoder.max_encode_minutes`"
        )
    return chosen, counts


def foresee_cuts(params: BiEncoderParams, documents: Sequence[str]) -> str:
    """Say how many documents would be cut, without loading the model.

    Of many documents some are counted, evenly spread; where the tokenizer cannot be read here, the
    tokens are estimated from the words, and the sentence says so.

    Args:
        params: With the number that was asked for, or ``auto``, which is chosen by length alone.
        documents: Of all items.
    """
    counted = documents[:: math.ceil(len(documents) / MOST_FORESEEN) or 1]
    tokenizer, limit = _on_disk(params.base)
    counts = token_counts(tokenizer, counted)
    automatic = params.max_tokens == "auto"
    cap = cap_by_length(counts, limit) if automatic else int(min(params.max_tokens, limit))
    told = cut_sentence(cap, counts)
    if automatic:
        told += " (`bi_encoder.max_tokens: auto`, by length alone)"
    elif cut_share(cap, counts) > 1 - WHOLE and cap < limit:
        told += f"; `bi_encoder.max_tokens: auto` would choose {cap_by_length(counts, limit)}"
    if tokenizer is None:
        told += " (estimated from words: the base's tokenizer cannot be read here)"
    return told


def cut_sentence(cap: int, counts: Counts) -> str:
    """Say after how many tokens texts are cut, and how many documents that is."""
    share = cut_share(cap, counts)
    shown = f"{share:.2%} of the documents are" if share else "no document is"
    return (
        f"texts are cut after {cap:,} tokens; {shown} longer, the longest has "
        f"{counts.max(initial=0):,}"
    )


def cut_share(cap: int, counts: Counts) -> float:
    """Return the share of the documents that a cap cuts."""
    return float((counts > cap).mean()) if len(counts) else 0.0


def _weights_per_token(base: SentenceTransformer) -> int:
    """Return the weights that each token is multiplied with: all but the tables of embeddings."""
    from torch import nn

    return 1 + sum(
        weight.numel()
        for module in base.modules()
        if not isinstance(module, nn.Embedding)
        for weight in module.parameters(recurse=False)
    )


def _tokens_per_second(
    params: BiEncoderParams, cap: int, documents: Sequence[str], counts: Counts, device: str
) -> float:
    """Time one batch of documents of middling length, as a power of two.

    The best of some tries, and as coarse as that, since equal machines should choose alike. The
    model is loaded anew: the saved one's tokenizer would keep traces of having been used.
    """
    import torch

    model = load_base(params.base, cap, device)
    read = np.minimum(counts, cap)
    middling = np.argsort(abs(read - read.mean()), kind="stable")[: params.batch_size]
    batch = [documents[place] for place in middling]
    times = []
    for _ in range(TRIES):
        # On a CPU the processor's time: what else the machine does has no say.
        clock = time.process_time if device == "cpu" else time.perf_counter
        started = clock()
        model.encode(batch, batch_size=params.batch_size, show_progress_bar=False)
        threads = torch.get_num_threads() if device == "cpu" else 1
        times.append((clock() - started) / threads)
    return float(2.0 ** round(math.log2(read[middling].sum() / min(times))))


def _on_disk(base: str) -> tuple[Tokenizer | None, float]:
    """Return a base's tokenizer and the most tokens it reads, as far as its files are here."""
    folder = local_folder(base)
    if folder is None:
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(base, "tokenizer.json")
        file = Path(found) if isinstance(found, str) else None
    else:
        file = next(iter(sorted(folder.rglob("tokenizer.json"))), None)
    if file is None:
        return None, math.inf
    try:
        tokenizer = _uncut(Tokenizer.from_file(str(file)))
    except Exception:  # noqa: BLE001  it raises no other; the run says what is wrong with the folder
        return None, math.inf
    limits = [math.inf]
    for name, key in {
        "sentence_bert_config.json": "max_seq_length",
        "tokenizer_config.json": "model_max_length",
    }.items():
        if (file.parent / name).is_file():
            limits.append(read_json(file.parent / name).get(key) or math.inf)
    return tokenizer, min(limits)


def _uncut(tokenizer: Tokenizer) -> Tokenizer:
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer
