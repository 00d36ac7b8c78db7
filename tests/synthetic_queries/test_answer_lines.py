from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.synthetic_queries.answers import Tally, numbered_lines, usable
from assets.synthetic_queries.words import holds, title_forms, words

TITLE = title_forms("Seven Samurai, The")


def read(answer, *, whole=True, known=(), copied=(), most=10, most_words=6):
    tally = Tally()
    kept = usable(
        answer,
        whole=whole,
        titles=TITLE,
        known=known,
        copied=set(copied).__contains__,
        most=most,
        most_words=most_words,
        tally=tally,
    )
    return kept, tally


def test_numbered_lines_are_queries_in_the_form_that_all_queries_have():
    kept, tally = read('1. Epic War Films\n\n2) village hires ronin!\n 3. "japan, 1950s"\n')
    assert kept == ["epic war films", "village hires ronin", "japan 1950s"]
    assert (tally.answers, tally.malformed, tally.lines, tally.dropped) == (1, 0, 3, {})


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("Here are your queries:", "format"),
        ("- war films", "format"),
        ("1.war films", "format"),
        ('{"queries": ["war films"]}', "format"),
        ("```", "format"),
        ("1. <b>war</b> films", "markup"),
        ("1. war **films**", "markup"),
        ("1. [war films](https://x.example)", "markup"),
        ("1. films like `ran`", "markup"),
        ('1. the "war" film', "markup"),
        ("1. war &amp; peace", "markup"),
        ("1. Genre: war", "markup"),
        ("1. broad queries:", "markup"),
        ("1. [topic] films", "markup"),
        ("1. ...", "words"),
        ("1. films about a village that hires poor swordsmen", "words"),
        ("1. seven samurai the", "title"),
        ("1. like The Seven Samurai", "title"),
        ("1. KNOWN one", "duplicate"),
        ("1. shown one", "copied"),
    ],
)
def test_what_is_no_query_is_dropped_and_counted_by_its_reason(line, reason):
    kept, tally = read(line, known=["known one"], copied=["shown one"])
    assert kept == []
    assert tally.dropped == {reason: 1}
    assert tally.malformed == (reason == "format")


@pytest.mark.parametrize(
    "line", ["**war films**", "`war films`", "“War films”", "'war films'", "*war films*"]
)
def test_marks_around_a_whole_query_are_taken_off(line):
    assert read(f"1. {line}")[0] == ["war films"]


@pytest.mark.parametrize(
    "line", ["rock 'n' roll", "c# books", "tv under 100$", "r&b 1990s", "fish & chips"]
)
def test_marks_that_people_type_stay(line):
    assert len(read(f"1. {line}")[0]) == 1


def test_the_last_line_of_an_answer_cut_off_is_no_query():
    kept, tally = read("1. war films\n2. a village hi", whole=False)
    assert kept == ["war films"]
    assert tally.dropped == {"cut": 1}


def test_no_more_queries_are_kept_than_were_asked_for():
    kept, tally = read("1. a\n2. b\n3. c\n4. d", most=2)
    assert kept == ["a", "b"]
    assert tally.dropped == {"surplus": 2}


def test_thoughts_before_an_answer_are_no_part_of_it():
    assert read("<think>\n1. maybe this\n</think>\n1. war films")[0] == ["war films"]
    assert read("<think>\n1. never ended") == ([], Tally(answers=1, malformed=1))


def test_lines_count_as_complete_once_they_end():
    assert numbered_lines("Sure:\n1. war\n2. peace\n3. an") == 2


@given(st.text(st.sampled_from('1. \n"*<b>`seven samurai the:[]{}é'), max_size=80), st.booleans())
def test_every_line_is_kept_or_counted_and_nothing_kept_breaks_a_rule(answer, whole):
    kept, tally = read(answer, whole=whole, most=3, most_words=3)
    assert len(kept) + tally.dropped.total() == tally.lines
    assert len(set(kept)) == len(kept) <= 3
    for query in kept:
        assert query == " ".join(words(query))
        assert 1 <= len(words(query)) <= 3
        assert not any(holds(words(query), form) for form in TITLE)
        assert not set(query) & set('"*<`[]{}')
