"""Says what the next runs grow from: the file ``data/base.yaml``.

``release: null`` is a rebuild, in which everything is learnt anew; the name of a release is a
refresh, which keeps that release's encoder, codebooks and Semantic IDs. The stages that learn list
the file among their params, so DVC knows what follows from a change.
"""

from __future__ import annotations

from pathlib import Path

from assets.stage import BASE_FILE, UserError
from assets.stage import base_name as base_name_of

TEXT = """\
# null: everything is learnt anew. A release's name: its encoder, codebooks and IDs are kept.
release: {}
"""


def base_name(root: Path) -> str | None:
    """Return the name of the release to grow from, None where everything is learnt anew.

    A file that says neither is the business of the stages, which refuse it.
    """
    try:
        return base_name_of(root / BASE_FILE)
    except UserError:
        return None


def set_base(root: Path, name: str | None) -> None:
    """Write what to grow from; the same content leaves the file alone."""
    file, text = root / BASE_FILE, TEXT.format(name or "null")
    if not file.is_file() or file.read_text(encoding="utf-8") != text:
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
