import json

import pytest

from autogrow.policy.history import Keep, Row, Stop, Widen


def rows_of(losses, *, flops=100, growths=()):
    """A ledger of one check per loss, `flops` each; after the checks in `growths` the net is widened."""
    return [
        Row(
            check=i,
            step=10 * (i + 1),
            passes=i + 0.5,
            phase="grow",
            lineage=0,
            train_loss=loss,
            val_loss=loss,
            train_error=0.1,
            val_error=0.1,
            score=loss,
            gap=0.0,
            lr=0.1,
            widths={"hidden.0": 16},
            parameters=50,
            flops_per_sample=100,
            train_flops=flops * (i + 1),
            eval_flops=0,
            action=Stop() if i == len(losses) - 1 else Widen({"hidden.0": 24}) if i in growths else Keep(),
            timing={"seconds": 0.5 * (i + 1)},
        )
        for i, loss in enumerate(losses)
    ]


@pytest.fixture
def make_run(tmp_path):
    """Writes a run folder as `fit` leaves it, as far as a comparison reads it."""

    def make(
        name,
        seed=0,
        *,
        error=0.1,
        loss=0.3,
        losses=(1.0, 0.5, 0.25),
        flops=100,
        growths=(),
        data="digits",
        split_seed=0,
        task="classification",
        typed=(),
        config=None,
        **further,
    ):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        metric = "error" if task == "classification" else "rmse"
        rows = rows_of(losses, flops=flops, growths=growths)
        result = {
            "task": task,
            "data": data,
            "seed": seed,
            "stop_reason": "patience",
            "epochs": 2.5,
            "widths": [24, 16],
            "depth": 2,
            "parameters": 50,
            "flops_per_sample": 100,
            "train_flops": rows[-1].train_flops,
            "eval_flops": 7,
            "seconds": 1.5,
            "growth_events": len(growths),
            "val": {"loss": loss, metric: error},
            "test": {"loss": loss, metric: error},
            "versions": {"autogrow": "0"},
            "command": " ".join(["autogrow fit", *typed, f"seed={seed}"]),
        }
        card = {
            "name": data,
            "fingerprint": f"{data} rows",
            "split": f"random, split seed {split_seed}",
            "splits": {"train": 600, "val": 200, "test": 2000},
        }
        (folder / "result.json").write_text(json.dumps({**result, **further}))
        (folder / "data_card.json").write_text(json.dumps(card))
        (folder / "ledger.jsonl").write_text("".join(json.dumps(row.to_plain()) + "\n" for row in rows))
        text = "\n".join(config or typed) + f"\ndata:\n  split_seed: {split_seed}\nseed: {seed}\n"
        (folder / "config.yaml").write_text(text)
        return folder

    return make


@pytest.fixture
def make_plan(tmp_path):
    """Writes the plan of a comparison."""

    def make(*arms, seeds=5, **further):
        known = {name: {"about": name, "label": name, "overrides": [], "matched": None} for name in arms}
        plan = {"version": 1, "title": "?", "command": "autogrow compare", "overrides": [], "arms": known}
        (tmp_path / "plan.json").write_text(json.dumps({**plan, "seeds": list(range(seeds)), **further}))
        return tmp_path

    return make
