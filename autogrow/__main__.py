"""`python -m autogrow` is `autogrow`."""

from autogrow.cli import main

if __name__ == "__main__":
    main()
