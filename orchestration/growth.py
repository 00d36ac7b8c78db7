"""Says what the next runs grow from and whether they end with the final fit: ``data/base.yaml``.

``release: null`` is a rebuild, in which everything is learnt anew; the name of a release is a
refresh, which keeps that release's encoder, codebooks and Semantic IDs. ``final: true`` asks for
the final fit, as ``final_fit.enabled`` in ``params.yaml`` does. The stages that go by it list the
file among their params, so DVC knows what follows from a change.
"""

from __future__ import annotations

from pathlib import Path

from assets.stage import BASE_FILE, UserError
from assets.stage import base_name as base_name_of
from assets.stage import final_asked as final_asked_by

TEXT = """\
# null: everything is learnt anew. A release's name: its encoder, codebooks and IDs are kept.
release: {}
# true: what is released learns once more, from all splits (`sidmill run --final`).
final: {}
"""


def base_name(root: Path) -> str | None:
    """Return the name of the release to grow from, None where everything is learnt anew.

    A file that says neither is the business of the stages, which refuse it.
    """
    try:
        return base_name_of(root / BASE_FILE)
    except UserError:
        return None


def final_asked(root: Path) -> bool:
    """Tell whether the file asks for the final fit; a bad file does not."""
    try:
        return final_asked_by(root / BASE_FILE)
    except UserError:
        return False


def set_base(root: Path, name: str | None, final: bool = False) -> None:
    """Write what to grow from and whether to end with the final fit.

    The same content leaves the file alone.
    """
    file, text = root / BASE_FILE, TEXT.format(name or "null", str(final).lower())
    if not file.is_file() or file.read_text(encoding="utf-8") != text:
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")


def set_final(root: Path, final: bool) -> None:
    """Write whether to end with the final fit; what to grow from stays, and so does a bad file."""
    try:
        name = base_name_of(root / BASE_FILE)
    except UserError:
        return
    set_base(root, name, final)
