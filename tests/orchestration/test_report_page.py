"""The page of a release: whole, self-contained, and safe whatever the data says."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from orchestration.dvc_pipeline import Pipeline
from orchestration.releases.lineage import draw
from orchestration.releases.page import PARTS, write_page
from orchestration.releases.publishing import LOGS, publish
from orchestration.releases.store import current
from orchestration.stage_assets import release_metadata

ROOT = Path(__file__).parents[2]
VOID = {"meta", "br", "img", "link", "input", "hr"}
SLICES = {  # recall@10 of methods, of the head and of the cold items
    "answers": (0.5, 0.0),
    "ease": (0.2, 0.9),
    "slit": (0.4, 0.0),
    "markov": (0.1, 0.9),
    "graph": (0.35, 0.0),
}
MARKUP = '<script>alert("x")</script>&amp;<b onclick=y>'


class Page(HTMLParser):
    """Reads a page: its tags with their attributes, its text; tags must be closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data

    def ids(self):
        return {attrs["id"] for _, attrs in self.tags if "id" in attrs}


@pytest.fixture
def released(put_release, tmp_path):
    """The small real project's release, with a table of results."""
    folder = put_release(tmp_path) / "r1-00000000"
    rows = [
        {"task": task, "method": method, "recall@5": 0.1, "recall@10": 0.2, "recall@30": 0.3}
        | {"ndcg@10": 0.1, "mrr": 0.1, "low": 0.15, "high": 0.25}
        for task in ("search", "recommendation")
        for method in ("answers", "popularity")
    ]
    difference = {"task": "search", "method": "answers", "baseline": "popularity"}
    difference |= {"difference": 0.1, "low": 0.05, "high": 0.15}
    (folder / "metrics").mkdir(exist_ok=True)
    report = {"table": rows, "differences": [difference], "skipped": []}
    report["slices"] = [
        {"task": "recommendation", "method": method, "group": group, "questions": questions}
        | {"recall@10": recall, "low": 0.0, "high": 1.0}
        for method, recalls in SLICES.items()
        for (group, questions), recall in zip(
            {"head": 90, "cold": 10}.items(), recalls, strict=True
        )
    ]
    report |= {"named.items": 200, "named.found@10": 0.985, "named.first": 0.9}
    (folder / "metrics" / "report.json").write_text(json.dumps(report))
    return tmp_path


def _page(root: Path) -> Page:
    release = current(root)
    return Page(write_page(release.folder, release, Pipeline.load(ROOT)).read_text())


def _edit(file: Path, column: str, change) -> None:
    table = pq.read_table(file)
    place = table.column_names.index(column)
    changed = pa.array(change(table.column(column)), pa.string())
    pq.write_table(table.set_column(place, column, changed), file)


def test_a_page_holds_every_part_and_asks_for_nothing_from_outside(released):
    page = _page(released)
    assert page.ids() >= {"lineage", *PARTS, "versions"}
    assert "Left out" not in page.text
    addresses = [attrs[key] for _, attrs in page.tags for key in ("src", "href") if key in attrs]
    assert all(address.startswith(("#", "data:image/png;base64,")) for address in addresses)
    assert {address[1:] for address in addresses if address[0] == "#"} <= page.ids()
    assert not {tag for tag, _ in page.tags} & {"script", "link", "iframe", "object"}
    assert "98.5% of the 200 most popular items are among the first ten, 90.0% come" in page.text
    assert page.text.count("<a_") >= 8 + 9 * 5  # first-level codes; six searches, three people
    assert all(attrs.get("alt") for tag, attrs in page.tags if tag == "img")


def test_slices_are_shown_of_what_is_answered_and_of_the_best_parts(released):
    text = " ".join(_page(released).text.split("R@10 by slice")[1].split())
    shown = ["what is answered0.50000.0000", "SLIT0.40000.0000"]
    shown += ["graph0.35000.0000", "EASE0.20000.9000"]
    assert text.startswith(f"head (90)cold (10) {' '.join(shown)} ")
    assert "Markov" not in text.split("Asked for by their own titles")[0]


def test_a_page_and_dagster_say_who_answers(released):
    release = current(released)
    sentences = json.loads((release.folder / "answers" / "report.json").read_text())["sentences"]
    assert {sentence.split(":")[0] for sentence in sentences} == {"search", "recommendation"}
    page = " ".join(_page(released).text.split())
    assert "what answers searches and recommendations: that model, other rankers, or" in page
    told = release_metadata(release)["who answers"].md_str
    assert told.splitlines() == [f"- {sentence}" for sentence in sentences]
    assert all(sentence in page for sentence in sentences)
    shutil.rmtree(release.folder / "answers")
    assert "who answers" not in release_metadata(release)


def test_no_user_stands_on_a_page_nor_is_one_looked_up(released):
    folder = current(released).folder
    for name in LOGS["interactions"]:
        (folder / "interactions" / name).unlink()
    (folder / "answers" / "histories.parquet").unlink()
    page = _page(released)
    assert "Left out" not in page.text
    assert page.text.count("After ") == 3
    assert "User" not in page.text


def test_histories_are_made_of_first_codes_where_nothing_has_a_category(released):
    folder = current(released).folder
    file = folder / "interactions" / "items.parquet"
    _edit(file, "category", lambda texts: [None] * len(texts))
    assert len(re.findall(r"After <a_\d+>", _page(released).text)) == 3


def test_markup_in_data_stays_text(released):
    folder = current(released).folder
    _edit(
        folder / "interactions" / "items.parquet",
        "title",
        lambda titles: pc.binary_join_element_wise(titles, MARKUP, " "),
    )
    _edit(
        folder / "synthetic_queries" / "queries.parquet",
        "query",
        lambda queries: pc.binary_join_element_wise(queries, MARKUP, " "),
    )
    page = _page(released)
    assert "script" not in {tag for tag, _ in page.tags}
    assert not any("onclick" in attrs for _, attrs in page.tags)
    assert page.text.count(MARKUP) > 50


def test_the_encoders_gain_and_curve_are_shown_where_it_was_trained(released):
    folder = current(released).folder / "bi_encoder"
    names = ("query_recall@10", "content_query_recall@10", "query_gain@10")
    numbers = {
        name + end: value + off
        for name, value in zip(names, (0.7, 0.6, 0.1), strict=True)
        for end, off in (("", 0), ("_low", -0.01), ("_high", 0.01))
    }
    manifest = json.loads((folder / "manifest.json").read_text()) | {"variant": "search"}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "report.json").write_text(json.dumps(numbers))
    (folder / "training.csv").write_text("step,query_recall@10\n0,0.6\n50,0.72\n100,0.7\n")
    page = _page(released)
    assert "+0.1000 (+0.0900 to +0.1100)" in " ".join(page.text.split())
    assert [tag for tag, _ in page.tags].count("polyline") == 1
    assert "over 100 steps, from 0.6000 (dashed) to 0.7200 at best" in page.text


def test_queries_of_a_language_model_stand_beside_those_of_rules(released):
    file = current(released).folder / "synthetic_queries" / "report.json"
    row = {"item_id": "1", "document": "A film. 1999", "written": MARKUP, "paraphrases": "other"}
    report = json.loads(file.read_text()) | {"side_by_side": [row | {"attributes": "film 90s"}]}
    file.write_text(json.dumps(report))
    text = _page(released).text
    assert all(words in text for words in ("A film. 1999", MARKUP, "other", "film 90s"))


@pytest.mark.parametrize("part", ["interactions", "synthetic_queries", "metrics", "answers"])
def test_what_a_release_lacks_is_left_out_with_a_line(released, part):
    shutil.rmtree(current(released).folder / part)
    page = _page(released)
    assert "Left out: " in page.text
    assert part in page.text.split("Left out: ")[1].splitlines()[0]
    assert "The quality gate" in page.text


def test_a_publication_makes_the_page_and_an_unchanged_one_leaves_it(shop):
    release = publish(shop.root)
    file = release.folder / "report.html"
    page = Page(file.read_text())
    assert release.name in page.text
    assert "Left out: answers holds no answers" in page.text
    assert not file.stat().st_mode & 0o222
    assert release_metadata(release)["report"].path == str(file)
    before = file.stat()
    assert publish(shop.root).name == release.name
    assert (file.stat().st_ino, file.stat().st_mtime) == (before.st_ino, before.st_mtime)


def test_lineage_draws_every_stage_below_what_it_needs_and_no_shortcut_as_direct():
    pipeline = Pipeline.load(ROOT)
    lineage = draw(pipeline)
    heights = {node.name: node.y for node in lineage.nodes}
    assert list(heights) == [*pipeline.stages, "release"]
    edges = {(up, s.name) for s in pipeline.stages.values() for up in s.upstream}
    edges |= {(leaf, "release") for leaf in pipeline.leaves()}
    assert all(heights[up] < heights[down] for up, down in edges)
    ends = {_ends(arc.path): arc.direct for arc in lineage.arcs}
    assert set(ends) == {(heights[up], heights[down]) for up, down in edges}
    for (up, down), direct in ends.items():
        # An arc is direct if no other way leads there: the oracle walks all ways.
        assert direct == (_longest(up, down, set(ends)) == 1)


def _ends(path: str) -> tuple[float, float]:
    numbers = [float(number) for number in re.findall(r"[-\d.]+", path)]
    return numbers[1], numbers[-1]


def _longest(up: float, down: float, edges: set[tuple[float, float]]) -> int:
    ways = [_longest(up, middle, edges) + 1 for middle, end in edges if end == down and middle > up]
    return max([*(way for way in ways if way > 1), int((up, down) in edges)], default=0)
