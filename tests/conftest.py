"""What tests of every room share."""

import os
import signal
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))  # makes `command_line`, `drawn_examples` and the others importable

# the same examples at every run, so that a green commit stays green; new ones for as long as one likes with
# ./scripts/test --hypothesis-profile=fresh
settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("fresh", max_examples=1000, print_blob=True, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


@pytest.fixture(autouse=True, scope="session")
def _signals_of_a_terminal():
    """Also where the tests run under nohup or in the background of a script: what is ignored there, children of the
    tests would ignore too.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else lambda *_: None)


@pytest.fixture
def alone(tmp_path, monkeypatch):
    """A folder of the test's own to stand in, and a command line of its own; the folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    monkeypatch.setattr(sys, "argv", ["autogrow"])
    return tmp_path


@pytest.fixture(params=["cpu", "cuda"])
def accelerator(request):
    """Lightning's name of each device that a law is held on, where there is one."""
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("there is no CUDA device here")
    return {"cpu": "cpu", "cuda": "gpu"}[request.param]
