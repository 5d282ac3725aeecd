"""Makes `growth_zoo`, the nets that several of these tests share, importable; draws the same examples in every run."""

import sys
from pathlib import Path

from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))

# a suite that is green must be green again; to look for new cases: pytest --hypothesis-profile=default
settings.register_profile("same", derandomize=True, deadline=None)
settings.load_profile("same")
