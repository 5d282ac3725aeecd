"""`autogrow predict` and `autogrow evaluate`: a run's net and a table, from the command line."""

import json
import os
import resource
import shutil

import numpy as np
import pandas as pd
import pytest
from command_line import call

import autogrow

ROWS = 240


def table_of(seed=0):
    rng = np.random.default_rng(seed)
    x, colour = rng.normal(size=ROWS), rng.choice(["red", "green", "blue"], ROWS)
    label = np.where(x + (colour == "red") > 0.3, "high", "low")
    price = 3 * x + (colour == "red") + 100
    key = [f"{i:05d}" for i in rng.permutation(ROWS)]
    return pd.DataFrame({"key": key, "x": x, "colour": colour, "x2": x**2, "label": label, "price": price})


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a table, a run that tells its label and one that tells its price."""
    folder = tmp_path_factory.mktemp("made")
    table_of().to_csv(folder / "table.csv", index=False)
    for run, target, drop in (("classes", "label", "[key,price]"), ("values", "price", "[key,label]")):
        given = [f"data.path={folder}/table.csv", f"data.target={target}", f"data.drop={drop}"]
        assert call("fit", "data=csv", *given, f"hydra.run.dir={folder}/{run}", "trainer.max_epochs=40") == 0
    return folder


def predicted(made, capsys, *arguments, run="classes", table="table.csv"):
    capsys.readouterr()
    code = call("predict", str(made / run), str(made / table), *arguments)
    said = capsys.readouterr()
    return code, said.out, said.err


def test_answers_stand_in_the_tables_order_beside_its_ids(made, alone, capsys):
    code, _, _ = predicted(made, capsys, "out=p.csv", "chunk_rows=50")
    table, answers = table_of(), pd.read_csv(alone / "p.csv", dtype={"key": str})
    net = autogrow.load(made / "classes")
    assert code == 0
    assert list(answers) == ["key", "prediction", "p_high", "p_low"]
    assert answers["key"].tolist() == table["key"].tolist()  # with its zeros in front
    assert answers["prediction"].tolist() == net.predict(table.drop(columns=["price"])).tolist()
    assert np.allclose(answers[["p_high", "p_low"]], net.predict_proba(table.drop(columns=["price"])), atol=1e-12)


def test_blanks_around_names_of_columns_are_no_part_of_them(made, alone, capsys):
    written = table_of().rename(columns={"label": "label ", "colour": " colour ", "key": "key "})
    written.to_csv(alone / "blanks.csv", index=False)
    assert call("evaluate", str(made / "classes"), str(alone / "blanks.csv")) == 0
    predicted(made, capsys, "out=plain.csv")
    predicted(made, capsys, "out=spaced.csv", table=alone / "blanks.csv")
    assert (alone / "plain.csv").read_text() == (alone / "spaced.csv").read_text()


@pytest.mark.parametrize("rows", [7, 239, 10_000])
def test_the_size_of_the_chunks_changes_nothing(made, alone, capsys, rows):
    predicted(made, capsys, "out=a.parquet", f"chunk_rows={rows}")
    predicted(made, capsys, "out=b.parquet", "chunk_rows=64")
    one, other = pd.read_parquet("a.parquet"), pd.read_parquet("b.parquet")
    pd.testing.assert_frame_equal(one, other, rtol=1e-12)


def test_values_and_parquet_in(made, alone, capsys):
    table_of().to_parquet(made / "table.parquet")
    code, out, _ = predicted(made, capsys, run="values", table="table.parquet")
    lines = out.splitlines()
    assert (code, lines[0], len(lines)) == (0, "key,prediction", ROWS + 1)
    assert abs(float(lines[1].split(",")[1]) - table_of()["price"][0]) < 2


def test_targets_and_what_is_not_read(made, alone, capsys):
    table = table_of().drop(columns=["label", "price"]).assign(note="n", other=1)
    table.to_csv(made / "more.csv", index=False)
    code, out, err = predicted(made, capsys, table="more.csv")
    assert code == 0
    assert "not read, as the net does not know them: note, other" in err
    assert out.splitlines()[0] == "key,prediction,p_high,p_low"
    assert predicted(made, capsys, "keep=[note]", table="more.csv")[1].startswith("note,prediction")


def test_a_reader_that_has_seen_enough(made, alone, capsys, monkeypatch):
    read, write = os.pipe()
    os.close(read)
    with monkeypatch.context() as patched, open(write, "w") as closed:
        patched.setattr("sys.stdout", closed)
        assert call("predict", str(made / "classes"), str(made / "table.csv")) == 0
    assert capsys.readouterr().err == ""


def test_an_id_that_is_called_as_an_answer_is_not_passed_on(made, alone, capsys):
    table_of().rename(columns={"key": "prediction"}).to_csv(made / "named.csv", index=False)
    code, out, _ = predicted(made, capsys, table="named.csv")
    assert (code, out.splitlines()[0]) == (0, "prediction,p_high,p_low")
    code, _, err = predicted(made, capsys, "keep=[prediction]", table="named.csv")
    assert code == 2
    assert "the answers have a column of that name" in err


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.drop(columns="x"), "lacks the column 'x', which the net of"),
        (lambda t: t.rename(columns={"x": "y", "colour": "c", "x2": "y2"}), "is another table than the net of"),
        (lambda t: t[:0], "has no rows"),
        (
            lambda t: t.astype({"x": object}).assign(x=["1.5"] * 60 + ["far"] * (ROWS - 60)),
            "must hold numbers, got 'far'",
        ),
    ],
)
def test_a_table_that_is_not_for_the_net_is_refused_in_a_line(made, alone, capsys, change, said):
    change(table_of()).to_csv(made / "other.csv", index=False)
    code, _, err = predicted(made, capsys, "out=p.csv", "chunk_rows=50", table="other.csv")
    assert code == 2
    assert said in err
    assert len(err.splitlines()) == 1
    assert not (alone / "p.csv").exists()  # nothing half-written


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["{run}"], "predict takes a run and a table"),
        (["{run}", "{table}", "more"], "predict takes one run and one table"),
        (["{run}", "{table}x"], "does not exist; did you mean 'table.csv'"),
        (["{folder}", "{table}"], "not the folder of a finished run"),
        (["{run}", "{table}", "out=p.txt"], "must end in .csv or .parquet"),
        (["{run}", "{table}", "out=gone/p.csv"], "there is no folder gone"),
        (["{run}", "{table}", "keep=[ky]"], "has no column 'ky'; did you mean 'key'?"),
        (["{run}", "{table}", "chunk_rows=0"], "chunk_rows must be at least 1"),
        (["{run}", "{table}", "chunks=5"], "unknown key 'chunks'"),
    ],
)
def test_what_was_typed_wrong(made, alone, capsys, arguments, said):
    places = {"run": made / "classes", "table": made / "table.csv", "folder": made}
    assert call("predict", *(a.format(**places) for a in arguments)) == 2
    assert said in capsys.readouterr().err


def evaluated(made, capsys, table, run="classes"):
    table.to_csv(made / "labelled.csv", index=False)
    code = call("evaluate", str(made / run), str(made / "labelled.csv"), "out=e.json", "chunk_rows=50")
    return code, capsys.readouterr()


def test_every_metric_beside_the_baseline(made, alone, capsys):
    table = table_of(seed=1)
    code, said = evaluated(made, capsys, table)
    found = json.loads((alone / "e.json").read_text())
    wrong = autogrow.load(made / "classes").predict(table.drop(columns="price")) != table["label"]
    assert (code, found["rows"], found["left_out"], found["drift"]) == (0, ROWS, 0, {})
    assert found["error"] == pytest.approx(wrong.mean())
    assert found["baseline"]["error"] > found["error"]
    assert {"log_loss", "auroc", "brier", "balanced_accuracy", "confusion"} <= set(found)
    assert "ROC AUC" in said.out
    assert said.err == ""


def test_values_are_evaluated_in_their_units(made, alone, capsys):
    assert evaluated(made, capsys, table_of(seed=1), run="values")[0] == 0
    found = json.loads((alone / "e.json").read_text())
    assert {"rmse", "mae", "r2"} <= set(found)
    assert found["rmse"] < found["baseline"]["rmse"]


def test_drift_and_rows_without_a_target_are_said(made, alone, capsys):
    table = table_of(seed=1)
    table.loc[:59, "colour"] = "ultraviolet"
    table.loc[:11, "x"] = 1e6
    table.loc[200:, "label"] = None
    _, said = evaluated(made, capsys, table)
    found = json.loads((alone / "e.json").read_text())
    assert (found["left_out"], found["rows"]) == (40, 200)
    assert found["drift"] == {"colour": 0.3, "x": 0.06}
    assert "40 rows have no target and are left out" in said.err
    assert "differs from training: values far out or never seen of colour in 30.0 % of the rows, x in 6.0 %" in said.err


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.drop(columns="label"), "has no column 'label'"),
        (lambda t: t.assign(label=None), "no row has a target"),
        (lambda t: t.assign(label=["high"] * 70 + ["middle"] * (ROWS - 70)), "the class 'middle' in row 20, which"),
    ],
)
def test_rows_that_cannot_be_evaluated(made, alone, capsys, change, said):
    code, heard = evaluated(made, capsys, change(table_of()))
    assert code == 2
    assert said in heard.err
    assert not (alone / "e.json").exists()


def test_explain_names_the_column_that_counts(made):
    net = autogrow.load(made / "classes")
    found = net.explain(table_of())
    assert found["column"].tolist()[0] == "x"
    assert sorted(found["column"]) == ["colour", "x", "x2"]
    assert (found["importance"].diff().dropna() <= 0).all()


def test_explain_looks_at_no_row_that_was_trained_on(made):
    from autogrow.data.truth import mark_truth, read_truth
    from autogrow.train.fit.net.explain import _to_judge_by
    from autogrow.train.record.folder import read_split

    net, table = autogrow.load(made / "classes"), table_of()
    y = read_truth(table, net.pipeline)
    rows = _to_judge_by(net, table, y)
    known = read_split(net.path)
    parts = known.parts_of(mark_truth(table, y, net.pipeline, known.way))
    assert len(rows) == ROWS * 0.2
    assert set(parts[rows]) == {1}


def as_written_in_german(table, path):
    """The table with semicolons, decimal commas, dates, words for booleans, and prices with thousands signs."""
    text = table.assign(
        x=table["x"].map(lambda v: f"{v:.6f}".replace(".", ",")),
        day=pd.date_range("2024-01-01", periods=len(table)).strftime("%d.%m.%Y"),
        new=np.where(table["x2"] > 0.5, "ja", "nein"),
        price=table["price"].map(lambda v: f"{1000 * v:,.2f} €".translate(str.maketrans(",.", ".,"))),
    ).drop(columns="x2")
    text.to_csv(path, sep=";", index=False, encoding="latin-1" if "latin" in path.name else "utf-8")


def test_a_table_is_read_as_the_one_that_was_learned_from(made, alone, capsys):
    as_written_in_german(table_of(), alone / "tabelle.csv.gz")
    given = ["data.path=tabelle.csv.gz", "data.target=price", "data.drop=[key,label]"]
    assert call("fit", "data=csv", *given, "data.batch_size=16", "hydra.run.dir=lauf") == 0
    capsys.readouterr()
    as_written_in_german(table_of(seed=1), alone / "neu.csv")
    assert call("predict", "lauf", "neu.csv", "out=p.parquet", "chunk_rows=100") == 0
    assert call("evaluate", "lauf", "neu.csv", "out=e.json", "chunk_rows=100") == 0
    told, truth = pd.read_parquet("p.parquet"), table_of(seed=1)
    assert told["key"].tolist() == truth["key"].tolist()
    assert np.corrcoef(told["prediction"], truth["price"])[0, 1] > 0.9
    found = json.loads((alone / "e.json").read_text())
    assert (found["rows"], found["left_out"], found["drift"]) == (ROWS, 0, {})
    assert found["rmse"] == pytest.approx(np.sqrt(np.mean((told["prediction"] - 1000 * truth["price"]) ** 2)), rel=1e-4)


def with_signs(path, *, sep, decimal, seed=1):
    table_of(seed).drop(columns="label").to_csv(path, sep=sep, decimal=decimal, index=False)
    return str(path)


@pytest.mark.parametrize(
    ("trained", "typed"),
    [(".", []), (",", []), (",", ["data.separator=;", "data.decimal=,"])],
    ids=["point", "comma", "typed"],
)
def test_a_table_with_another_decimal_sign_is_read_by_its_own(trained, typed, alone, capsys):
    ways = {".": {"sep": ",", "decimal": "."}, ",": {"sep": ";", "decimal": ","}}
    other = "." if trained == "," else ","
    with_signs("train.csv", **ways[trained], seed=0)
    given = ["data.path=train.csv", "data.target=price", "data.drop=[key]", "trainer.max_epochs=5"]
    assert call("fit", "data=csv", *given, *typed, "hydra.run.dir=run") == 0
    for name, sign in (("same", trained), ("other", other)):
        with_signs(f"{name}.csv", **ways[sign])
        capsys.readouterr()
        assert call("predict", "run", f"{name}.csv", f"out={name}.parquet", "chunk_rows=100") == 0
        said = f"other.csv is read with a decimal {'point' if other == '.' else 'comma'}"
        assert (said in capsys.readouterr().err) == (name == "other")
        assert call("evaluate", "run", f"{name}.csv", f"out={name}.json", "chunk_rows=100") == 0
    pd.testing.assert_frame_equal(pd.read_parquet("same.parquet"), pd.read_parquet("other.parquet"))
    same, other = (json.loads((alone / f"{name}.json").read_text()) for name in ("same", "other"))
    assert {**same, "table": ""} == {**other, "table": ""}


@pytest.mark.parametrize(
    "numbers",
    [["1,234", "2,345"], ["1,5", "1.234,5", "1,234.5"], ["1,5 €", "2,5 €"]],
    ids=["thousands or decimals", "two signs", "prices"],
)
def test_what_may_be_read_in_two_ways_is_refused_as_before(numbers, made, alone, capsys):
    rows = "".join(f"{number};red;1\n" for number in numbers)
    (alone / "t.csv").write_text(f"x;colour;x2\n{rows}")
    assert call("predict", str(made / "values"), "t.csv") == 2
    assert "'x' must hold numbers, got" in capsys.readouterr().err


def test_rows_count_in_an_evaluation_as_they_did_in_the_run(alone, capsys):
    rng = np.random.default_rng(0)
    table = table_of().drop(columns=["key", "price"]).assign(w=rng.integers(0, 4, ROWS) / 2)
    table.to_csv("t.csv", index=False)
    given = ["data.path=t.csv", "data.target=label", "data.weight=w", "data.class_weight={low:3}"]
    assert call("fit", "data=csv", *given, "hydra.run.dir=run", "trainer.max_epochs=5") == 0
    table.to_csv("other.csv", index=False, sep=";", decimal=",")
    weights = table["w"] * np.where(table["label"] == "low", 3, 1)
    wrong = autogrow.load("run").predict(table) != table["label"]
    for run, name in (("run", "t.csv"), ("run/checkpoints/best.ckpt", "other.csv")):
        capsys.readouterr()
        assert call("evaluate", run, name, "out=e.json", "chunk_rows=100") == 0
        assert "rows count by the column 'w' and by their class (low 3)" in capsys.readouterr().out
        found = json.loads((alone / "e.json").read_text())
        assert found["error"] == pytest.approx(np.average(wrong, weights=weights))
        assert found["baseline"]["error"] == pytest.approx(np.average(table["label"] == "high", weights=weights))
    table.drop(columns="w").to_csv("t.csv", index=False)
    assert call("evaluate", "run", "t.csv", "out=e.json") == 0
    assert "counted by the column 'w', which is not in the table: here they do not" in capsys.readouterr().err
    assert json.loads((alone / "e.json").read_text())["weights"] == "rows count by their class (low 3)"
    table.assign(w=-1).to_csv("t.csv", index=False)
    assert call("evaluate", "run", "t.csv") == 2
    assert "'w' must hold numbers of 0 or more" in capsys.readouterr().err


BOMB = "a: &a [x,x,x,x,x,x,x,x]\n" + "".join(
    f"{c}: &{c} [{','.join([f'*{p}'] * 8)}]\n" for p, c in zip("abcdefgh", "bcdefghi", strict=True)
)
STRANGE_CONFIGS = {
    "aliases": (BOMB, "has aliases, which no config of ours does"),
    "code": ("data: !!python/object/apply:os.system ['touch here']", "is not YAML"),
    "no mapping": ("data: [1]", "config.yaml is not the config of a run: data must be a mapping"),
    "two documents": ("data: {}\n---\ndata: {}", "is not YAML"),
    "a separator that is looked up": ("data: {separator: '${oc.env:HOME}'}", "separator must be one character"),
    "a list for a separator": ("data: {separator: [1]}", "data.separator must be"),
    "no encoding of text": ("data: {encoding: rot13}", "encoding 'rot13' is unknown"),
    "another weight": ("data: {class_weight: {low: -1}}", "data.class_weight.low must be at least 0"),
}


@pytest.mark.parametrize("case", STRANGE_CONFIGS)
@pytest.mark.parametrize("command", ["predict", "evaluate"])
def test_a_strangers_config_is_refused_in_a_line_and_nothing_in_it_is_looked_up(command, case, made, alone, capsys):
    text, said = STRANGE_CONFIGS[case]
    shutil.copytree(made / "classes", alone / "run")
    (alone / "run" / "config.yaml").write_text(text)
    capsys.readouterr()
    assert call(command, "run", str(made / "table.csv")) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not (alone / "here").exists()


@pytest.mark.parametrize("typed", ["encoding=nope", "encoding=rot13", "separator=ab"])
def test_what_is_typed_of_the_file_is_checked_as_fit_does(typed, made, alone, capsys):
    assert predicted(made, capsys, typed)[0] == 2
    fit = call("fit", "data=csv", f"data.path={made}/table.csv", "data.target=label", f"data.{typed}")
    assert fit == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_codes_are_the_text_that_they_were_whatever_else_a_chunk_holds(made, alone, capsys):
    codes = np.array(["01", "02", "1", "A3"])[np.arange(ROWS) // 60]  # the first chunks would pass for numbers
    table = pd.DataFrame({"code": codes, "x": table_of()["x"], "label": np.isin(codes, ["01", "A3"])})
    table.to_csv("codes.csv", index=False)
    given = ["data.path=codes.csv", "data.target=label", "data.batch_size=16", "trainer.max_epochs=40"]
    assert call("fit", "data=csv", *given, "hydra.run.dir=run") == 0
    assert call("predict", "run", "codes.csv", "out=p.csv", "chunk_rows=60") == 0
    assert call("evaluate", "run", "codes.csv", "out=e.json", "chunk_rows=60") == 0
    assert (pd.read_csv("p.csv")["prediction"] == table["label"]).all()
    assert json.loads((alone / "e.json").read_text())["drift"] == {}


@pytest.fixture
def full_disk():
    """No file may be larger than a few bytes, which ends writing as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(
    ("command", "out"), [("predict", "p.csv"), ("predict", "p.parquet"), ("evaluate", "e.json")], ids=lambda w: w
)
def test_a_full_disk_is_a_line_that_names_the_file_and_leaves_nothing(command, out, made, alone, full_disk, capsys):
    full_disk()
    code = call(command, str(made / "classes"), str(made / "table.csv"), f"out={out}")
    error = capsys.readouterr().err
    assert code == 1
    assert f"autogrow: {out} cannot be written: File too large" in error
    assert "Error executing" not in error
    assert not list(alone.iterdir())


def test_a_disk_that_is_full_from_the_start_leaves_no_folder(made, alone, full_disk, capsys):
    full_disk()
    assert call("fit", "data=csv", f"data.path={made}/table.csv", "data.target=label", "hydra.run.dir=run") == 2
    assert "run cannot be written: File too large" in capsys.readouterr().err
    assert not list(alone.iterdir())


def test_a_name_that_is_no_text_is_said_before_a_run_and_shown_in_a_page(made, alone, capfd):
    name = os.fsdecode(b"na\xffme")
    shutil.copy(made / "table.csv", f"{name}.csv")
    assert call("fit", "data=csv", f"data.path={name}.csv", "data.target=label", "hydra.run.dir=run") == 2
    assert "'data.path=na\ufffdme.csv' is not UTF-8 text" in capfd.readouterr().err
    shutil.copytree(made / "classes", name)
    assert call("report", name) == 0
    assert "na\ufffdme" in (alone / name / "report.html").read_text(encoding="utf-8")
    assert call("predict", name, f"{name}.csv", "out=p.csv") == 0
