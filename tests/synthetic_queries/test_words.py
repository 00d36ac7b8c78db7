from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from assets.interactions.artifact import normalised
from assets.synthetic_queries.words import holds, misspell, plain, telling, title_forms, words


@given(st.text())
def test_plain_text_is_its_own_normal_form_and_stays_as_it_is(text):
    assert normalised(plain(text)) == plain(text)
    assert plain(plain(text)) == plain(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Dr. Scholl\u2019s 0.5-Fluid Ounce", ["dr", "scholl's", "0.5", "fluid", "ounce"]),
        ("rock 'n' roll", ["rock", "n", "roll"]),
        ("हिन्दी फ़िल्म", ["हिन्दी", "फ़िल्म"]),
        ("¡¿ ?!", []),
    ],
)
def test_words_are_what_stands_between_punctuation(text, expected):
    assert words(text) == expected


def test_a_full_title_is_known_with_its_article_before_and_behind_and_with_its_brackets():
    assert title_forms("Seven Samurai, The (Shichinin no samurai)") == [
        ["the", "seven", "samurai"],
        ["seven", "samurai", "the"],
        ["seven", "samurai", "the", "shichinin", "no", "samurai"],
    ]
    assert title_forms("(500) Days of Summer") == [["500", "days", "of", "summer"]]
    assert title_forms("...") == []


@given(st.lists(st.sampled_from("abc")), st.lists(st.sampled_from("abc"), min_size=1))
def test_a_query_holds_a_title_exactly_when_it_is_a_run_of_its_words(query, title):
    oracle = f" {' '.join(title)} " in f" {' '.join(query)} "
    assert holds(query, title) == oracle


@given(st.from_regex(r"\A[a-z]{3,12}\Z"), st.randoms(use_true_random=False))
def test_a_slip_changes_a_word_by_at_most_two_letters_and_keeps_the_first(word, draw):
    assume(len(set(word)) > 1)
    slipped = misspell(word, draw)
    assert slipped != word
    assert slipped[0] == word[0]
    assert abs(len(slipped) - len(word)) <= 1


@pytest.mark.parametrize("word", ["it", "9", "2001", "mp3", ""])
@given(draw=st.randoms(use_true_random=False))
def test_short_words_and_numbers_are_not_misspelt(word, draw):
    assert misspell(word, draw) == word


def test_small_words_tell_something_only_where_there_are_no_others():
    assert telling(["the", "ring"]) == ["ring"]
    assert telling(["it"]) == ["it"]
