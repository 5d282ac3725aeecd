"""`python -m autogrow`, and the program `autogrow`."""

from autogrow.leaving import ends_with, leave_at_once

leave_at_once()  # before anything that registers for the exit

from autogrow.cli import main  # noqa: E402


def program() -> None:
    """Run the command whose words stand in `sys.argv`, and end."""
    try:
        main()
    except SystemExit as ended:
        ends_with(ended.code)
        raise


if __name__ == "__main__":
    program()
