"""The data card: what was learned from, in plain values; printed at the start of a run and kept in its folder."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from autogrow.data.as_text import coded
from autogrow.data.centre import told_apart
from autogrow.data.columns import is_numeric, stored
from autogrow.data.encode import Encoder, TableEncoder
from autogrow.data.raw import Raw
from autogrow.data.split_rows import SplitData
from autogrow.data.target import Target


def fingerprint(raw: Raw, target: Target) -> str:
    """sha256 over inputs and targets, column by column: the same rows have the same fingerprint whatever the split.

    Inputs are taken as they are encoded: numbers as 32-bit floats (in 64 bits where these merge what differs),
    categories as text.
    """
    digest = hashlib.sha256()
    if isinstance(raw.x, np.ndarray):
        digest.update(repr((raw.x.shape, raw.x.dtype.str)).encode())
        digest.update(np.ascontiguousarray(raw.x).data)
    else:
        for name in raw.x.columns:
            column = raw.x[name]
            digest.update(f"\0{name}\0".encode())
            if is_numeric(column):
                digest.update(np.ascontiguousarray(told_apart(stored(column))).data)
            else:
                for part in coded(column).joined("\0", "\1"):
                    digest.update(part)
    digest.update(repr((target.task, target.names, target.labels)).encode())
    digest.update(np.ascontiguousarray(target.values).data)
    return digest.hexdigest()


def make_card(name: str, data: SplitData, *, encoder: Encoder, split: str, sha256: str) -> dict[str, Any]:
    """The card as plain values (JSON-ready)."""
    raw, target, rows = data.raw, data.target, data.rows
    parts = {"train": rows.train, "val": rows.val, "test": rows.test}
    card: dict[str, Any] = {
        "name": name,
        "origin": raw.origin,
        "task": target.task,
        "task_because": target.why,
        "rows": len(raw),
        "columns": list(raw.x.shape[1:]) if isinstance(raw.x, np.ndarray) else raw.x.shape[1],
        "targets": list(target.names),
        "splits": {part: len(r) for part, r in parts.items()},
        "split": split,
        "missing": 0,
        "fingerprint": sha256,
        "notes": list(raw.notes),
    }
    if raw.written is not None:
        card["left_out"] = dict(raw.left_out)
        card["written"] = raw.written.said
        card["read_as"] = {
            name: reading.said() for name, reading in raw.written.readings.items() if reading.kind != "text"
        }
    if isinstance(encoder, TableEncoder) and not isinstance(raw.x, np.ndarray):
        missing = {c: k for c in raw.x.columns if (k := int(np.count_nonzero(raw.x[c].isna())))}
        card["numeric"] = len(encoder.numeric)
        card["categories"] = {c: len(v) for c, v in encoder.categories.items()}
        card["encoded_columns"] = encoder.width
        card["missing"] = sum(missing.values())
        card["missing_by_column"] = missing
        for column, values in encoder.categories.items():
            uncoded = len(coded(raw.x[column]).counts().keys() - {*values, None})
            if uncoded:
                card["notes"].append(f"column {column!r}: {uncoded:,} values, rare or in no training row, have no code")
    if target.task == "classification":
        counts = np.bincount(target.values, minlength=len(target.labels))
        card["classes"] = [
            {"label": label, "rows": int(counts[i]), "share": float(counts[i] / counts.sum())}
            for i, label in enumerate(target.labels)
        ]
        card["balance"] = float(counts.min() / counts.max())
        learned = np.bincount(target.values[rows.train], minlength=len(counts))
        unseen = np.flatnonzero((counts > 0) & (learned == 0)).tolist()
        if unseen:
            card["notes"].append(
                "classes that no training row has: " + ", ".join(str(target.labels[c]) for c in unseen)
            )
    else:
        card["target_range"] = {
            n: {"mean": float(v.mean()), "std": float(v.std()), "min": float(v.min()), "max": float(v.max())}
            for n, v in zip(target.names, target.values.T, strict=True)
        }
    return card


def lines(card: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The card as (what, value) pairs to print, one for each line."""
    columns = card["columns"]
    if isinstance(columns, list):
        shape = "×".join(str(n) for n in columns) + " images"
    else:
        kinds = [f"{card['numeric']} numeric"] * bool(card["numeric"])
        kinds += [f"{len(card['categories'])} categorical"] * bool(card["categories"])
        shape = f"{columns} columns ({', '.join(kinds)}; {card['encoded_columns']} encoded)"
    splits = card["splits"]
    out = [
        ("data", f"{card['name']} ({card['origin']})"),
        ("rows", f"{card['rows']:,} of {shape}"),
        ("split", f"train {splits['train']:,}, val {splits['val']:,}, test {splits['test']:,} ({card['split']})"),
        ("task", f"{card['task']} of {', '.join(card['targets'][:5])} ({card['task_because']})"),
    ]
    if "classes" in card:
        classes = [f"{c['label']} {c['share']:.1%}" for c in card["classes"]]
        shown = ", ".join(classes[:10]) + (f", … ({len(classes)} in all)" if len(classes) > 10 else "")
        out.append(
            ("classes", f"{shown}; smallest to largest 1:{1 / card['balance']:.3g}" if card["balance"] else shown)
        )
    if card.get("written"):
        dates = [f"{name} {how[6:]}" for name, how in card["read_as"].items() if how.startswith("dates ")]
        out.append(("written", "; dates: ".join([card["written"], *([", ".join(dates[:5])] if dates else [])])))
    if card.get("left_out"):
        some = list(card["left_out"].items())
        listed = "; ".join(f"{name} {why}" for name, why in some[:5]) + (f"; {len(some) - 5} more" if some[5:] else "")
        out.append(("left out", f"{listed} (data.keep=[{some[0][0]}] keeps one)"))
    for name, r in card.get("target_range", {}).items():
        out.append(
            ("target", f"{name}: mean {r['mean']:.4g}, std {r['std']:.4g}, from {r['min']:.4g} to {r['max']:.4g}")
        )
    if card["missing"]:
        by_column = sorted(card["missing_by_column"].items(), key=lambda kv: -kv[1])
        out.append(("missing", f"{card['missing']:,} values: " + ", ".join(f"{c} {k:,}" for c, k in by_column[:5])))
    out.append(("fingerprint", card["fingerprint"][:16]))
    return out + [("note", note) for note in card["notes"]]
