"""Names, literals and JSON as pieces of SQL."""

from __future__ import annotations

# a JSON value as a person reads it: lists with commas, and 7.0 as 7, since pandas makes floats of
# integers where some are missing
READABLE = """
    CREATE OR REPLACE TEMP MACRO readable(value) AS CASE json_type(value)
        WHEN 'ARRAY' THEN array_to_string(from_json(value, '["VARCHAR"]'), ', ')
        WHEN 'DOUBLE' THEN regexp_replace(value ->> '$', '\\.0+$', '')
        ELSE value ->> '$' END
"""


def quoted(text: str) -> str:
    """Return a string literal."""
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """Return a column's name, quoted."""
    return '"' + name.replace('"', '""') + '"'


def value(document: str, key: str) -> str:
    """Return the JSON of an object's member: NULL if there is none."""
    pointer = "/" + key.replace("~", "~0").replace("/", "~1")
    return f"({document} -> {quoted(pointer)})"


def member(document: str, key: str) -> str:
    """Return the text of an object's member: NULL if there is none."""
    return f"readable({value(document, key)})"
