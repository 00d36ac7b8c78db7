"""IDs that another tool made."""

import json

import numpy as np
import pandas as pd
import pytest
from codebooks.made_up_vectors import clustered, data_of, names_of, small

from assets.codebooks.artifact import Codebooks
from assets.codebooks.external import External
from assets.codebooks.fitting.external import fit_external
from assets.interactions.incoming import incoming
from assets.stage import UserError

ITEMS = 40
VECTORS = clustered(ITEMS)
CODES = np.random.default_rng(3).integers([3, 5], size=(ITEMS, 2))
IDS = names_of(ITEMS)


def write(folder, name: str = "ids.csv", codes: np.ndarray = CODES, ids=IDS) -> None:
    """Write the codes in the form that the name asks for."""
    sids = [
        "".join(f"<{letter}_{c}>" for letter, c in zip("ab", row, strict=True)) for row in codes
    ]
    if name.endswith(".csv"):
        pd.DataFrame({"item_id": ids, "sid": sids}).to_csv(folder / name, index=False)
    elif name.endswith(".parquet"):
        pd.DataFrame({"item_id": ids, "codes": list(codes)}).to_parquet(folder / name)
    else:
        rows = [
            {"item_id": i, "code_1": int(b), "code_0": int(a)}
            for i, (a, b) in zip(ids, codes, strict=True)
        ]
        (folder / name).write_text("\n".join(map(json.dumps, rows)))


def fit(folder, items: int = ITEMS) -> External:
    params = small("external", external={"folder": str(folder)})
    return fit_external(data_of(VECTORS[:items]), params).quantizer


@pytest.mark.parametrize("name", ["ids.csv", "ids.parquet", "ids.jsonl"])
def test_codes_come_out_as_they_were_given_from_any_kind_of_file(tmp_path, name) -> None:
    write(tmp_path, name)
    quantizer = fit(tmp_path)
    np.testing.assert_array_equal(quantizer.codes_of(IDS, VECTORS), CODES)
    assert Codebooks(quantizer, "text", {}).sizes == [3, 5]


def test_codes_are_found_by_name_in_any_order_and_after_saving(tmp_path) -> None:
    write(tmp_path)
    Codebooks(fit(tmp_path), "text", {}).save(tmp_path)
    loaded = Codebooks.load(tmp_path).quantizer
    order = np.random.default_rng(0).permutation(ITEMS)
    np.testing.assert_array_equal(loaded.codes_of(IDS[order], VECTORS[order]), CODES[order])


def test_rows_of_the_codebooks_are_the_means_of_what_is_left(tmp_path) -> None:
    write(tmp_path)
    quantizer = fit(tmp_path)
    left = VECTORS.astype(np.float64)
    for level, book in enumerate(quantizer.codebooks):
        for code in np.unique(CODES[:, level]):
            own = CODES[:, level] == code
            np.testing.assert_allclose(book[code], left[own].mean(axis=0), atol=1e-6)
        left = left - book[CODES[:, level]]
    np.testing.assert_allclose(quantizer.decode(CODES), VECTORS - left, atol=1e-5)


def test_an_item_that_comes_later_gets_the_nearest_codes(tmp_path) -> None:
    write(tmp_path)
    quantizer = fit(tmp_path)
    later = clustered(3, seed=9)
    new = np.array(["x", "y", "z"], object)
    np.testing.assert_array_equal(quantizer.codes_of(new, later), quantizer.encode(later))


def test_the_version_follows_the_given_codes(tmp_path) -> None:
    def version(codes: np.ndarray) -> str:
        write(tmp_path, codes=codes)
        return Codebooks(fit(tmp_path), "text", {}).version

    other = CODES.copy()
    other[0] = (other[0] + 1) % [3, 5]
    assert version(CODES) == version(CODES) != version(other)


def test_items_that_the_catalogue_does_not_have_are_left_out(tmp_path) -> None:
    write(tmp_path)
    quantizer = fit(tmp_path, items=30)
    np.testing.assert_array_equal(quantizer.codes_of(IDS[:30], VECTORS[:30]), CODES[:30])


def test_a_later_file_updates_an_item(tmp_path) -> None:
    write(tmp_path, "1.csv")
    write(tmp_path, "2.csv", codes=CODES[:1] * 0 + [[2, 4]], ids=IDS[:1])
    assert fit(tmp_path).codes_of(IDS[:2], VECTORS[:2]).tolist() == [[2, 4], CODES[1].tolist()]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "holds no file"),
        ("item_id,sid\nitem 000,1 2\n", "no codes for item 'item 001' (39 such items of 40)"),
        ("item_id,name\na,b\n", "has columns item_id, name: it needs `item_id` and"),
        ("item_id,sid\na,1 2\nb,1\n", "row 2: item 'b' has codes '1'"),
        ("item_id,sid\na,1 2\nb,1 -2\n", "row 2: item 'b' has codes '1 -2'"),
        ("item_id,sid\na,\n", "row 1: item 'a' has codes ''"),
        ("item_id,sid\na,1 2\na,1 3\n", "row 2: item 'a' stands there a second time"),
        ("", "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_by_name_and_row(tmp_path, content, told) -> None:
    if content is not None:
        (tmp_path / "ids.csv").write_text(content)
    with pytest.raises(UserError) as caught:
        fit(tmp_path)
    assert told in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_files_with_different_numbers_of_levels_are_refused(tmp_path) -> None:
    write(tmp_path, "1.csv")
    (tmp_path / "2.csv").write_text("item_id,sid\na,1 2 3\n")
    with pytest.raises(UserError, match="make them equal"):
        fit(tmp_path)


def test_given_codes_among_the_incoming_files_are_no_business_of_the_tables(tmp_path) -> None:
    given = tmp_path / "semantic_ids"
    given.mkdir()
    write(given)
    assert incoming(tmp_path) == []
