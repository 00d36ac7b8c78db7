"""The document of an item has its template's punctuation only where there is something to part."""

from __future__ import annotations

import itertools

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.interactions.documents import Template
from assets.interactions.params import InteractionsParams
from assets.interactions.sql_text import READABLE

DEFAULT = InteractionsParams().document_template


def rendered(template: str, **values: str) -> str:
    """The document of one item whose other fields are empty."""
    attributes = {k: v for k, v in values.items() if k not in {"title", "text"}}
    with duckdb.connect() as db:
        db.execute(READABLE)
        ((document,),) = db.execute(
            f"SELECT {Template.parse(template).sql()} FROM (SELECT $title AS title, "
            "$text AS text, NULL AS category, NULL AS brand, to_json($attributes) AS attributes)",
            {"title": values.get("title"), "text": values.get("text"), "attributes": attributes},
        ).fetchall()
    return document


@pytest.mark.parametrize(
    ("template", "values", "document"),
    [
        (DEFAULT, {"title": "Heat", "year": "1995"}, "Heat. 1995"),
        (DEFAULT, {"text": "A film."}, "A film."),
        (DEFAULT, {"title": "Heat", "text": "A\n film"}, "Heat. A film"),
        ("{title} ({year}). {text}", {"title": "Heat", "text": "x"}, "Heat. x"),
        ("{title} ({year}). {text}", {"title": "Heat", "year": "1995"}, "Heat (1995)"),
        ("{title} ({year}). {text}", {"year": "1995", "text": "x"}, "(1995). x"),
        ("Film: {title}, {year}.", {"title": "Heat"}, "Film: Heat"),
        ("Film: {title}, {year}.", {"title": "Heat", "year": "1995"}, "Film: Heat, 1995."),
        ("{title} by {o'brien/~x}", {"title": "Heat", "o'brien/~x": "it's"}, "Heat by it's"),
        ("{nothing}", {"title": "Heat"}, "Heat"),
        ("{{{title}}}", {"title": "Heat"}, "{Heat}"),
    ],
)
def test_a_missing_field_takes_its_punctuation_along(template, values, document):
    assert rendered(template, **values) == document


@given(st.sets(st.sampled_from(["title", "text", "year"]), min_size=1))
def test_fields_that_are_there_are_joined_by_single_separators(present):
    fields = [name for name in ("title", "year", "text") if name in present]
    document = rendered("{title}. {year}. {text}", **{name: name.upper() for name in present})
    if fields == ["year"]:
        assert document == "YEAR"
    else:
        assert document == ". ".join(name.upper() for name in fields)


def test_lists_are_written_with_commas(bench):
    bench.write(
        "items/x.jsonl", '{"item_id": "0", "title": "T", "category": ["p", "q"], "of": [1, 2]}'
    )
    made = bench.run(document_template="{title}: {category}; {of}")
    assert made.items["document"][0] == "T: p, q; 1, 2"


@pytest.mark.parametrize("template", ["no field", "{title", "{}"])
def test_a_template_that_cannot_be_read_is_refused(template):
    with pytest.raises(ValueError, match="document_template"):
        InteractionsParams(document_template=template)


def test_every_template_of_the_own_columns_keeps_each_word_once():
    values = {"title": "one", "text": "two"}
    for order in itertools.permutations(["title", "text", "year"]):
        template = " | ".join(f"{{{name}}}" for name in order)
        words = rendered(template, **values).split(" | ")
        assert words == [values[name] for name in order if name in values]
