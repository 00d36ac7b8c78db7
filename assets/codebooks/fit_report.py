"""What a fitted quantizer does to the vectors it was fitted on, level by level."""

from __future__ import annotations

from typing import Any

import numpy as np

from assets.codebooks.quantizer import Codes, Quantizer, Vectors


def describe_fit(quantizer: Quantizer, vectors: Vectors, codes: Codes) -> dict[str, Any]:
    """Return the report: error, use of the codes and conflicts of the raw codes.

    Args:
        quantizer: The quantizer.
        vectors: (items, dim).
        codes: (items, levels), their raw codes.

    Returns:
        Flat numbers, and a table ``levels``. ``mse`` is the mean squared length of what is left
        after a level; perplexity = 2^entropy of the level's code counts, in codes.
    """
    rows = []
    for level, codebook in enumerate(quantizer.codebooks):
        share = np.bincount(codes[:, level], minlength=len(codebook)) / len(codes)
        used = share[share > 0]
        rows.append(
            {
                "level": level + 1,
                "codes": len(codebook),
                "utilisation": (share > 0).mean(),
                "perplexity": np.exp2(-(used * np.log2(used)).sum()),
                "mse": ((vectors - quantizer.decode(codes[:, : level + 1])) ** 2)
                .sum(axis=1)
                .mean(),
            }
        )
    distinct = len(np.unique(codes, axis=0))
    return {
        "items": len(codes),
        "mse": ((vectors - quantizer.decode(codes)) ** 2).sum(axis=1).mean(),
        "conflict_rate_raw": (len(codes) - distinct) / len(codes),
        "utilisation_worst_level": min(row["utilisation"] for row in rows),
        "perplexity_worst_level": min(row["perplexity"] for row in rows),
        "levels": rows,
    }
