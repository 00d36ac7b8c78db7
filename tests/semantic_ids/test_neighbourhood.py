from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from assets.semantic_ids.artifact import SemanticIds
from assets.semantic_ids.neighbourhood import Churn, churn, rows_under_prefixes

CODES = st.lists(st.lists(st.integers(0, 2), min_size=3, max_size=3), min_size=1, max_size=12)


@given(CODES, st.data())
def test_under_a_prefix_stand_all_who_begin_with_it(codes, data):
    row = data.draw(st.integers(0, len(codes) - 1))
    found = rows_under_prefixes(np.array(codes, dtype=np.int32), row)
    for length, rows in enumerate(found, start=1):
        assert rows.tolist() == [
            other for other, sid in enumerate(codes) if sid[:length] == codes[row][:length]
        ]


def _ids(items: dict[str, tuple[int, int]]) -> SemanticIds:
    codes = np.array(list(items.values()), dtype=np.int32)
    nothing = np.zeros(len(items), dtype=np.int32)
    return SemanticIds(
        item_ids=np.array(list(items), dtype=object),
        codes=codes,
        raw_codes=codes,
        moved_level=nothing - 1,
        distances=np.zeros(codes.shape, dtype=np.float32),
        sizes=[4, 4],
        policy="none",
        codebook_version="c",
    )


def test_churn_counts_who_came_went_and_kept_an_id():
    before = _ids({"a": (0, 1), "b": (1, 1), "c": (2, 2), "d": (3, 3)})
    after = _ids({"a": (0, 1), "b": (1, 3), "c": (0, 2), "e": (3, 3), "f": (3, 2)})
    assert churn(before, after) == Churn(came=2, went=1, both=3, kept=1, kept_first=2)
    others = churn(before, replace(after, codebook_version="other"))
    assert others == Churn(came=2, went=1, both=3, kept=None, kept_first=None)
    longer = replace(after, codes=np.pad(after.codes, ((0, 0), (0, 1))))
    assert churn(before, longer).kept is None
