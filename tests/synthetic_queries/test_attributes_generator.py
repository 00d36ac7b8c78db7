from __future__ import annotations

import json
from collections import Counter

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.synthetic_queries.attributes import AttributesGenerator
from assets.synthetic_queries.generator import MadeQuery
from assets.synthetic_queries.keywords import Keywords
from assets.synthetic_queries.params import SyntheticQueriesParams
from assets.synthetic_queries.quality import leak_share
from assets.synthetic_queries.words import holds, title_forms, words

DEFAULTS = SyntheticQueriesParams()
TEXTS = st.none() | st.text(max_size=30) | st.sampled_from(["Brazil", "The Ring", "It", "A & B"])


def item(item_id="1", title=None, text=None, category=None, brand=None, **attributes):
    parts = [title, text, category, brand, *attributes.values()]
    return {
        "item_id": item_id,
        "title": title,
        "text": text,
        "category": category,
        "brand": brand,
        "attributes": json.dumps(attributes),
        "document": ". ".join(str(part) for part in parts if part is not None),
    }


def generate(*items, catalogue=None, params=DEFAULTS) -> list[MadeQuery]:
    frame = pd.DataFrame(list(items))
    texts = frame["text"].dropna() if catalogue is None else catalogue
    return list(AttributesGenerator(params, Keywords(texts, params.keyword_texts)).generate(frame))


ALIEN = item("7", "Alien", None, "Horror, Sci-Fi", None, year=1979)
HEAT = item("8", "Heat Wave in Town, The", None, "Drama", "Acme", year=1990, asin="B00X")


@given(title=TEXTS, text=TEXTS, category=TEXTS, brand=TEXTS)
def test_no_query_is_empty_doubled_too_long_in_capitals_or_holds_the_full_title(
    title, text, category, brand
):
    made = generate(item("1", title, text, category, brand))
    assert len(made) <= DEFAULTS.queries_per_item
    assert len({m.query for m in made}) == len(made)
    for one in made:
        assert one.query == " ".join(words(one.query))
        assert 1 <= len(words(one.query)) <= DEFAULTS.most_words
        assert not any(holds(words(one.query), form) for form in title_forms(title or ""))


def test_queries_of_an_item_do_not_depend_on_other_items_or_their_order():
    alone = generate(ALIEN)
    assert alone == [m for m in generate(HEAT, ALIEN) if m.item_id == "7"]
    assert alone == [m for m in generate(ALIEN, HEAT) if m.item_id == "7"]
    assert alone != generate(ALIEN, params=SyntheticQueriesParams(seed=1))


def test_a_one_word_title_is_always_misspelt():
    items = [item(str(n), "Casablanca", None, "Drama", None) for n in range(50)]
    made = generate(*items)
    assert len(made) >= 50
    assert all("casablanca" not in words(m.query) for m in made)


def test_a_title_too_short_to_misspell_is_asked_for_by_properties_alone():
    made = generate(item("1", "M", None, "Crime, Thriller", None, year=1931))
    assert made
    assert all("m" not in words(m.query) for m in made)


def test_an_item_without_title_or_properties_is_described_by_its_text():
    texts = [f"the radar of plane {name} measures wind" for name in "abcdefgh"]
    texts[3] = "ionosphere drifts over aurora"
    made = generate(item("1", text=texts[3]), catalogue=texts)
    assert {m.kind for m in made} == {"descriptive"}
    assert len(made) == 4


def test_kinds_come_two_to_two_to_one():
    items = [
        item(str(n), f"Long Title Number{n} of Many Words", None, "Drama, Crime, War", "Acme")
        for n in range(200)
    ]
    kinds = Counter(m.kind for m in generate(*items))
    total = sum(kinds.values())
    assert total == pytest.approx(800, abs=8)
    assert kinds["navigational"] / total == pytest.approx(0.4, abs=0.04)
    assert kinds["descriptive"] / total == pytest.approx(0.4, abs=0.04)
    assert kinds["mixture"] / total == pytest.approx(0.2, abs=0.04)


def test_title_words_are_dropped_and_misspelt_as_often_as_the_params_say():
    title = "abcdef ghijkl mnopqr stuvwx yzabcd efghij klmnop qrstuv wxyzab cdefgh"
    params = SyntheticQueriesParams(descriptive=0, mixture=0, most_words=30, queries_per_item=10)
    made = generate(*[item(str(n), title, None, "Drama") for n in range(100)], params=params)
    typed = [word for m in made for word in words(m.query)]
    assert len(typed) / (10 * len(made)) == pytest.approx(0.8, abs=0.02)
    slips = sum(word not in words(title) for word in typed) / len(typed)
    assert slips == pytest.approx(0.1, abs=0.02)


def test_properties_that_the_document_does_not_name_are_not_asked_for():
    hidden = {**HEAT, "document": "Heat Wave in Town, The. Drama"}
    params = SyntheticQueriesParams(navigational=0, mixture=0, queries_per_item=20, misspelt=0)
    typed = {word for m in generate(hidden, params=params) for word in words(m.query)}
    assert "drama" in typed
    assert not typed & {"acme", "1990", "90s", "b00x"}
    shown = {word for m in generate(HEAT, params=params) for word in words(m.query)}
    assert {"acme", "1990", "90s"} <= shown


def test_made_queries_of_real_movies_do_not_leak_their_titles(project):
    items = pd.read_parquet(project.make("interactions") / "items.parquet")
    made = pd.DataFrame([(m.query, m.item_id) for m in generate(*items.to_dict("records"))])
    assert len(made) > 3.9 * len(items)
    assert leak_share(made.set_axis(["query", "item_id"], axis=1), items) == 0
