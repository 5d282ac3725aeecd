"""The program ends at once, and yet as any other: its code, its last words, and what was left to do at the exit."""

import subprocess
import sys

import pytest

LEFT_BEHIND = """
import sys
sys.argv = {argv!r}
from autogrow.__main__ import program
import atexit, threading, time
atexit.register(lambda: print("at the exit"))
threading.Thread(target=lambda: (time.sleep(0.2), print("from a thread"))).start()
print("not yet flushed")
{run}
"""


@pytest.mark.parametrize(
    ("argv", "run", "code", "said"),
    [
        (["autogrow", "--version"], "program()", 0, ""),
        (["autogrow", "fitt"], "program()", 2, "unknown command"),
        (["autogrow"], "raise SystemError('ours')", 1, "SystemError: ours"),
    ],
    ids=["done", "refused", "failed"],
)
def test_the_program_leaves_nothing_undone(argv, run, code, said):
    script = LEFT_BEHIND.format(argv=argv, run=run)
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert ended.returncode == code
    assert said in ended.stderr
    lines = ended.stdout.splitlines()
    assert lines[0] == "not yet flushed"
    assert lines[-2:] == ["from a thread", "at the exit"]


def test_autogrow_in_somebody_elses_process_does_not_end_it():
    script = "import autogrow.cli, atexit\natexit._run_exitfuncs()\nprint('goes on')"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ended.stdout == "goes on\n"
