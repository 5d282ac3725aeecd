"""The settings of a class that a config names: of the kinds that the class says, or one line."""

from dataclasses import dataclass

import pytest

from autogrow.class_settings import checked_settings
from autogrow.config import instantiate
from autogrow.errors import ConfigError
from autogrow.policy import Budget

HERE = __name__


@dataclass(frozen=True)
class Frozen:
    every: int = 10
    share: float = 0.5
    name: str = ""
    once: bool = False
    most: int | None = None
    at: tuple[int, ...] = ()  # no plain kind: its class looks at it itself
    inner: object = None


class Written:
    def __init__(self, every: int, share=0.5):
        self.every, self.share = every, share


def built(cls="Frozen", **settings):
    return instantiate({"_target_": f"{HERE}.{cls}", **settings})


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({"every": "five"}, int),
        ({"every": 2.5}, int),
        ({"every": True}, int),
        ({"every": None}, int),
        ({"share": "no"}, float),
        ({"share": False}, float),
        ({"name": 3}, str),
        ({"once": 1}, bool),
        ({"once": "yes"}, bool),
        ({"most": "all"}, int),
    ],
)
def test_a_value_of_another_kind_is_refused_by_name(settings, kind):
    ((name, value),) = settings.items()
    words = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}[kind]
    given = "null" if value is None else repr(value)
    with pytest.raises(ConfigError) as raised:
        built(**settings)
    assert str(raised.value).startswith(f"{name} of Frozen must be {words}")
    assert str(raised.value).endswith(f"got {given}")


@pytest.mark.parametrize(
    ("settings", "meant"),
    [
        ({"every": 3}, 3),
        ({"every": 1e6}, 1_000_000),
        ({"share": 1}, 1),
        ({"share": 0.25}, 0.25),
        ({"most": None}, None),
        ({"most": 2e3}, 2000),
        ({"once": True}, True),
        ({"at": [1, 2]}, [1, 2]),
    ],
)
def test_a_value_of_its_kind_is_taken(settings, meant):
    ((name, _),) = settings.items()
    found = getattr(built(**settings), name)
    assert found == meant
    assert type(found) is type(meant)


def test_what_stands_inside_is_held_to_its_own_class():
    with pytest.raises(ConfigError, match="every of Frozen"):
        built(inner={"_target_": f"{HERE}.Frozen", "every": "x"})
    with pytest.raises(ConfigError, match="every of Frozen"):
        built(inner=[{"_target_": f"{HERE}.Frozen", "every": "x"}])


def test_a_class_that_is_no_dataclass_says_its_kinds_too():
    assert built("Written", every=2, share="anything").share == "anything"
    with pytest.raises(ConfigError, match="every of Written must be a whole number, got 'x'"):
        built("Written", every="x")


def test_a_target_that_is_not_there_is_left_to_hydra():
    node = {"_target_": "no.such.Thing", "every": "five"}
    assert checked_settings(node) == node
    with pytest.raises(ConfigError, match="No module named"):
        instantiate(node)


def test_a_budget_may_be_written_with_an_exponent():
    assert instantiate({"_target_": "autogrow.policy.Budget", "parameters": 1e6}) == Budget(parameters=1_000_000)
