"""`trainer.accelerator=auto`: a GPU where a step is large enough, else the CPU, and why, in words."""

import pytest
import torch

from autogrow.data import prepare
from autogrow.train.fit.accelerator import PAYS_FROM, choose, keep_there
from autogrow.train.fit.run import fit
from autogrow.train.fit.setup import module_of, stream_of
from autogrow.train.fit.spec import NetSpec, TrainerSpec
from autogrow.train.fit.view import Silent


@pytest.mark.parametrize(
    ("widths", "there", "accelerator", "said"),
    [
        ([8], True, "cpu", "accelerator cpu: a step takes"),
        ([1200, 300], True, "gpu", "accelerator gpu: a step takes"),
        ([8], False, "cpu", "accelerator cpu: there is no GPU here"),
        ([1200, 300], False, "cpu", "accelerator cpu: there is no GPU here"),
    ],
)
def test_auto_takes_a_gpu_where_a_step_is_large(make_spec, monkeypatch, widths, there, accelerator, said):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    spec = make_spec(net=NetSpec(widths=widths), trainer=TrainerSpec(accelerator="auto"))
    prepared = prepare(spec.data)
    module, stream = module_of(spec, prepared), stream_of(spec, prepared)
    assert (module.train_flops_per_step(stream.batch_size) >= PAYS_FROM) == (widths != [8])
    chosen = choose(spec, module, stream)
    assert chosen.spec.trainer.accelerator == accelerator
    assert chosen.reason.startswith(said)
    asked = make_spec(trainer=TrainerSpec(accelerator="cpu"))
    assert choose(asked, module, stream) == choose(asked, module, stream)
    assert choose(asked, module, stream).spec is asked


def test_a_run_says_what_was_chosen_and_is_the_same_run(make_spec, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    titles = []
    monkeypatch.setattr(Silent, "start", lambda _, title, card: titles.append(title))
    rows = [
        fit(make_spec(trainer=TrainerSpec(max_epochs=4, check_every=20, check_rows=300, accelerator=name))).rows
        for name in ("auto", "cpu")
    ]
    assert "accelerator cpu: there is no GPU here" in titles[0]
    assert "accelerator" not in titles[1]
    assert [row.comparable() for row in rows[0]] == [row.comparable() for row in rows[1]]


def test_rows_stay_on_the_host_where_they_do_not_fit(make_spec, monkeypatch):
    spec = make_spec()
    stream = stream_of(spec, prepare(spec.data))
    moved = []
    monkeypatch.setattr(stream, "move_to", moved.append)
    for free, times in ((2 * stream.bytes, 1), (2 * stream.bytes - 1, 0)):
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _, free=free: (free, free))
        keep_there(stream, torch.device("cuda"))
        assert len(moved) == times
        moved.clear()
