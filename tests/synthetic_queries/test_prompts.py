from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from assets.synthetic_queries.prompts import Prompts

ALIEN = {
    "item_id": "7",
    "title": "Alien",
    "text": "In space\nno one hears you. " * 100,
    "category": "Horror, Sci-Fi",
    "brand": float("nan"),
    "attributes": json.dumps({"year": 1979, "cast": ["Weaver", "Holm"], "price": None}),
}


def test_the_prompt_shows_all_that_is_known_each_on_a_line():
    prompt = Prompts(10, 60).queries(ALIEN)
    assert "Title: Alien\nCategory: Horror, Sci-Fi\n" in prompt
    assert "\nYear: 1979\n" in prompt
    assert '\nCast: ["Weaver", "Holm"]\n' in prompt
    assert "\nText: In space no one hears you. In space no one hears you. In spa\n" in prompt
    assert "Brand" not in prompt
    assert "Price" not in prompt
    assert "Write 10 search queries" in prompt
    assert "Never use the title" in prompt


def test_paraphrases_are_asked_for_in_the_order_of_the_queries():
    prompt = Prompts(10, 60).paraphrases(ALIEN, ["space horror", "70s monsters"])
    assert "1. space horror\n2. 70s monsters\n" in prompt
    assert "Alien" in prompt
    assert "list of 2 lines" in prompt


def test_phrases_of_the_prompt_are_no_queries():
    prompts = Prompts(10, 60)
    copied = ["a genre a topic a mood a time", "the item", "different people"]
    assert all(map(prompts.hold, copied))
    assert not any(map(prompts.hold, ["mood", "a genre film", "item of a time"]))


@given(st.text(st.sampled_from("{}item count title"), min_size=1, max_size=30))
def test_braces_in_an_item_are_text(title):
    prompt = Prompts(3, 100).queries({**ALIEN, "title": title})
    shown = " ".join(title.split())
    assert not shown or f"Title: {shown}\n" in prompt
