"""The nouns of the harness and the one exception a user causes."""

import numpy as np
import pandas as pd
import pytest

from benchmarks.api.data import Dataset, Split
from benchmarks.api.recipe import Recipe, recipe_with
from benchmarks.errors import BadInput, did_you_mean


def dataset(n=5, **changes):
    """Return n rows in which row i is told apart by its code, target and meta."""
    fields = {
        "name": "K562",
        "codes": np.arange(n * 3, dtype=np.uint8).reshape(n, 3),
        "targets": {"expression": np.arange(n, dtype=np.float32) / 2, "other": -np.arange(n, dtype=np.float32)},
        "meta": pd.DataFrame({"seq_id": [f"s{i}" for i in range(n)], "fold": np.arange(n) % 3}),
        "origin": "measured",
        "ceilings": ({"level": "row", "metric": "pearson_r", "value": 0.9},),
        "notes": ("read well",),
    }
    return Dataset(**(fields | changes))


@pytest.mark.parametrize("codes", [np.zeros((5, 3), dtype=np.int64), np.zeros(15, dtype=np.uint8)])
def test_codes_of_another_type_or_shape_are_refused(codes):
    with pytest.raises(TypeError, match=r"codes must be \(n, seq_len\) uint8"):
        dataset(codes=codes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"targets": {"expression": np.zeros(4, dtype=np.float32)}}, "expression has 4 rows, codes have 5"),
        ({"meta": pd.DataFrame({"fold": [0, 1]})}, "meta has 2 rows, codes have 5"),
        ({"origin": "guessed"}, "origin must be .* 'guessed'"),
    ],
)
def test_parts_that_do_not_fit_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        dataset(**change)


def test_length_is_the_number_of_sequences():
    assert len(dataset(4)) == 4


def test_take_keeps_rows_together_in_the_asked_order():
    taken = dataset().take(np.array([3, 0, 3]))
    assert taken.codes.tolist() == [[9, 10, 11], [0, 1, 2], [9, 10, 11]]
    assert taken.targets["expression"].tolist() == [1.5, 0.0, 1.5]
    assert taken.targets["other"].tolist() == [-3.0, 0.0, -3.0]
    assert taken.meta["seq_id"].tolist() == ["s3", "s0", "s3"]
    assert taken.meta.index.tolist() == [0, 1, 2]
    assert (taken.name, taken.origin, taken.notes) == ("K562", "measured", ("read well",))


def test_without_targets_leaves_nothing_to_peek_at():
    bare = dataset().without_targets()
    assert dict(bare.targets) == {}
    assert bare.codes.tolist() == dataset().codes.tolist()
    assert bare.meta.equals(dataset().meta)


def test_shuffled_targets_are_one_permutation_of_all_outputs():
    shuffled = dataset(50).with_shuffled_targets(seed=1)
    expression, other = (shuffled.targets[name] for name in ("expression", "other"))
    assert expression.tolist() != dataset(50).targets["expression"].tolist()
    assert sorted(expression) == sorted(dataset(50).targets["expression"])
    np.testing.assert_array_equal(other, -2 * expression)  # as in the rows they came from
    assert shuffled.codes.tolist() == dataset(50).codes.tolist()


def test_shuffled_targets_say_so_and_lose_their_ceiling():
    shuffled = dataset(50).with_shuffled_targets(seed=1)
    assert "shuffled" in shuffled.name
    assert shuffled.ceilings == ()
    assert shuffled.notes[0] == "read well"
    assert "CONTROL" in shuffled.notes[-1]
    assert "seed 1" in shuffled.notes[-1]


def test_shuffling_repeats_by_seed():
    first, again, other = (dataset(50).with_shuffled_targets(seed=seed).targets["other"] for seed in (1, 1, 2))
    assert first.tolist() == again.tolist()
    assert first.tolist() != other.tolist()


def test_content_hash_is_that_of_the_content_alone():
    renamed = dataset(name="K562 again", notes=(), ceilings=())
    assert dataset().content_hash() == renamed.content_hash()
    read_only = dataset().codes
    read_only.flags.writeable = False
    columns_first = np.asfortranarray(dataset().codes)
    assert dataset().content_hash() == dataset(codes=read_only).content_hash()
    assert dataset().content_hash() == dataset(codes=columns_first).content_hash()


@pytest.mark.parametrize(
    "change",
    [
        {"origin": "simulated"},
        {"codes": np.arange(1, 16, dtype=np.uint8).reshape(5, 3)},
        {"targets": {"expression": dataset().targets["expression"]}},
        {"targets": {"expression": dataset().targets["other"], "other": dataset().targets["expression"]}},
        {"targets": {"expression": dataset().targets["expression"], "others": dataset().targets["other"]}},
        {"meta": dataset().meta.assign(fold=[0, 1, 2, 0, 2])},
        {"meta": dataset().meta.rename(columns={"fold": "part"})},
        {"meta": dataset().meta[::-1].reset_index(drop=True)},
    ],
    ids=["origin", "codes", "one output less", "outputs exchanged", "output name", "folds", "column name", "row order"],
)
def test_content_hash_covers_everything_that_is_trained_on(change):
    assert dataset().content_hash() != dataset(**change).content_hash()


def test_a_split_is_named_by_its_folds():
    rows = np.array([0])
    assert Split(3, 7, rows, rows, rows).name == "test-03_val-07"


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("epochs", "20", 20),
        ("epochs", 20, 20),
        ("max_lr", "2e-3", 0.002),
        ("max_lr", "1", 1.0),
        ("max_lr", 1, 1.0),
        ("weight_decay", "0", 0.0),
        ("patience", "10", 10),
        ("patience", "none", None),
        ("patience", "null", None),
    ],
)
def test_recipe_values_take_the_type_of_their_field(field, value, expected):
    changed = recipe_with(Recipe(patience=3), {field: value}, source="--set")
    assert getattr(changed, field) == expected
    assert type(getattr(changed, field)) is type(expected)


def test_a_recipe_change_leaves_the_rest_and_the_original_alone():
    recipe = Recipe(batch_size=7, epochs=9)
    changed = recipe_with(recipe, {"epochs": 5}, source="preset")
    assert (changed.batch_size, changed.epochs) == (7, 5)
    assert recipe.epochs == 9


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epochs", "many"),
        ("epochs", "2.5"),
        ("epochs", "8.0"),
        ("epochs", True),
        ("epochs", "none"),
        ("epochs", "[1]"),
        ("epochs", ""),
        ("max_lr", "true"),
        ("max_lr", "fast"),
        ("max_lr", '"0.1"'),
    ],
)
def test_a_recipe_value_of_another_type_names_its_source(field, value):
    with pytest.raises(BadInput, match=rf"--set: recipe key '{field}' expects (int|float)"):
        recipe_with(Recipe(), {field: value}, source="--set")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_lr", "-1"),
        ("max_lr", float("nan")),
        ("max_lr", float("inf")),
        ("max_lr", "1e999"),
        ("epochs", "-1"),
        ("epochs", "0"),
        ("batch_size", "0"),
        ("width_scale", "0"),
        ("patience", "-2"),
    ],
)
def test_a_recipe_value_out_of_range_is_refused(field, value):
    with pytest.raises(BadInput, match=rf"--set: recipe key '{field}' must be .*got "):
        recipe_with(Recipe(), {field: value}, source="--set")


def test_an_unknown_recipe_key_gets_the_nearest_one():
    with pytest.raises(BadInput, match=r"--set: Unknown recipe key 'epoch'\. Did you mean 'epochs'\?.*batch_size"):
        recipe_with(Recipe(), {"epoch": 3}, source="--set")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("human_mrpa", " Did you mean 'human_mpra'?"),
        ("HUMAN_MPRA", " Did you mean 'human_mpra'?"),
        ("zebrafish", ""),
    ],
)
def test_a_misspelt_name_gets_the_nearest_and_all_known_ones(name, hint):
    sentence = did_you_mean("task", name, ["yeast", "human_mpra"])
    assert sentence == f"Unknown task '{name}'.{hint} Known: human_mpra, yeast."


def test_a_name_among_none_is_answered_too():
    assert did_you_mean("model", "cnn", []) == "Unknown model 'cnn'. Known: none."


def test_bad_input_is_a_value_error():
    assert issubclass(BadInput, ValueError)
