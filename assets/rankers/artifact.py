"""What the stage ``rankers`` hands over: fitted rankers by name, for each task."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assets.embeddings.artifact import Embeddings
from assets.files import read_json, write_json
from assets.interactions.catalogue import Catalogue
from assets.rankers.bm25 import BM25
from assets.rankers.dense import Dense
from assets.rankers.item_to_item import ItemToItem
from assets.rankers.popularity import Popularity
from assets.rankers.repurchase import Repurchase
from assets.rankers.sasrec import SASRec
from assets.ranking import Histories, Queries, Ranker
from assets.stage import UserError


@dataclass(frozen=True)
class Rankers:
    """The rankers of one catalogue.

    Attributes:
        dense: Nearest vectors.
        lexical: By name, who ranks by shared words or trigrams.
        popularity: Most interactions.
        repurchase: What a history holds; ranks nothing where repeats are excluded.
        item_to_item: By name, what speaks for what.
        sasrec: The transformer over the history; None where it is left out.
        left_out: By name, why it is not among those.
        chosen: By name, the settings that it was fitted and is asked with, knob to value; of who
            has any.
        items_version: See :func:`version_of_items`; of the catalogue whose rows are ranked.
    """

    dense: Dense
    lexical: Mapping[str, BM25]
    popularity: Popularity
    repurchase: Repurchase
    item_to_item: Mapping[str, ItemToItem]
    sasrec: SASRec | None
    left_out: Mapping[str, str]
    chosen: Mapping[str, Mapping[str, Any]]
    items_version: str

    @property
    def search(self) -> dict[str, Ranker[Queries]]:
        """Who ranks for queries."""
        return {"dense": self.dense, **self.lexical, "popularity": self.popularity}

    @property
    def recommendation(self) -> dict[str, Ranker[Histories]]:
        """Who ranks for histories; nobody without interactions."""
        if not self.popularity.counts.any():
            return {}
        return {
            **self.item_to_item,
            **({"sasrec": self.sasrec} if self.sasrec else {}),
            "repurchase": self.repurchase,
            "popularity": self.popularity,
        }

    def save(self, folder: Path) -> None:
        """Write what each ranker learnt; vectors and counts stay where they are."""
        for name, index in self.lexical.items():
            index.save(folder, name)
        for name, ranker in self.item_to_item.items():
            ranker.save(folder, name)
        if self.sasrec:
            self.sasrec.save(folder)
        manifest = {
            "lexical": list(self.lexical),
            "item_to_item": list(self.item_to_item),
            "sasrec": self.sasrec is not None,
            "repurchase": {
                "history": self.repurchase.history,
                "decay": self.repurchase.decay,
            },
            "left_out": dict(self.left_out),
            "chosen": {name: dict(settings) for name, settings in self.chosen.items()},
            "items_version": self.items_version,
        }
        write_json(folder / "manifest.json", manifest)

    @classmethod
    def load(cls, folder: Path, catalogue: Catalogue, embeddings: Embeddings) -> Rankers:
        """Read what :meth:`save` wrote, for the items it was fitted on.

        Raises:
            UserError: It was fitted on other items, or another version of Sidmill wrote it.
        """
        folder, ties = Path(folder), catalogue.by_popularity
        manifest = read_json(folder / "manifest.json")
        missing = {"lexical", "item_to_item", "repurchase", "left_out"} - manifest.keys()
        if missing:
            raise UserError(
                f"{folder} comes from another version of Sidmill (manifest.json lacks "
                f"`{min(missing)}`): run `dvc repro rankers`, or use the version that made it."
            )
        version = version_of_items(catalogue)
        if manifest.get("items_version", version) != version:  # earlier versions wrote none
            raise UserError(
                f"{folder} was fitted on other items than those beside it: run "
                "`dvc repro rankers`, or restore the release."
            )
        return cls(
            dense=Dense(embeddings.text, ties),
            lexical={name: BM25.load(folder, name, ties) for name in manifest["lexical"]},
            popularity=Popularity(catalogue.popularity, ties),
            repurchase=Repurchase(**manifest["repurchase"], ties=ties),
            item_to_item={
                name: ItemToItem.load(folder, name, ties) for name in manifest["item_to_item"]
            },
            sasrec=SASRec.load(folder, ties) if manifest.get("sasrec") else None,
            left_out=manifest["left_out"],
            chosen=manifest.get("chosen", {}),  # like `sasrec`, not there in earlier versions
            items_version=version,
        )


def version_of_items(catalogue: Catalogue) -> str:
    """Return the sha256 over the item ids in order of row: what row numbers in files mean."""
    return hashlib.sha256("\0".join(catalogue.item_ids).encode()).hexdigest()
