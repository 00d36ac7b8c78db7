from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from assets.bi_encoder.artifact import BiEncoder
from assets.embeddings.__main__ import main
from assets.embeddings.artifact import Embeddings
from assets.embeddings.params import EmbeddingsParams
from assets.interactions.artifact import Interactions
from assets.stage import Run


@pytest.fixture
def copy(project, tmp_path, monkeypatch):
    """A project of its own, the current folder, with the inputs of the stage and a cold cache."""
    for stage in ("interactions", "bi_encoder"):
        shutil.copytree(project.make(stage), tmp_path / "data" / stage)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def embed(folder):
    out = folder / "data" / "embeddings"
    out.mkdir(exist_ok=True)
    main(Run("embeddings", EmbeddingsParams(), out))
    return out / "embeddings.parquet"


def test_every_item_has_one_unit_vector_in_order_of_item_id(project):
    embeddings = Embeddings.load(project.make("embeddings"))
    items = Interactions.load(project.make("interactions")).items
    assert embeddings.item_ids.tolist() == items["item_id"].tolist() == sorted(items["item_id"])
    assert embeddings.text.shape == (len(items), 384)
    np.testing.assert_allclose(np.linalg.norm(embeddings.text, axis=1), 1, atol=1e-5)
    report = json.loads((project.make("embeddings") / "report.json").read_text())
    assert report["items"] == len(items)
    assert 0 < report["mean_cosine"] < 0.9


def test_a_cold_cache_gives_the_same_bytes_again_and_a_damaged_or_partial_one_the_same_vectors(
    project, copy
):
    """The first run of the project encoded the same documents, in its stage before."""
    cold = embed(copy).read_bytes()
    assert cold == (project.make("embeddings") / "embeddings.parquet").read_bytes()
    whole = Embeddings.load(copy / "data" / "embeddings").text

    encoder = BiEncoder.load(copy / "data" / "bi_encoder")
    shutil.rmtree(copy / "data" / "cache")
    shards = copy / "data" / "cache" / "vectors" / str(encoder.manifest["model_version"])
    shards.mkdir(parents=True)
    (shards / "torn.parquet").write_bytes(b"PAR1 torn")
    some = Interactions.load(copy / "data" / "interactions").items["document"].tolist()[:100]
    encoder.encode(some, cache=copy / "data" / "cache")
    embed(copy)
    np.testing.assert_allclose(Embeddings.load(copy / "data" / "embeddings").text, whole, atol=1e-6)


def test_the_order_of_rows_has_no_influence_on_any_vector(project):
    encoder = BiEncoder.load(project.make("bi_encoder"))
    documents = Interactions.load(project.make("interactions")).items["document"][:150]
    shuffled = documents.sample(frac=1, random_state=0)
    there = pd.DataFrame(encoder.encode(shuffled.tolist()), index=shuffled.index)
    np.testing.assert_array_equal(there.sort_index(), encoder.encode(documents.tolist()))
