"""Encode every item's document: ``python -m assets.embeddings``."""

from __future__ import annotations

import numpy as np

from assets.bi_encoder.artifact import BiEncoder
from assets.embeddings.artifact import Embeddings
from assets.embeddings.geometry import copies, mean_cosine
from assets.embeddings.params import EmbeddingsParams
from assets.interactions.artifact import Interactions
from assets.machine import Machine
from assets.stage import CACHE, Run, run_stage


def main(run: Run[EmbeddingsParams]) -> None:
    """Encode the documents that the cache lacks and write one unit vector per item."""
    items = Interactions.load(run.input("interactions")).items
    encoder = BiEncoder.load(run.input("bi_encoder"), Machine.here().torch_device())
    documents = items["document"].tolist()
    vectors = encoder.encode(documents, cache=CACHE, what="encoding documents")
    Embeddings(items["item_id"].to_numpy(dtype=object), {"text": vectors}).save(run.folder)

    norms = np.linalg.norm(vectors.astype(np.float64), axis=1)
    run.report(
        {
            "items": len(items),
            "dim": encoder.dim,
            "mean_cosine": mean_cosine(vectors),
            "items_sharing_a_document": int(items["document"].duplicated(keep=False).sum()),
            "items_sharing_a_vector": copies(vectors),
            "norm_min": norms.min(initial=np.inf),
            "norm_max": norms.max(initial=0),
        }
    )


if __name__ == "__main__":
    run_stage("embeddings", EmbeddingsParams, main)
