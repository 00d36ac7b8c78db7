"""The text that stands for an item everywhere, composed by a template."""

from __future__ import annotations

import re
import string
from dataclasses import dataclass, replace

from assets.interactions.sql_text import member, quoted

OWN_COLUMNS = ("title", "text", "category", "brand")


@dataclass(frozen=True)
class Part:
    """One field of a template: ``between`` goes before it if some text precedes it."""

    between: str
    opening: str
    field: str
    closing: str


@dataclass(frozen=True)
class Template:
    """A template such as ``{title} ({year}). {text}``, in parts that vanish as a whole.

    The literal before a field is its separator; brackets at its ends belong to the fields they
    enclose. So a missing year leaves ``Heat. Crime``, never ``Heat (). Crime``.
    """

    parts: tuple[Part, ...]

    @classmethod
    def parse(cls, text: str) -> Template:
        """Split a template into parts.

        Raises:
            ValueError: A brace without partner, a field without a name, or no field at all.
        """
        parts: list[Part] = []
        literal = ""
        for piece, field, _, _ in string.Formatter().parse(text):
            literal += piece
            if field is None:  # an escaped brace, or the end
                continue
            if not field.strip():
                raise ValueError("a field needs a name, such as {title}")
            opening = literal
            between = ""
            if parts:
                cut = re.fullmatch(r"([)\]}>]*)(.*?)([(\[{<]*)", literal, re.DOTALL)
                closing, between, opening = cut.groups() if cut else ("", literal, "")
                parts[-1] = replace(parts[-1], closing=closing)
            parts.append(Part(between, opening, field, ""))
            literal = ""
        if not parts:
            raise ValueError("the template names no field, such as {title}")
        parts[-1] = replace(parts[-1], closing=literal)
        return cls(tuple(parts))

    @property
    def fields(self) -> list[str]:
        """Names of the fields, in order."""
        return [part.field for part in self.parts]

    def sql(self) -> str:
        """Return the SQL expression of the document over a row of the catalogue."""
        pieces = []
        before: list[str] = []
        for part in self.parts:
            value = field_sql(part.field)
            pieces.append(
                f"CASE WHEN {value} IS NULL THEN '' ELSE "
                f"CASE WHEN coalesce({', '.join([*before, 'NULL'])}) IS NULL THEN '' "
                f"ELSE {quoted(part.between)} END "
                f"|| {quoted(part.opening)} || {value} || {quoted(part.closing)} END"
            )
            before.append(value)
        whole = " || ".join(f"({piece})" for piece in pieces)
        # a template that names none of an item's fields must not leave it without words
        return f"coalesce(nullif(trim({whole}), ''), {field_sql('title')}, {field_sql('text')})"


def field_sql(field: str) -> str:
    """Return the SQL expression of one field's text: white space single, NULL where empty."""
    value = field if field in OWN_COLUMNS else member("attributes::JSON", field)
    return f"nullif(trim(regexp_replace({value}, '\\s+', ' ', 'g')), '')"
