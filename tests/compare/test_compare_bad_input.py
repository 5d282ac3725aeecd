"""What cannot be right is said in one line before anything is run, and leaves nothing behind."""

import json

import numpy as np
import pytest
from command_line import call

pytestmark = pytest.mark.usefixtures("alone")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["seeds=0"], "seeds must name at least one seed"),
        (["seeds=-3"], "seeds must name at least one seed"),
        (["seeds=[]"], "seeds must name at least one seed"),
        (["seeds=[0,-1]"], "seeds must be whole numbers of at least 0, got -1"),
        (["seeds=[1,1]"], "seeds must differ"),
        (["seeds=many"], "seeds must be a whole number"),
        (["seeds=1.5"], "seeds must be a whole number"),
        (["arms=[grow,fixed_25]"], "arms has no 'fixed_25'; did you mean 'fixed_256'"),
        (["arms=[]"], "arms must name at least one arm"),
        (["arms=[grow,grow]"], "arms must differ"),
        (["arms=[scratch_flops,fixed_128]"], "add grow to arms"),
        (["arms=[fixed_128]", "net=conv"], "for other kinds of nets"),
        (["target=-1"], "target must be a validation loss above 0"),
        (["seed=3"], "compare takes no seed=3; give seeds=5"),
        (["resume=runs/x"], "compare takes no resume=runs/x"),
        (["-m", "growth=default,plateau"], "takes no -m"),
        (["growth=plateu"], "did you mean 'plateau'"),
        (["growth=never"], "growth=never does not grow"),
        (["seedz=3"], "unknown key 'seedz'; did you mean 'seed' or 'seeds'"),
        (["trainer.max_epoch=3"], "did you mean 'max_epochs'"),
        (["data=csv", "data.path=nowhere.csv", "data.target=y"], "nowhere.csv"),
        (["trainer.max_epochs=0.5"], "trainer.max_epochs=0.5 does not buy arm grow one epoch"),
        (["budget.train_flops=1e5"], "does not buy arm grow one epoch"),
        (["budget.train_flops=1e8", "arms=[grow,big_fixed]"], "does not buy arm big_fixed one epoch"),
        (["net=conv", "arms=[grow,scratch]"], "net=conv needs images"),
        (["net.widths=[0]"], "net.widths must hold whole numbers"),
        (["device=cc"], "device=cc is unknown; did you mean 'c'"),
        (["int8=true"], "give device=c or device=onnx too"),
        (["hydra.run.dir=other"], "other holds something else than a comparison"),
    ],
)
def test_one_line_and_nothing_left(arguments, message, tmp_path, capsys):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "note.txt").write_text("kept")
    assert call("compare", *arguments) == 2
    captured = capsys.readouterr()
    error = captured.err.strip()
    assert message in error
    assert error.startswith("autogrow: ")
    assert "\n" not in error
    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*")) == ["other", "other/note.txt"]


def test_a_device_that_cannot_be_measured_is_said_before_anything_is_run(tmp_path, monkeypatch, capsys):
    x = np.random.default_rng(0).integers(0, 255, (60, 1, 8, 8), dtype=np.uint8)
    np.savez(tmp_path / "images.npz", x=x, y=np.arange(60) % 2)
    images = ["data=npz", "data.path=images.npz", "net=conv", "arms=[grow]", "device=c"]
    assert call("compare", *images, "hydra.run.dir=out") == 2
    assert "device=c: to=c writes dense nets, and this one has convolutions" in capsys.readouterr().err
    monkeypatch.setenv("CC", "no-such-compiler")
    assert call("compare", "data=iris", "device=c", "hydra.run.dir=out") == 2
    assert "there is no no-such-compiler here" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_going_on_needs_the_same_overrides(tmp_path, capsys):
    (tmp_path / "there").mkdir()
    plan = {"version": 1, "arms": {}, "seeds": [0], "overrides": ["data=iris"]}
    (tmp_path / "there" / "plan.json").write_text(json.dumps(plan))
    assert call("compare", "data=digits", "hydra.run.dir=there") == 2
    assert "there holds a comparison of other overrides (data=iris)" in capsys.readouterr().err
    assert [p.name for p in (tmp_path / "there").iterdir()] == ["plan.json"]
