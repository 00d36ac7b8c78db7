from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.bi_encoder.vector_cache import SHARD_ROWS, VectorCache

DIM = 4
TEXTS = st.lists(st.text(max_size=5), max_size=12)


def vectors_of(texts):
    """A vector that is the text's own, so that a mixed-up row shows."""
    rows = [[len(text), *(hash(text) % 97 for _ in range(DIM - 1))] for text in texts]
    return np.array(rows, np.float32).reshape(len(texts), DIM)


@given(added=st.lists(TEXTS, max_size=4), asked=TEXTS)
def test_a_cache_gives_back_what_was_added_and_names_the_rest(added, asked, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cache")
    for texts in added:
        cache = VectorCache(folder, "m", DIM)
        new = cache.missing(texts)
        assert new == [t for t in dict.fromkeys(texts) if t in new]
        cache.add(new, vectors_of(new))
        cache.save()
        np.testing.assert_array_equal(cache.vectors(texts), vectors_of(texts))
    known = {text for texts in added for text in texts}
    fresh = VectorCache(folder, "m", DIM)
    assert fresh.missing(asked) == [t for t in dict.fromkeys(asked) if t not in known]
    found = [text for text in asked if text in known]
    np.testing.assert_array_equal(fresh.vectors(found), vectors_of(found))


def test_a_text_without_a_vector_is_an_error(tmp_path):
    with pytest.raises(KeyError, match="absent"):
        VectorCache(tmp_path, "m", DIM).vectors(["absent"])


def test_models_and_dimensions_do_not_mix(tmp_path):
    cache = VectorCache(tmp_path, "m", DIM)
    cache.add(["a"], vectors_of(["a"]))
    cache.save()
    assert VectorCache(tmp_path, "m", DIM).missing(["a"]) == []
    assert VectorCache(tmp_path, "other", DIM).missing(["a"]) == ["a"]
    assert VectorCache(tmp_path, "m", DIM + 1).missing(["a"]) == ["a"]


def test_without_a_folder_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cache = VectorCache(None, "m", DIM)
    cache.add(["a"], vectors_of(["a"]))
    cache.save()
    np.testing.assert_array_equal(cache.vectors(["a"]), vectors_of(["a"]))
    assert list(tmp_path.iterdir()) == []


def test_saving_again_writes_nothing_and_leaves_old_shards_as_they_were(tmp_path):
    cache = VectorCache(tmp_path, "m", DIM)
    cache.add(["a"], vectors_of(["a"]))
    cache.save()
    first = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.parquet")}
    cache.save()
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.parquet")} == first
    cache.add(["b"], vectors_of(["b"]))
    cache.save()
    assert first.items() < {f: f.stat().st_mtime_ns for f in tmp_path.rglob("*.parquet")}.items()


def test_a_kill_loses_at_most_one_shard(tmp_path):
    texts = [str(number) for number in range(SHARD_ROWS + 10)]
    killed = VectorCache(tmp_path, "m", DIM)
    killed.add(texts[:SHARD_ROWS], vectors_of(texts[:SHARD_ROWS]))
    killed.add(texts[SHARD_ROWS:], vectors_of(texts[SHARD_ROWS:]))
    assert VectorCache(tmp_path, "m", DIM).missing(texts) == texts[SHARD_ROWS:]


def flip_a_byte(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 3] ^= 0xFF
    file.write_bytes(content)


@pytest.mark.parametrize(
    "damage",
    [
        lambda file: file.write_bytes(file.read_bytes()[:-50]),
        lambda file: file.write_bytes(b""),
        lambda file: file.write_bytes(b"PAR1 garbage PAR1"),
        lambda file: pq.write_table(pa.table({"key": [1], "vector": ["x"]}), file),
        lambda file: pq.write_table(pa.table({"other": [1]}), file),
        flip_a_byte,
    ],
    ids=["cut", "empty", "garbage", "other types", "other columns", "flipped byte"],
)
def test_a_damaged_shard_counts_as_absent_and_is_replaced(damage, tmp_path):
    texts = [str(number) for number in range(200)]
    cache = VectorCache(tmp_path, "m", DIM)
    cache.add(texts, vectors_of(texts))
    cache.save()
    (shard,) = tmp_path.rglob("*.parquet")
    (shard.parent / "left by a kill.1.partial").write_bytes(b"half")
    damage(shard)
    again = VectorCache(tmp_path, "m", DIM)
    assert again.missing(texts) == texts
    again.add(texts, vectors_of(texts))
    again.save()
    np.testing.assert_array_equal(VectorCache(tmp_path, "m", DIM).vectors(texts), vectors_of(texts))
