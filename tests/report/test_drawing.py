"""Names in a picture stand inside it and on nothing, however many there are and wherever their points."""

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autogrow.report.drawing.labels import LINE, place, text_width
from autogrow.report.drawing.plots import COLOURS, WIDTH, Plot, Series, dash_of, marker_of
from autogrow.report.drawing.scale import fit

ROOM = (40.0, 20.0, 360.0, 200.0)


def box_of(placed):
    wide = text_width(placed.text)
    left = placed.x if placed.anchor == "start" else placed.x - wide
    return left, placed.y - 4 - LINE / 2, left + wide, placed.y - 4 + LINE / 2


@given(
    st.lists(
        st.tuples(st.floats(40, 360), st.floats(20, 200), st.text("abcdefgh ", min_size=1, max_size=24)), max_size=14
    )
)
@settings(max_examples=40, deadline=None)
def test_names_are_inside_and_apart(spots):
    boxes = [box_of(placed) for placed in place(spots, ROOM)]
    air = 0.1  # places are rounded
    for left, top, right, bottom in boxes:
        assert left >= ROOM[0] - air
        assert top >= ROOM[1] - air
        assert right <= ROOM[2] + air
        assert bottom <= ROOM[3] + air
    for a, b in combinations(boxes, 2):
        assert a[0] >= b[2] - air or b[0] >= a[2] - air or a[1] >= b[3] - air or b[1] >= a[3] - air


def test_a_name_keeps_off_other_points_where_it_can():
    (alone,), (beside,) = place([(100, 100, "a name")], ROOM), place([(100, 100, "a name")], ROOM, [(115, 100)])
    assert (alone.anchor, beside.anchor) == ("start", "end")


@pytest.mark.parametrize("most", [1.0, 12.5, 1234567.0, 0.00012345])
def test_the_longest_tick_decides_where_the_axis_stands(most):
    plot = Plot(
        "t",
        fit([0, 1]),
        fit([0, most]),
        "x",
        "y",
        str,
        lambda v: f"{v:.10g}",
        [Series("s", 0, line=[(0, 0), (1, most)])],
    )
    assert all(plot.left - 5 - text_width(word) >= 0 for _, word in plot.y_marks)
    ends = [(plot.at(v, 0)[0], text_width(word) / 2) for v, word in plot.x_marks]
    assert all(middle - half >= 0 and middle + half <= WIDTH for middle, half in ends)


def test_a_zero_on_a_log_scale_is_said_at_the_edge():
    values = [0.0, 0.01, 0.5]
    plot = Plot("t", fit([0, 1]), fit(values), "x", "y", str, str, [Series("s", 0, line=list(enumerate(values)))])
    assert plot.y.log
    assert plot.y_marks[0] == (plot.y.low, "0.0")


def test_no_two_of_many_arms_look_alike():
    for of in (dash_of, marker_of):
        assert len({(look % COLOURS, of(look)) for look in range(COLOURS**2)}) == COLOURS**2
