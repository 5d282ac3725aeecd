"""How the net of a run is used: the lines to type, for this folder and these data."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any


def lines_to_use(folder: str, card: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What each line does, and the line; `folder` is the run folder, `card` the data card."""
    images = isinstance(card["columns"], list)
    run, given = shlex.quote(folder), "images" if images else "table"
    python = ["import autogrow", f"net = autogrow.load({folder!r})", f"net.predict({given})"]
    if "classes" in card:
        order = ", ".join(repr(c["label"]) for c in card["classes"][:6])
        more = ", …" if len(card["classes"]) > 6 else ""
        python.append(f"net.predict_proba({given})  # columns in the order of net.classes: {order}{more}")
    if images:
        return [
            (f"in Python, {given} an array (rows, {', '.join(str(n) for n in card['columns'])})", "\n".join(python))
        ]
    return [
        ("answers for the rows of a table, as CSV", f"autogrow predict {run} table.csv"),
        ("the same into a file", f"autogrow predict {run} table.csv out=predictions.parquet"),
        (f"every metric, where the table has {' and '.join(card['targets'])}", f"autogrow evaluate {run} table.csv"),
        ("in Python, table a DataFrame", "\n".join(python)),
    ]
