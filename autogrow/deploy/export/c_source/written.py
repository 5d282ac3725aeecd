"""What float and int8 files have in common: their parts, and how the members' outputs become the answer."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from autogrow.deploy.export.c_source.program import Program
from autogrow.deploy.export.c_source.text import Constants, float_text
from autogrow.deploy.export.net import LOGITS, VALUES


@dataclass(frozen=True)
class Written:
    """The parts of a file: constants, declarations of buffers and their bytes; statements that run one member, and that
    make the answer of what it leaves.
    """

    constants: Constants
    buffers: list[str]
    ram_bytes: int
    member: list[str]
    answer: tuple[list[str], list[str]]
    says: tuple[str, ...] = ()
    """What the comment says of its arithmetic."""


def array_of(constants: Constants, kind: str, name: str, values: np.ndarray) -> str:
    """The array of each member (M, …), by a member's number m."""
    flat = values.reshape(len(values), -1)
    return constants.array(kind, name, flat[0]) if len(flat) == 1 else f"{constants.array(kind, name, flat)}[m]"


def out_type(program: Program) -> str:
    """What answers are given in: 64 bits where 32 would merge the targets' values."""
    return "double" if program.net.exact_outputs else "float"


def answers_in_place(program: Program) -> bool:
    """Whether the last layer can write straight into the answer: one member, and numbers of the same type."""
    return program.members == 1 and out_type(program) == "float"


def answer_code(program: Program, constants: Constants, last: str) -> tuple[list[str], list[str]]:
    """Statements for each member m, whose outputs are in `last`, and those behind the last one, which fill `out`."""
    net, n, members = program.net, program.layers[-1].outputs, program.members
    each, behind = [], []
    if net.mean_of_probabilities:
        each.append(f"net_log_softmax({last}, {n});")
        each.append(f"for (int j = 0; j < {n}; j++) out[j] = m ? net_log_add(out[j], {last}[j]) : {last}[j];")
        less, factor = float_text(math.log(members)), float_text(net.sharpness)
        behind.append(f"for (int j = 0; j < {n}; j++) out[j] = {factor} * (out[j] - {less});")
    elif members > 1:
        each.append(f"for (int j = 0; j < {n}; j++) out[j] = (m ? out[j] : 0) + {last}[j] / {float_text(members)};")
    elif last != "out":
        each.append(f"for (int j = 0; j < {n}; j++) out[j] = {last}[j];")
    if net.answer == VALUES:
        kind = out_type(program)
        std, mean = (
            constants.element("double" if kind == "double" else "float", f"net_target_{name}", values, "j")
            for name, values in (("std", net.target_std), ("mean", net.target_mean))
        )
        behind.append(f"for (int j = 0; j < {n}; j++) out[j] = out[j] * {std} + {mean};")
    elif net.answer != LOGITS:
        behind.append(f"net_softmax(out, {n});")
    return each, behind
