"""The command line as a test calls it, in this process."""

import pytest

from autogrow.cli import main


def call(*arguments):
    """The exit code of `autogrow` with these arguments."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return ended.value.code
