"""IDs that some other tool made: a file of items and their codes.

Files in ``data/incoming/semantic_ids`` (Parquet, CSV or JSON lines) name an ``item_id`` and its
codes from 0: a column ``codes`` or ``sid`` with a list or a text (``<a_12><b_200><c_7>``,
``12 200 7``), or columns ``code_0``, ``code_1`` and so on. Levels and sizes are read off the files.

The codes come without codebooks; what stands for them here is learnt from the items' vectors, level
by level: the row of a code is the mean of what its items have left over from the levels before.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from assets.codebooks.external import External, item_keys
from assets.codebooks.fitting.fit import Fitted, TrainingData
from assets.codebooks.params import CodebooksParams
from assets.stage import UserError

NUMBER = re.compile(r"\d+")


def fit_external(data: TrainingData, params: CodebooksParams) -> Fitted:
    """Read the codes of all items and average the vectors' residuals.

    Raises:
        UserError: No file, or one that cannot be read as items and codes, or an item that no file
            names.
    """
    if data.item_ids is None:
        raise TypeError("external codes are found by item_id: `item_ids` are needed.")
    folder = Path(params.external.folder)
    table = read_codes(folder)
    known = table.index.get_indexer(pd.Index(data.item_ids))
    if (known < 0).any():
        raise UserError(
            f"{folder}: no codes for item {data.item_ids[(known < 0).argmax()]!r} "
            f"({(known < 0).sum():,} such items of {len(known):,}): add them."
        )
    codes = table.to_numpy()[known].astype(np.int32)
    codebooks, residuals = [], data.vectors
    for column in codes.T:
        items = np.bincount(column)
        codebook = np.zeros((len(items), data.vectors.shape[1]))
        np.add.at(codebook, column, residuals)
        codebook /= np.maximum(items, 1)[:, None]
        codebooks.append(codebook.astype(np.float32))
        residuals = residuals - codebooks[-1][column]
    keys = item_keys(data.item_ids)
    order = np.lexsort(keys.T[::-1])
    return Fitted(External(codebooks, keys[order], codes[order]))


def read_codes(folder: Path) -> pd.DataFrame:
    """Read all files of a folder: one row of codes per item, index item_id.

    Raises:
        UserError: No file, or one that cannot be read so; the text names the file and the row.
    """
    readers: dict[str, Callable[[Path], pd.DataFrame]] = {
        ".parquet": pd.read_parquet,
        ".csv": lambda file: pd.read_csv(file, dtype=str, keep_default_na=False),
        ".jsonl": lambda file: pd.read_json(file, lines=True, dtype={"item_id": str, "sid": str}),
    }
    files = sorted(file for file in folder.glob("**/*") if file.suffix in readers)
    if not files:
        raise UserError(
            f"{folder} holds no file ({', '.join(readers)}): put one with item_id and codes there, "
            "or choose another `codebooks.quantizer`."
        )
    tables = []
    for file in files:
        try:
            rows = readers[file.suffix](file)
        except (ValueError, OSError) as error:
            raise UserError(f"{file} cannot be read: {error}") from error
        tables.append(_table(file, rows))
    lengths = {table.shape[1]: file for file, table in zip(files, tables, strict=True)}
    if len(lengths) > 1:
        (one, other), (here, there) = list(lengths)[:2], list(lengths.values())[:2]
        raise UserError(f"{here} has {one} codes per item, {there} has {other}: make them equal.")
    table = pd.concat(tables)
    return table[~table.index.duplicated(keep="last")]


def _table(file: Path, rows: pd.DataFrame) -> pd.DataFrame:
    numbered = [name for name in rows.columns if re.fullmatch(r"code_\d+", str(name))]
    numbered.sort(key=lambda name: int(name[5:]))
    written = [name for name in ("codes", "sid") if name in rows.columns]
    if "item_id" not in rows.columns or not (numbered or written):
        raise UserError(
            f"{file} has columns {', '.join(map(str, rows.columns))}: it needs `item_id` and "
            "`codes`, `sid`, or `code_0`, `code_1` and so on."
        )
    if numbered:
        cells = rows[numbered].astype(str).agg(" ".join, axis=1)
    else:
        cells = rows[written[0]].map(
            lambda cell: cell if isinstance(cell, str) else " ".join(map(str, cell))
        )
    texts = [str(cell) for cell in cells]
    codes = [[int(number) for number in NUMBER.findall(text)] for text in texts]
    length = len(codes[0]) if codes else 0
    for row, (text, found) in enumerate(zip(texts, codes, strict=True), start=1):
        if not found or len(found) != length or "-" in text or "." in text:
            raise UserError(
                f"{file}, row {row}: item {rows['item_id'].iloc[row - 1]!r} has codes {text!r}; "
                f"all items need the same number of whole numbers from 0 ({length} in row 1)."
            )
    item_ids = rows["item_id"].astype(str)
    twice = item_ids.duplicated()
    if twice.any():
        raise UserError(
            f"{file}, row {int(twice.argmax()) + 1}: item {item_ids[twice].iloc[0]!r} stands there "
            "a second time: leave one."
        )
    return pd.DataFrame(codes, index=pd.Index(item_ids, dtype=object))
