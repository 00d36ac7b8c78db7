"""What the stage ``rankers`` hands over: fitted rankers by name, for each task."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from assets.embeddings.artifact import Embeddings
from assets.files import read_json, write_json
from assets.interactions.catalogue import Catalogue
from assets.rankers.bm25 import BM25
from assets.rankers.dense import Dense
from assets.rankers.item_knn import ItemKNN
from assets.rankers.popularity import Popularity
from assets.ranking import Histories, Queries, Ranker


@dataclass(frozen=True)
class Rankers:
    """The rankers of one catalogue.

    Attributes:
        dense: Nearest vectors.
        bm25: Shared words.
        popularity: Most interactions.
        item_knn: What goes along with a history; None without interactions.
    """

    dense: Dense
    bm25: BM25
    popularity: Popularity
    item_knn: ItemKNN | None

    @property
    def search(self) -> dict[str, Ranker[Queries]]:
        """Who ranks for queries."""
        return {"dense": self.dense, "bm25": self.bm25, "popularity": self.popularity}

    @property
    def recommendation(self) -> dict[str, Ranker[Histories]]:
        """Who ranks for histories."""
        if self.item_knn is None:
            return {"popularity": self.popularity}
        return {"item_knn": self.item_knn, "popularity": self.popularity}

    def save(self, folder: Path) -> None:
        """Write what each ranker learnt; vectors and counts stay where they are."""
        self.bm25.save(folder)
        if self.item_knn:
            self.item_knn.save(folder)
        write_json(folder / "manifest.json", {"item_knn": self.item_knn is not None})

    @classmethod
    def load(cls, folder: Path, catalogue: Catalogue, embeddings: Embeddings) -> Rankers:
        """Read what :meth:`save` wrote, for the items it was fitted on."""
        ties = catalogue.by_popularity
        manifest = read_json(Path(folder) / "manifest.json")
        return cls(
            dense=Dense(embeddings.text, ties),
            bm25=BM25.load(Path(folder), ties),
            popularity=Popularity(catalogue.popularity, ties),
            item_knn=ItemKNN.load(Path(folder), ties) if manifest["item_knn"] else None,
        )
