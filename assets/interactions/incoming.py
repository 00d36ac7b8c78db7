"""Which files people dropped into ``data/incoming``."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assets.interactions.contract import TABLES
from assets.stage import UserError

FORMS = {".parquet": "parquet", ".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}


@dataclass(frozen=True)
class Source:
    """Rows for one table.

    Attributes:
        table: ``items``, ``interactions`` or ``queries``.
        file: Path relative to the project, or the name of a packaged data set. Files are read in
            its order.
        sha256: Hash of the bytes.
        form: ``parquet``, ``csv``, ``jsonl`` or ``packaged``.
        read: For ``packaged`` only: returns its rows as an Arrow table.
    """

    table: str
    file: str
    sha256: str
    form: str
    read: Callable[[], Any] | None = None


def incoming(folder: Path) -> list[Source]:
    """Return all files of the three folders in order of name; none if nobody dropped any.

    Raises:
        UserError: A file of another type or in another place, an empty file, or other tables
            without any items.
    """
    sources = []
    for entry in sorted(folder.iterdir()) if folder.is_dir() else []:
        if entry.name.startswith(".") or entry.suffix == ".dvc":
            continue
        if entry.name not in TABLES or not entry.is_dir():
            raise UserError(
                f"{entry} is not read: move it into {folder}/items, {folder}/interactions or "
                f"{folder}/queries."
            )
        sources += [_source(entry.name, file) for file in _files(entry)]
    if sources and not any(source.table == "items" for source in sources):
        raise UserError(
            f"{sources[0].file}: {folder}/items holds no file. Add the items it speaks of, or "
            f"remove it to use the packaged data set."
        )
    return sources


def sha256_of(file: Path) -> str:
    """Return the hash of a file's bytes."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _files(folder: Path) -> list[Path]:
    files = [file for file in folder.rglob("*") if file.is_file()]
    shown = [file for file in files if not _hidden(file.relative_to(folder))]
    return sorted(shown, key=lambda file: file.as_posix())


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts) or path.suffix == ".dvc"


def _source(table: str, file: Path) -> Source:
    form = FORMS.get(file.suffix.lower())
    if form is None:
        raise UserError(
            f"{file} is neither Parquet, CSV nor JSON lines ({', '.join(FORMS)}): convert it or "
            f"take it out."
        )
    if not file.stat().st_size:
        raise UserError(f"{file} is empty: fill it or take it out.")
    return Source(table, file.as_posix(), sha256_of(file), form)
