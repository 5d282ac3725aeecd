"""A name of a file or a folder is data: whatever it holds, it reaches Hydra's config as it is."""

from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from autogrow.composition import readable
from autogrow.overrides import as_text, quoted, quoted_if_needed, unquoted

NAMES = ["a,b.csv", "${oc.env:HOME}.csv", "x=1.csv", "~x.csv", "[a].csv", "it's", 'say "so"', "\\", "a\\'b\\", "two\nlines",
         "über.csv", "null", "true", "12", "1e5", "???", "a: b", "{a:1}", "\\${x}", "choice(a,b)", " blank ", "a b/c", "-x", "nan"]  # fmt: skip
names = st.sampled_from(NAMES) | st.text(st.sampled_from("ab1\\${}'\",=\n~[]: é.x?|()/-+_"), min_size=1, max_size=12)


def reached(override):
    """The value that a config holds after an override."""
    return OmegaConf.create({"path": OverridesParser.create().parse_override(override).value()}).path


@given(names)
def test_a_path_is_read_as_it_was_written(name):
    path = Path(name)
    for written in (quoted(path), quoted_if_needed(path)):
        assert Path(str(reached(f"path={written}"))) == path
        assert isinstance(reached(f"path={written}"), str)
        assert Path(unquoted(written)) == path


@given(names)
def test_a_text_in_a_config_is_no_interpolation(name):
    config = OmegaConf.create({"path": as_text(name)})
    assert name == "???" or OmegaConf.to_container(config, resolve=True) == {"path": name}


@pytest.mark.parametrize("full_error", [None, "1"])  # as a command is read, Hydra raises where it would print
@pytest.mark.parametrize("name", ["x=1", "a=b.csv", "runs/a=b=c"])
def test_a_path_with_an_equal_sign_needs_no_quotes(name, full_error, monkeypatch):
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    if full_error is not None:
        monkeypatch.setenv("HYDRA_FULL_ERROR", full_error)
    for key in ("data.path", "hydra.run.dir", "continue_from"):
        override = OverridesParser.create().parse_override(readable(f"{key}={name}"))
        assert override.value() == name
