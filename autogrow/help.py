"""The help of each command: how it is called, what can be chosen, and the keys that matter with a sentence each."""

from __future__ import annotations

import re
import shutil
import textwrap

import yaml

from autogrow.config import CONF_DIR
from autogrow.keys import Key, groups, keys, keys_of

MATTER = (
    "data.path", "data.target", "data.split", "data.val_fraction", "net.widths", "growth.amount.cap",
    "growth.where.max_depth", "stop.checks", "finish.refit", "budget.parameters", "metric", "seed",
    "trainer.max_epochs",
)  # fmt: skip
"""What most people set, if they set anything."""

HELP_OF_KEYS = """autogrow keys: every key that can be typed, with its default, what may stand there, and a sentence.

  autogrow keys                  all of them
  autogrow keys split            those with this in their name or sentence
  autogrow keys growth/when=     those of one group's options
"""

HELP_OF_REPORT = """autogrow report: build a page again: a run's, a sweep's, or the comparison of runs.

  autogrow report RUN                     RUN/report.html
  autogrow report RUN picture=growth.svg  one picture for a document: the error above the growth of the layers
  autogrow report SWEEP                   SWEEP/sweep.html: what each key does to validation error and cost
  autogrow report FOLDER                  compare the runs in it: compare.html, compare.json, rows.csv
"""


def help_of(command: str) -> str:
    """What `autogrow <command> --help` prints; `--help all` is Hydra's, of the config that the words compose."""
    text = (CONF_DIR / f"{command}.yaml").read_text(encoding="utf-8")
    config = yaml.safe_load(text)
    chosen = {name for entry in config["defaults"] if isinstance(entry, dict) for name in entry}
    of_a_run = bool({"data", "optional experiment"} & chosen) or "fit" in config["defaults"]
    lines = [config["hydra"]["help"]["template"].partition("== ")[0].rstrip(), ""]
    wanted = [g for g in groups() if of_a_run or g.name.partition("/")[0] in chosen]
    if wanted:
        lines.append("== Choices: group=option ==")
        for group in wanted:
            lines += [*_entry(group.name, group.says, 16), *_wrapped(", ".join(group.options), 18)]
        lines.append("")
    matter = [key for name in MATTER for key in keys() if key.name == name and not key.where] if of_a_run else []
    own = keys_of(command)
    for title, listed in ((f"Keys of {command}", own), ("The keys of a run that matter", matter)):
        if listed:
            lines.append(f"== {title}: key=value ==")
            for key in listed:
                lines += _entry(f"{key.name}={key.default}", re.split(r"; |\. ", key.says)[0], 32)
            lines.append("")
    lines.append("autogrow keys [pattern]         every key: its default, what may stand there, what it does and why")
    lines.append(f"{f'autogrow {command} --help all':<32}the whole config, as the words typed with it compose it")
    return "\n".join(lines) + "\n"


def shown_key(key: Key) -> list[str]:
    """A key as lines: its name and default, what may stand there, who has it; its sentence below."""
    beside = "; ".join(part for part in (key.values, key.where) if part)
    head = f"{key.name}={key.default}"
    return [f"{head:<40} {beside}".rstrip(), *_wrapped(key.says, 4)]


def _entry(head: str, says: str, indent: int) -> list[str]:
    lines = _wrapped(says, indent)
    if len(head) >= indent:
        return [head, *lines]
    return [f"{head:<{indent}}{lines[0].lstrip()}", *lines[1:]]


def _wrapped(text: str, indent: int) -> list[str]:
    width = min(shutil.get_terminal_size((120, 24)).columns, 120)
    blank = " " * indent
    return textwrap.wrap(text, max(width, indent + 40), initial_indent=blank, subsequent_indent=blank) or [""]
