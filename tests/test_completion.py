"""What the tab key offers in a shell: commands, and what Hydra knows of each command's config."""

import os
import subprocess
import sys

import pytest
from command_line import call

from autogrow.cli import COMMANDS


@pytest.fixture
def offered(monkeypatch, capsys):
    """The words that a line is completed to."""

    def ask(line):
        monkeypatch.setenv("COMP_LINE", line)
        monkeypatch.setattr(sys, "argv", ["autogrow"])
        capsys.readouterr()
        assert call("-sc", "query=bash") == 0
        said = capsys.readouterr()
        assert said.err == ""  # a shell's line is no place for it
        return said.out.split()

    return ask


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("autogrow ", list(COMMANDS)),
        ("autogrow re", ["replay", "report"]),
        ("autogrow nosuch ", []),
        ("autogrow fit data=di", ["data=diabetes", "data=digits"]),
        ("autogrow fit data=csv data.pat", ["data.path="]),
        ("autogrow fit data.split=f", ["data.split=file"]),
        ("autogrow fit -m data=digits growth/am", ["growth/amount="]),
        ("autogrow export runs/first t", ["to=", "trainer="]),
        ("autogrow fit nosuch=option growth.am", []),
        ("autogrow predict ", []),  # files, which the shell knows
        ("autogrow predict runs/first ta", []),
        ("autogrow report ru", []),
    ],
)
def test_a_line_is_completed(line, words, offered):
    assert offered(line) == words


@pytest.mark.parametrize("words", [[], ["query"], ["install=csh"], ["install=bash", "more"]])
def test_what_it_takes_is_said(words, capsys):
    assert call("-sc", *words) == 2
    assert 'eval "$(autogrow -sc install=bash)"' in capsys.readouterr().err


@pytest.mark.slow
def test_bash_completes(tmp_path):
    """The script that is installed, in a real bash, as its completion calls it."""
    program = tmp_path / "autogrow"
    program.write_text(f"#!{sys.executable}\nfrom autogrow.cli import main\nmain()\n")
    program.chmod(0o755)
    script = """
    eval "$(autogrow -sc install=bash)" || exit 1
    COMP_LINE="autogrow fit data=wi"; COMP_POINT=${#COMP_LINE}; COMP_WORDS=($COMP_LINE); COMP_CWORD=2
    "$(complete -p autogrow | sed 's/.*-F \\([^ ]*\\) .*/\\1/')"
    printf '%s\\n' "${COMPREPLY[@]}"
    """
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    found = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (0, "data=wine\n"), found.stderr
