"""What is composed of known choices is what Hydra composes anew, to the flags of every node; and so are its errors."""

import pickle
import socket
from functools import partial

import pytest
from hydra import initialize_config_dir
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, ListConfig, OmegaConf

from autogrow.children import server
from autogrow.children.warm import LONGEST
from autogrow.composed_once import Composed, composing_once
from autogrow.config import CONF_DIR
from autogrow.registration import register

WORDS = [
    ["seed=1", "data=iris"],
    ["data=iris", "seed=1", "seed=2", "trainer.max_epochs=7", "optimizer.lr=1e-3"],
    ["data=iris", "net.widths=[4,4]", "growth=never", "stop=never"],
    ["growth=fixed", "+growth.when.factor=2", "++seed=3"],
    ["data.path='a b.csv'", "data=csv", "budget=[small]", "data.target='a,b'"],
    ["~budget.parameters", "budget=small"],
    ["~budget"],
    ["+logger.mine={_target_: a.b}", "budget={parameters: 5}"],
    ["optimizer={lr: 0.5}", "optimizer=sgd"],
    ["hydra.run.dir=runs/there", "hydra/launcher=basic", "hydra.mode=RUN", "data=digits"],
    ["hydra.job.name=mine", "hydra.job.env_copy=[HOME]", "hydra.job.config.override_dirname.exclude_keys=[seed]"],
    ["data.name=${hydra:job.name}", "seed=${oc.env:NO_SUCH,3}", "hydra.verbose=true"],
    ["experiment=accurate", "net=residual"],
    ["trainer.max_epochs=${seed}", "resume=null", "continue_from='${x}'"],
    [],
]
WRONG = [["no=key"], ["data=nothing"], ["seed=word"], ["data=iris", "+seed=1"], ["data@there=iris"], ["+data=iris"],
         ["seed=1,2"], ["~nothing"], ["trainer.max_epochs="], ["data=iris", "data=digits,iris"]]  # fmt: skip


@pytest.fixture(scope="module")
def loader():
    register()
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        yield GlobalHydra.instance().config_loader()


@pytest.fixture(autouse=True)
def known(monkeypatch):
    monkeypatch.setattr(Composed, "known", {})
    return Composed.known


@pytest.mark.parametrize("command", ["fit", "plan"])
@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_it_is_the_config_that_hydra_composes_anew(words, command, loader, known):
    anew = load(loader, words, command)
    with composing_once():
        first = load(loader, words, command)
        size = len(known)
        again = load(loader, words, command)
    assert len(known) == size  # nothing was composed for it
    same(first, anew)
    same(again, anew)


def test_values_of_one_do_not_come_to_the_next(loader, known):
    with composing_once():
        load(loader, ["data=iris", "seed=4", "net.widths=[7]", "hydra.run.dir=there"])
        assert len(known) == 1
        after = load(loader, ["data=iris", "optimizer.lr=0.5"])
        assert len(known) == 1
    same(after, load(loader, ["data=iris", "optimizer.lr=0.5"]))


def test_choices_and_modes_are_told_apart(loader, known):
    with composing_once():
        for words in (["data=iris"], ["data=digits"], ["data=iris", "growth=never"], ["growth=never", "data=iris"]):
            same(load(loader, words), load(loader, words))
        swept = load(loader, ["data=iris"], mode=RunMode.MULTIRUN)
    same(swept, load(loader, ["data=iris"], mode=RunMode.MULTIRUN))
    assert len(known) == 5


def test_what_one_process_has_composed_another_need_not(loader, known, monkeypatch):
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    words = ["data=iris", "growth=never", "seed=7"]
    anew = load(loader, words)
    with here, there:
        monkeypatch.setattr(Composed, "heard", [partial(server._pass_on, there)])
        with composing_once():
            load(loader, ["data=iris", "seed=1", "growth=never"])
        server._pass_on(there, ("too large",), bytes(10**7))  # is dropped
        key, config = pickle.loads(here.recv(LONGEST))
        with pytest.raises(BlockingIOError):
            here.recv(LONGEST, socket.MSG_DONTWAIT)
    known.clear()
    known[key] = config
    monkeypatch.setattr(ConfigLoaderImpl, "load_configuration", None)
    with composing_once():
        same(load(loader, words), anew)


@pytest.mark.parametrize("words", WRONG, ids=" ".join)
def test_what_is_wrong_is_said_as_ever(words, loader):
    said = []
    for _ in range(2):
        with pytest.raises(HydraException) as error:
            load(loader, words)
        said.append((type(error.value), str(error.value)))
        with composing_once(), pytest.raises(HydraException) as error:
            load(loader, words)
        said.append((type(error.value), str(error.value)))
    assert len(set(said)) == 1


def test_places_of_ones_own_are_looked_into_each_time(loader, known, tmp_path):
    mine = tmp_path / "extra" / "mine.yaml"
    mine.parent.mkdir()
    words = [f"hydra.searchpath=[file://{tmp_path}]", "+extra=mine"]
    with composing_once():
        for seed in (5, 6):
            mine.write_text(f"# @package _global_\nseed: {seed}\n")
            assert load(loader, words).seed == seed
    assert not known


def test_the_server_of_warm_processes_knows_where_this_is():
    assert Composed.__module__ == server.COMPOSED


def load(loader, words, command="fit", mode=RunMode.RUN):
    return loader.load_configuration(command, list(words), mode)


def same(ours, hydras):
    """Both are the same down to what OmegaConf keeps of every node; but for what has been looked up of them."""
    assert type(ours) is type(hydras)
    told = []
    for node in (ours, hydras):
        own = dict(vars(node._metadata))
        own.pop("resolver_cache", None)
        told.append({key: value for key, value in own.items() if key != "flags"} | {"flags": own["flags"] or {}})
    assert told[0] == told[1]
    inside = [node._content if isinstance(node, (DictConfig, ListConfig)) else node._value() for node in (ours, hydras)]
    if isinstance(ours, DictConfig) and isinstance(inside[1], dict):
        assert list(inside[0]) == list(inside[1])
        for key, value in inside[1].items():
            same(inside[0][key], value)
    elif isinstance(ours, ListConfig) and isinstance(inside[1], list):
        assert len(inside[0]) == len(inside[1])
        for one, other in zip(*inside, strict=True):
            same(one, other)
    else:
        assert inside[0] == inside[1]
    if ours._get_parent() is None:
        assert OmegaConf.to_yaml(ours) == OmegaConf.to_yaml(hydras)
