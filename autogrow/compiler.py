"""torch's compiler, imported only where something is compiled: it takes as long to import as torch itself.

Lightning wants two things of it: the class of compiled modules, to ask whether something is one, and a decorator for
what shall not be compiled. Until the compiler is imported nothing is compiled, so both can be had without it.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any

COMPILER = "torch._dynamo"
_LIGHTNING = ("pytorch_lightning", "lightning_fabric")


def import_lightning() -> None:
    """Import Lightning, and not the compiler; who imports that from then on gets the real one."""
    if any(name in sys.modules for name in (COMPILER, *_LIGHTNING)):
        return
    import_module("torchmetrics")  # and torch with it; it imports what else is installed, which may want a compiler
    if COMPILER in sys.modules:
        return
    waiting = sys.modules[COMPILER] = _Waiting(COMPILER)
    try:
        import_module("pytorch_lightning")
    except ImportError:  # of a version that wants a part of the compiler, or none is installed
        waiting.leave()
        import_module("pytorch_lightning")
    finally:
        waiting.leave()


def passed_over(call: Callable[..., Any], *how: Any, **told: Any) -> Callable[..., Any]:
    """`call`, not to be compiled: as `torch._dynamo.disable` makes it once the compiler has been imported."""
    made: list[Callable[..., Any]] = []

    @functools.wraps(call)
    def called(*args: Any, **kwargs: Any) -> Any:
        compiler = _compiler()
        if compiler is None:
            return call(*args, **kwargs)
        if not made:
            made.append(compiler.disable(call, *how, **told))
        return made[0](*args, **kwargs)

    return called


class _Waiting(ModuleType):
    """Stands in the compiler's place while Lightning is imported; whatever else is asked of it the compiler answers."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.OptimizedModule = _Compiled
        self.disable = passed_over

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # what an import looks for: no part of it can be imported from here
            raise AttributeError(name)
        self.leave()
        return getattr(import_module(COMPILER), name)

    def leave(self) -> None:
        """Make room for the compiler."""
        if sys.modules.get(COMPILER) is self:
            del sys.modules[COMPILER]


def _compiler() -> Any:
    """The compiler where it has been imported, else None."""
    found = sys.modules.get(COMPILER)
    return None if isinstance(found, _Waiting) else found


class _Asks(type):
    def __instancecheck__(cls, instance: object) -> bool:
        compiler = _compiler()
        return compiler is not None and isinstance(instance, compiler.OptimizedModule)


class _Compiled(metaclass=_Asks):
    """Stands for the class of compiled modules where something is asked whether it is one."""
