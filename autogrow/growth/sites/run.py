"""Runs a net once on an example, and answers with what was written down of it."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from inspect import Parameter, signature
from itertools import zip_longest
from typing import Any

from torch import fx, nn

from autogrow.errors import GrowthError
from autogrow.growth.modes import quiet
from autogrow.growth.sites.direct import lay_direct
from autogrow.growth.sites.example import Example, call_arguments
from autogrow.growth.sites.interpret import Interpreter
from autogrow.growth.sites.record import NotFollowedError, Recorder
from autogrow.growth.sites.sizes import Sizes, telling_attributes
from autogrow.growth.sites.trace import Trace
from autogrow.growth.written_norms import written_norm


def run_trace(net: nn.Module, example: Example | None, *, inner: bool = False) -> Trace:
    """Run the net on the example, and write down what it does to the widths of its tensors.

    `inner`: where the number of heads or the size of a head may grow, look at the latter.

    Raises GrowthError where the net does not run on the example, or its own forward asks for tensors' values.
    """
    args, kwargs = call_arguments(net, example)
    _bound(net, args, kwargs)
    opaque: dict[str, str] = {}
    for module in net.modules():
        written_norm(module)  # tried now: while it is recorded, its numbers would note what the trial does with them
    while True:
        trace = Trace(net, fx.Graph(), opaque=opaque, numbers=Sizes(inner=inner))
        try:
            # in eval mode: a forward that branches on self.training is looked at as it predicts
            with quiet(net), telling_attributes(net, trace.numbers):
                _run(trace, copy.deepcopy(args), copy.deepcopy(kwargs))
        except NotFollowedError as error:
            if not error.module:
                raise GrowthError(
                    f"the forward of {type(net).__name__} cannot be traced: {error}. Control flow that depends on data has "
                    "to go into a submodule of its own"
                ) from error
            opaque[error.module] = f"its forward cannot be traced: {error}"
            continue
        except (RuntimeError, ValueError, TypeError, IndexError, AttributeError, AssertionError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise GrowthError(f"{type(net).__name__} does not run on the example: {reason}") from error
        return trace


def _run(trace: Trace, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    interpreter = Interpreter(trace)
    recorder = Recorder(trace, interpreter)
    names = [p.name for p in signature(trace.net.forward).parameters.values() if p.kind is not p.VAR_POSITIONAL]
    with recorder.listening():
        given = [recorder.place(name, value) for name, value in zip_longest(names[: len(args)], args, fillvalue="more")]
        named = {name: recorder.place(name, value) for name, value in kwargs.items()}
        recorder.output(trace.net.forward(*given, **named))
    lay_direct(trace)


def _bound(net: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    """Raise GrowthError, with what would be right, for arguments that the net does not take."""
    parameters = signature(net.forward).parameters
    names = [n for n, p in parameters.items() if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    kinds = {p.kind for p in parameters.values()}
    unknown = [k for k in kwargs if k not in names]
    if unknown and Parameter.VAR_KEYWORD not in kinds:
        raise GrowthError(f"the example's argument {unknown[0]!r} is not one of the net's: {', '.join(names)}")
    if len(args) > len(names) and Parameter.VAR_POSITIONAL not in kinds:
        raise GrowthError(f"the example has {len(args)} arguments, the net takes {len(names)}")
    missing = [n for n in names[len(args) :] if n not in kwargs and parameters[n].default is Parameter.empty]
    if missing:
        raise GrowthError(f"the example lacks the net's argument {missing[0]!r}")
