"""A row of a table as the numbers that an exported net is given, by what encoder.json says. Needs Python alone.

    encode = Encoder("encoder.json")
    encode({"age": 31, "city": "Bern", "born": "1994-05-02"})      # a list of numbers; NaN is missing

Numbers are given as numbers or as text, dates as dates or as text: text is read as in the table that the net learned
from (1.234,50 €, 12 %, 31.12.2024).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

ROUNDS = {"month": 12, "day": 31, "weekday": 7, "hour": 24}
NAN = float("nan")
ISO = re.compile(r"(\d{4})-(\d{1,2})(?:-(\d{1,2}))?(?:[T ](\d{1,2})(:.*)?)?")


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
            if "pattern" in one:
                if not re.fullmatch(one["pattern"], value):
                    raise ValueError(f"{one['name']} must be a number, got {value!r}")
                value = re.sub(one["signs"], "", value).replace("−", "-").replace(one["decimal"], ".")
        return float(value)


def _is_gap(value: Any) -> bool:
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


def _plain(number: float) -> str:
    return str(int(number)) if number.is_integer() else str(number)


def _moment(value: Any, formats: Any) -> datetime:
    """A date, a moment or its text as a moment in UTC that does not say so."""
    if isinstance(value, (int, float)):  # the digits of a date, such as 20240131
        value = f"{value:.15g}"
    if isinstance(value, str):
        value = _parsed(re.sub(r"(\.\d{6})\d+", r"\1", value), formats)  # to the microsecond
    if not isinstance(value, datetime):
        value = datetime.combine(value, time())
    found: datetime = value if value.tzinfo is None else value.astimezone(UTC).replace(tzinfo=None)
    return found


def _parsed(text: str, formats: Any) -> datetime:
    """By the first of the formats that reads it; else, and where there are none, as ISO 8601."""
    for one in formats:
        if one != "ISO8601":
            try:
                return datetime.strptime(text, one)
            except ValueError:
                continue
    found = ISO.fullmatch(text)
    if found is None:
        return datetime.fromisoformat(text)
    year, month, day, hour, rest = found.groups()
    clock = "" if hour is None else f"T{hour:0>2}{(rest or '').replace(' ', '')}"
    return datetime.fromisoformat(f"{year}-{month:0>2}-{day or '1':0>2}{clock}")


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
