"""Where values lie while a C file runs: whatever is still needed is never written over."""

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from autogrow.deploy.export.c_source.buffers import places_of
from autogrow.deploy.export.c_source.program import NO_RAMPS, NO_TABLES, Add, Layer, Program
from autogrow.deploy.export.layers import Activation

RELU = Activation("relu")


@st.composite
def programs(draw):
    """Layers one behind another; some add an earlier value, before or behind their activation."""
    layers = []
    for k in range(draw(st.integers(1, 8))):
        weight = np.zeros((1, draw(st.integers(1, 3)) if k == 0 else 4, 4))
        then = draw(
            st.sampled_from([(), (RELU,), (Add(draw(st.integers(0, k))),), (RELU, Add(draw(st.integers(0, k))))])
        )
        layers.append(Layer(k, weight, weight[..., 0], then))
    return Program(None, NO_TABLES, NO_RAMPS, tuple(layers))


@given(programs(), st.booleans())
def test_nothing_that_is_still_needed_is_written_over(program, last):
    places = places_of(program, last=last)
    held = {places.of[0]: 0}
    for k, layer in enumerate(program.layers):
        assert held[places.of[layer.reads]] == layer.reads
        write = places.of[k + 1] if k + 1 < len(places.of) else None
        assert write != places.of[layer.reads]
        for i, operation in enumerate(layer.then):
            if isinstance(operation, Add):
                assert held[places.of[operation.value]] == operation.value
                assert i == 0 or write != places.of[operation.value]  # behind an activation it is too late
        if write is not None:
            held[write] = k + 1
            assert places.widths[write] >= program.sizes[k + 1]
    assert places.widths[0] >= program.sizes[0]


@given(st.integers(1, 8))
def test_two_buffers_do_where_there_are_no_skips(depth):
    layer = Layer(0, np.zeros((1, 4, 4)), np.zeros((1, 4)), (RELU,))
    layers = tuple(replace(layer, reads=k) for k in range(depth))
    assert len(places_of(Program(None, NO_TABLES, NO_RAMPS, layers), last=True).widths) == 2
