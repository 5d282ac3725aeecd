"""Lightning without torch's compiler: nothing knows the difference, and the compiler is there once it is wanted."""

import subprocess
import sys

import pytest
import torch

from autogrow.compiler import passed_over

LAWS = """
import sys
import torch
from autogrow.imports import importing
with importing():
    import pytorch_lightning as pl
assert "torch._dynamo" not in sys.modules
from lightning_fabric.wrappers import OptimizedModule, _unwrap_compiled
from pytorch_lightning.utilities.compile import from_compiled, to_uncompiled
class Own(pl.LightningModule):
    def forward(self, x):
        return x + 1
net = Own()
assert not isinstance(net, OptimizedModule) and _unwrap_compiled(net) == (net, None)
compiled = torch.compile(net, backend="eager")
assert type(compiled) is sys.modules["torch._dynamo"].OptimizedModule
assert isinstance(compiled, OptimizedModule) and not isinstance(net, OptimizedModule)
assert _unwrap_compiled(compiled)[0] is net and to_uncompiled(from_compiled(compiled)) is net
assert torch.equal(compiled(torch.ones(2)), torch.full((2,), 2.0))
"""


def test_lightning_tells_a_compiled_module_as_ever():
    run(LAWS)


WANTS = {
    "a name": "from torch._dynamo import reset, OptimizedModule",
    "a part": "import torch._dynamo.config",
    "a name of a part": "from torch._dynamo.config import verbose",
}


@pytest.mark.parametrize("line", WANTS.values(), ids=WANTS)
def test_a_lightning_that_wants_more_of_the_compiler_has_it(line, tmp_path):
    (tmp_path / "torchmetrics.py").write_text("import torch\n")
    (tmp_path / "pytorch_lightning.py").write_text(f"{line}\n")
    run(
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from autogrow.compiler import import_lightning\n"
        "import_lightning()\n"
        "import torch, torch._dynamo.config\n"
        "assert sys.modules['pytorch_lightning'].__file__.startswith(sys.path[0])\n"
        "assert torch._dynamo is sys.modules['torch._dynamo'] and torch._dynamo.reset\n"
        "assert torch._dynamo.config is sys.modules['torch._dynamo.config']\n"
        "assert isinstance(torch.compile(torch.nn.ReLU(), backend='eager'), torch._dynamo.OptimizedModule)\n"
    )


def test_what_is_passed_over_is_not_compiled():
    """The compiler leaves the graph for it, as for what it was told itself to leave out."""
    graphs = []

    def backend(graph, _inputs):
        graphs.append([node.op for node in graph.graph.nodes].count("call_function"))
        return graph.forward

    def doubled(x):
        return x * 2

    left_out = passed_over(doubled)
    assert left_out(torch.ones(1)) == 2

    def found(twice):
        graphs.clear()
        torch._dynamo.reset()
        answer = torch.compile(lambda x: twice(x + 1) + 1, backend=backend)(torch.ones(1))
        return answer.item(), tuple(graphs)

    assert found(left_out) == found(torch._dynamo.disable(doubled)) == (5, (1, 1))
    assert found(doubled) == (5, (3,))


def run(code):
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (child.returncode, child.stderr) == (0, "")
