"""Which files people dropped into ``data/incoming``."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assets.interactions.contract import TABLES
from assets.stage import UserError

ELSEWHERE = {"semantic_ids"}  # folders that another stage reads
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
        stamp: Size and time of the last change when the hash was taken; None for ``packaged``.
        read: For ``packaged`` only: returns its rows as an Arrow table.
    """

    table: str
    file: str
    sha256: str
    form: str
    stamp: tuple[int, int] | None = None
    read: Callable[[], Any] | None = None


def incoming(folder: Path) -> list[Source]:
    """Return all files of the three folders in order of name; none if nobody dropped any.

    Raises:
        UserError: A file of another type or in another place, one that is empty or cannot be read,
            or other tables without any items.
    """
    sources = []
    for entry in _entries(folder):
        if entry.name.startswith(".") or entry.suffix == ".dvc" or entry.name in ELSEWHERE:
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


def require_unchanged(source: Source) -> None:
    """Raise a UserError if the file is not what it was when its hash was taken."""
    file = Path(source.file)
    if source.stamp and _stamp(file) != source.stamp and sha256_of(file) != source.sha256:
        raise UserError(
            f"{file} changed while it was read: let whoever writes it finish (or write elsewhere "
            f"and move it here), then run again."
        )


def sha256_of(file: Path) -> str:
    """Return the hash of a file's bytes.

    Raises:
        UserError: It cannot be read.
    """
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise unreadable(file, error) from error


def unreadable(path: Path | str, error: OSError) -> UserError:
    """Return the error for a file or folder that the system does not let us read."""
    fixes = {
        errno.EACCES: "give yourself the right to read it, such as with `chmod u+r`",
        errno.ENOENT: "it is gone, or a link to nowhere: put it back or remove it",
        errno.ELOOP: "it is a link that leads to itself: remove it",
    }
    fix = fixes.get(error.errno or 0, "mend it or take it out")
    return UserError(f"{path} cannot be read ({error.strerror}): {fix}.")


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except FileNotFoundError:
        return []
    except NotADirectoryError as error:
        raise UserError(f"{folder} is a file where a folder should be: remove it.") from error
    except OSError as error:
        raise unreadable(folder, error) from error


def _files(folder: Path) -> list[Path]:
    """Return the files below a folder; what cannot be one is an error and not left out."""

    def fail(error: OSError) -> None:
        raise unreadable(error.filename, error) from error

    files = []
    for where, folders, names in os.walk(folder, onerror=fail):
        here = Path(where)
        files += [here / name for name in names]
        for name in folders:
            below = here / name
            if below.is_symlink():
                raise UserError(
                    f"{below} is a link to a folder: link its files, or {folder} itself."
                )
            if below.suffix.lower() in FORMS and not _hidden(below) and not _entries(below):
                raise UserError(f"{below} is a folder, and empty, where a file should be: mend it.")
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
    stamp = _stamp(file)
    if not stamp[0]:
        raise UserError(f"{file} is empty: fill it or take it out.")
    return Source(table, file.as_posix(), sha256_of(file), form, stamp)


def _stamp(file: Path) -> tuple[int, int]:
    """Return a file's size and the time of its last change."""
    try:
        status = file.stat()
    except OSError as error:
        raise unreadable(file, error) from error
    return status.st_size, status.st_mtime_ns
