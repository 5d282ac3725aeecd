"""Laws of encoding and preprocessing: fitted on train alone, bounded, the same from plain state, clear at inference."""

import numpy as np
import pandas as pd
import pytest
import torch

from autogrow.data import DataSpec, Pipeline, TableEncoder, from_arrays, prepare, prepare_raw
from autogrow.data.preprocess import CLIP
from autogrow.data.raw import Raw
from autogrow.errors import DataError


def mixed_table(n=300, seed=0):
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "age": rng.normal(40, 10, n),
            "city": rng.choice(["Rome", "Oslo", "Lima"], n),
            "smokes": rng.random(n) < 0.3,
            "day": pd.Timestamp("2021-03-01") + pd.to_timedelta(rng.integers(0, 300, n), unit="D"),
            "income": rng.lognormal(8, 1, n),
            "job": rng.choice(["cook", "pilot", None], n),
        }
    )
    table.loc[rng.random(n) < 0.1, "age"] = np.nan
    return table


def prepared_table(target="class", **fields):
    table = mixed_table()
    rng = np.random.default_rng(1)
    y = {
        "class": pd.DataFrame({"y": rng.choice(["no", "yes"], len(table))}),
        "number": pd.DataFrame({"y": rng.normal(100, 20, len(table)), "z": rng.normal(size=len(table))}),
    }[target]
    return table, y, prepare_raw(Raw(table, y, "here"), DataSpec(**fields))


@pytest.mark.parametrize("categories", ["onehot", "embed"])
@pytest.mark.parametrize("target", ["class", "number"])
def test_what_was_saved_encodes_the_same_rows_to_the_same_input(tmp_path, target, categories):
    table, _, prepared = prepared_table(target, categories=categories)
    torch.save(prepared.state(), tmp_path / "pipeline.pt")
    loaded = Pipeline.from_state(torch.load(tmp_path / "pipeline.pt", weights_only=True))
    for part in (prepared.train, prepared.val, prepared.test):
        assert torch.equal(loaded.inputs(table.iloc[part.rows.numpy()]), part.x)
    assert (loaded.task, loaded.labels, loaded.input_shape, loaded.outputs, loaded.embeddings) == (
        prepared.task,
        prepared.labels,
        prepared.input_shape,
        prepared.outputs,
        prepared.embeddings,
    )
    z = torch.randn(5, prepared.outputs)
    assert torch.as_tensor(loaded.answers(z) != prepared.pipeline.answers(z)).sum() == 0


def test_answers_are_labels_or_target_units():
    _, y, prepared = prepared_table("number")
    for part in (prepared.train, prepared.test):
        answers = prepared.pipeline.answers(part.y)
        assert np.allclose(answers.numpy(), y.to_numpy()[part.rows], atol=1e-4)
    assert torch.allclose(prepared.train.y.mean(0), torch.zeros(2), atol=1e-5)
    assert torch.allclose(prepared.train.y.std(0, correction=0), torch.ones(2), atol=1e-5)
    _, y, prepared = prepared_table("class")
    logits = torch.nn.functional.one_hot(prepared.val.y, 2).float()
    assert prepared.pipeline.answers(logits) == y["y"].iloc[prepared.val.rows.numpy()].tolist()


def test_preprocessing_is_fitted_on_the_training_rows_alone():
    table, y, prepared = prepared_table()
    held_out = np.concatenate([prepared.val.rows, prepared.test.rows])
    changed = table.copy()
    changed.loc[held_out, "age"] = 1e6
    changed.loc[held_out, "city"] = "Mars"
    again = prepare_raw(Raw(changed, y, "here"), DataSpec())
    assert torch.equal(again.train.x, prepared.train.x)
    assert again.encoder.state() == prepared.encoder.state()
    for name, value in prepared.preprocess.state().items():
        assert torch.equal(again.preprocess.state()[name], value)


def test_numbers_have_mean_0_and_std_1_in_train_and_categories_pass_through():
    _, _, prepared = prepared_table()
    assert prepared.encoder.numeric == ("age", "smokes", "day", "income")
    numeric, rest = prepared.train.x[:, :4], prepared.train.x[:, 4:]
    unclipped = [0, 1, 2]
    assert torch.allclose(numeric[:, unclipped].mean(0), torch.zeros(3), atol=1e-5)
    assert torch.allclose(numeric[:, unclipped].std(0, correction=0), torch.ones(3), atol=1e-5)
    waves = [i for i, (_, what) in enumerate(prepared.encoder.encoded()[4:]) if what[0] in ("sine", "cosine")]
    assert len(waves) == 6  # of month, day and weekday; all in one year, and at midnight
    assert rest[:, waves].abs().max() <= 1
    assert set(np.delete(rest.numpy(), waves, axis=1).flatten().tolist()) == {0.0, 1.0}


def test_an_all_numeric_table_is_encoded_as_its_raw_columns_in_order():
    x = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    x[3, 1] = np.nan
    prepared = prepare_raw(from_arrays(x, np.arange(50) % 2, "here"), DataSpec())
    encoded = prepared.encoder.encode(x)
    assert encoded.dtype == torch.float32
    assert torch.equal(encoded[:, :3].nan_to_num(7), torch.from_numpy(x).nan_to_num(7))
    assert encoded[:, 3:].flatten().tolist() == [float(i == 3) for i in range(50)]  # where a number is missing
    median = np.nanquantile(x[prepared.train.rows.numpy(), 1], 0.5, method="lower")
    assert prepared.preprocess.fill[1] == median
    assert torch.isfinite(prepared.preprocess(encoded)).all()


@pytest.mark.parametrize("constant", [0.0, 5.0, 1e6, -1e-6, np.nan])
def test_a_column_that_is_constant_in_train_never_speaks(constant):
    x = np.random.default_rng(0).normal(size=(60, 2))
    x[:, 1] = constant
    prepared = prepare_raw(from_arrays(x, np.arange(60) % 2, "here"), DataSpec())
    later = np.array([[0.0, 1e9], [0.0, -3.0], [0.0, np.nan]])
    assert torch.equal(prepared.pipeline.inputs(later)[:, 1], torch.zeros(3))


def test_no_standardised_value_leaves_the_clip():
    x = np.random.default_rng(0).normal(size=(60, 1))
    prepared = prepare_raw(from_arrays(x, np.arange(60) % 2, "here"), DataSpec())
    assert prepared.pipeline.inputs(np.array([[1e9], [-1e9]])).flatten().tolist() == [CLIP, -CLIP]


ENCODERS = {
    "onehot": TableEncoder(("n", "c"), ("n",), (), {"c": ("a", "b")}, "onehot"),
    "onehot, missing seen": TableEncoder(("n", "c"), ("n",), (), {"c": ("a", "b", None)}, "onehot"),
    "embed": TableEncoder(("n", "c"), ("n",), (), {"c": ("a", "b")}, "embed"),
    "embed, missing seen": TableEncoder(("n", "c"), ("n",), (), {"c": ("a", "b", None)}, "embed"),
}


@pytest.mark.parametrize(
    ("kind", "value", "coded"),
    [
        ("onehot", "b", [0, 1]),
        ("onehot", "never seen", [0, 0]),
        ("onehot", None, [0, 0]),
        ("onehot, missing seen", None, [0, 0, 1]),
        ("onehot, missing seen", "never seen", [0, 0, 0]),
        ("embed", "a", [1]),
        ("embed", "never seen", [0]),
        ("embed", None, [0]),
        ("embed, missing seen", None, [3]),
    ],
)
def test_unseen_and_missing_categories(kind, value, coded):
    assert ENCODERS[kind].encode([{"n": 2.5, "c": value}]).tolist() == [[2.5, *coded]]
    assert ENCODERS[kind].encode(pd.DataFrame({"c": [value], "n": [2.5]})).tolist() == [[2.5, *coded]]
    assert ENCODERS[kind].encode(np.array([[2.5, value]], dtype=object)).tolist() == [[2.5, *coded]]


def test_the_number_of_codes_is_that_of_the_embedding():
    _, _, prepared = prepared_table(categories="embed")
    assert prepared.embeddings == [4, 4]  # three cities; two jobs and missing; 0 = unseen for each
    assert prepared.input_shape == (4 + 1 + 6 + 2,)  # numbers; age is missing; month, day and weekday; codes
    codes = prepared.train.x[:, -2:]
    assert codes.min() >= 1
    assert codes.amax(0).tolist() == [3, 3]


def test_only_the_commonest_categories_have_a_column():
    rng = np.random.default_rng(0)
    c = np.concatenate([["often"] * 50, ["sometimes"] * 30, [f"once{i}" for i in range(20)]])
    table = pd.DataFrame({"c": rng.permutation(c), "n": rng.normal(size=100)})
    raw = Raw(table, pd.DataFrame({"y": np.arange(100) % 2}), "here")
    prepared = prepare_raw(raw, DataSpec(max_categories=2))
    assert prepared.encoder.categories == {"c": ("often", "sometimes")}
    assert any("'c'" in note and "20 values" in note for note in prepared.card["notes"])


def test_a_numeric_column_can_be_a_category_and_reads_the_same_as_float():
    x = pd.DataFrame({"zip": np.arange(60) % 3 + 100, "n": np.arange(60.0)})
    raw = Raw(x, pd.DataFrame({"y": np.arange(60) % 2}), "here")
    prepared = prepare_raw(raw, DataSpec(categorical=["zip"], drop=["n"]))
    assert prepared.encoder.categories == {"zip": ("100", "101", "102")}
    assert torch.equal(prepared.encoder.encode(x), prepared.encoder.encode(x.astype({"zip": float})))


def test_dates_read_the_same_as_text():
    table, _, prepared = prepared_table()
    rows = table.head(5).assign(day=table["day"].dt.strftime("%Y-%m-%d"))
    loaded = Pipeline.from_state(prepared.state())
    assert torch.equal(loaded.inputs(rows), prepared.pipeline.inputs(table.head(5)))
    assert prepared.encoder.encode(table)[0, 2] == (table["day"][0] - pd.Timestamp(0)).days


@pytest.mark.parametrize(
    ("table", "says"),
    [
        (pd.DataFrame({"n": [1.0]}), r"lacks the column 'c'"),
        (pd.DataFrame({"nn": [1.0], "c": ["a"]}), r"lacks the column 'n'.*did you mean"),
        (pd.DataFrame({"n": [1.0], "c": ["a"], "k": [1]}), r"unknown column 'k'"),
        (pd.DataFrame([[1.0, "a", 2.0]], columns=["n", "c", "n"]), r"column 'n' 2 times"),
        ([{"n": "tall", "c": "a"}], r"'n' must hold numbers, got 'tall' in row 0"),
        ([{"n": np.inf, "c": "a"}], r"'n' holds 1 infinite"),
        (np.zeros((2, 5)), r"shape \(rows, 2\).*got \(2, 5\)"),
    ],
)
def test_a_table_that_does_not_fit_is_refused_by_name(table, says):
    with pytest.raises(DataError, match=says):
        ENCODERS["onehot"].encode(table)


def test_the_target_and_dropped_columns_may_be_there_at_inference():
    table, y, prepared = prepared_table(drop=["income"])
    with_all = pd.concat([table, y], axis=1)
    encoded = prepared.encoder.encode(table.drop(columns="income"))
    assert torch.equal(prepared.encoder.encode(with_all).nan_to_num(-1), encoded.nan_to_num(-1))


def test_images_have_one_mean_and_std_for_each_channel_and_any_layout_encodes_the_same():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (60, 8, 6, 3), dtype=np.uint8)  # channels last
    prepared = prepare_raw(from_arrays(images, np.arange(60) % 2, "here"), DataSpec())
    assert prepared.input_shape == (3, 8, 6)
    assert torch.allclose(prepared.train.x.mean((0, 2, 3)), torch.zeros(3), atol=1e-5)
    assert torch.allclose(prepared.train.x.std((0, 2, 3), correction=0), torch.ones(3), atol=1e-5)
    first = np.moveaxis(images, -1, 1)
    assert torch.equal(prepared.encoder.encode(images), prepared.encoder.encode(first))
    assert torch.equal(prepared.encoder.encode(first.reshape(60, -1)), prepared.encoder.encode(first))
    assert torch.equal(Pipeline.from_state(prepared.state()).inputs(images)[prepared.val.rows], prepared.val.x)
    with pytest.raises(DataError, match=r"shape \(rows, 3, 8, 6\)"):
        prepared.encoder.encode(images[:, :4])


def test_the_card_is_plain_and_says_what_there_is():
    import json

    table, _, prepared = prepared_table()
    card = json.loads(json.dumps(prepared.card))
    assert card == prepared.card
    assert card["splits"] == {"train": 180, "val": 60, "test": 60}
    assert card["missing_by_column"] == {"age": int(table["age"].isna().sum()), "job": int(table["job"].isna().sum())}
    assert sum(c["rows"] for c in card["classes"]) == card["rows"] == 300
    shown = dict(prepared_lines(prepared))
    assert "age" in shown["missing"]
    assert "train 180" in shown["split"]


def prepared_lines(prepared):
    from autogrow.data import lines

    return lines(prepared.card)


def test_the_fingerprint_changes_with_a_value_a_target_and_a_name():
    table, y, prepared = prepared_table()
    one_value, one_target = table.copy(), y.copy()
    one_value.loc[5, "income"] += 1
    one_target.loc[5, "y"] = "no" if y.loc[5, "y"] == "yes" else "yes"
    others = [(one_value, y), (table, one_target), (table.rename(columns={"age": "years"}), y)]
    prints = {prepare_raw(Raw(a, b, "here"), DataSpec()).card["fingerprint"] for a, b in others}
    assert len(prints | {prepared.card["fingerprint"]}) == 4


@pytest.mark.parametrize(
    ("y", "task", "labels"),
    [
        (["a", "b"], "classification", ["a", "b"]),
        ([True, False], "classification", [False, True]),
        ([1.0, 2.0], "classification", [1, 2]),
        ([3, 1], "classification", [1, 3]),
        ([0.5, 1.5], "regression", []),
        (list(range(25)), "regression", []),
    ],
)
def test_the_task_is_read_off_the_target(y, task, labels):
    n = 100
    raw = from_arrays(np.random.default_rng(0).normal(size=(n, 2)), np.resize(np.array(y), n), "here")
    prepared = prepare_raw(raw, DataSpec())
    assert (prepared.task, prepared.labels) == (task, labels)
    assert [type(v) for v in prepared.labels] == [type(v) for v in labels]
    assert prepared.outputs == (len(labels) or 1)
    assert prepared.train.y.dtype == (torch.int64 if labels else torch.float32)
    assert prepared.train.y.shape == ((60,) if labels else (60, 1))


def test_prepare_touches_no_global_random_state():
    torch.manual_seed(0)
    np.random.seed(0)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    prepare(DataSpec("spirals", "generator", rows=300))
    assert torch.equal(before[0], torch.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])


def test_iso_dates_in_a_csv_are_dates(tmp_path):
    days = pd.date_range("2001-01-01", periods=60).strftime("%Y-%m-%d")
    table = pd.DataFrame({"day": days, "code": [f"{i % 9}-a" for i in range(60)], "y": np.arange(60) * 0.5})
    table.loc[3, "day"] = None
    table.to_csv(tmp_path / "t.csv", index=False)
    prepared = prepare(DataSpec(source="csv", path=str(tmp_path / "t.csv"), target="y"))
    assert "day" in prepared.encoder.numeric
    assert "code" in prepared.encoder.categories
    encoded = prepared.encoder.encode([{"day": "2001-01-02", "code": "1-a"}])
    assert encoded[0, 0] == (pd.Timestamp("2001-01-02") - pd.Timestamp("1970-01-01")).days
