"""A row of a table as the numbers that an exported net is given, by what encoder.json says. Needs Python alone.

    encode = Encoder("encoder.json")
    encode({"age": 31, "city": "Bern", "born": "1994-05-02"})      # a list of numbers; NaN is missing

Numbers are given as numbers or as text with the table's decimal sign; dates as dates, or as text as in the table.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

ROUNDS = {"month": 12, "day": 31, "weekday": 7, "hour": 24}
NAN = float("nan")


class Encoder:
    """Rows, one at a time: a mapping from the table's columns to values."""

    def __init__(self, path: Any = "encoder.json") -> None:
        held = json.loads(Path(path).read_text(encoding="utf-8"))
        self.inputs, self.missing = held["inputs"], set(held["missing"])
        self.codes = {one["name"]: {text: i for i, text in enumerate(one.get("codes", []))} for one in self.inputs}

    def __call__(self, row: Mapping[str, Any]) -> list[float]:
        """The numbers, in the order of the net's inputs. Raises KeyError for a column that is not there, ValueError for
        text that is no number or date.
        """
        return [self._input(one, row[one["column"]]) for one in self.inputs]

    def _input(self, one: dict[str, Any], value: Any) -> float:
        text = value.strip() if isinstance(value, str) else value
        if _is_gap(text) or text in self.missing or text in one.get("gaps", ()):
            return 0.0 if one["kind"] == "wave" else NAN
        if one["kind"] == "category":
            whole = isinstance(text, float) and text.is_integer()
            return self.codes[one["name"]].get(str(int(text) if whole else text), -1)
        if one["kind"] == "number":
            number = self._number(one, text)
            return NAN if _plain(number) in self.missing else number
        moment = _moment(text, one.get("formats", ()))
        return _part(moment, one["part"])

    def _number(self, one: dict[str, Any], value: Any) -> float:
        if isinstance(value, str):
            words = one.get("words", {})
            if value.lower() in words:
                return float(words[value.lower()])
            value = value.replace(one.get("decimal", "."), ".")
        return float(value)


def _is_gap(value: Any) -> bool:
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


def _plain(number: float) -> str:
    return str(int(number)) if number.is_integer() else str(number)


def _moment(value: Any, formats: Any) -> datetime:
    """A date, a moment or its text as a moment in UTC that does not say so."""
    if isinstance(value, str):
        for one in formats:
            if one != "ISO8601":
                try:
                    return datetime.strptime(value, one)
                except ValueError:
                    continue
        value = datetime.fromisoformat(value)
    if not isinstance(value, datetime):
        value = datetime.combine(value, time())
    found: datetime = value if value.tzinfo is None else value.astimezone(UTC).replace(tzinfo=None)
    return found


def _part(moment: datetime, part: str) -> float:
    """What an input takes of a moment: days since 1970, the year, sine or cosine of where it lies in its round."""
    if part == "":
        return (moment - datetime(1970, 1, 1)) / timedelta(days=1)
    if part == "year":
        return moment.year
    name, wave = part.split()
    midnight = datetime.combine(date(moment.year, moment.month, moment.day), time())
    places = {
        "month": moment.month - 1,
        "day": moment.day - 1,
        "weekday": moment.weekday(),
        "hour": (moment - midnight) / timedelta(hours=1),
    }
    angle = 2 * math.pi * places[name] / ROUNDS[name]
    return math.sin(angle) if wave == "sine" else math.cos(angle)
