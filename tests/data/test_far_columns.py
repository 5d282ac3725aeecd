"""A column keeps what it tells, wherever it lies: centred and scaled in 64 bits, and in 32 only behind that."""

import numpy as np
import pandas as pd
import pytest
import torch
from far_columns import WITHIN, column

from autogrow.data import DataSpec, Pipeline, prepare_raw
from autogrow.data.centre import centring_of
from autogrow.data.continued.follow import TrainedOn
from autogrow.data.raw import Raw
from autogrow.errors import DataError

STEPS = np.random.default_rng(0).integers(0, 7, 200)
CLASSES = pd.DataFrame({"y": np.arange(200) % 2})


def prepared(x, y=CLASSES, trained_on=None, **fields):
    return prepare_raw(Raw(x, y, "here"), DataSpec(**fields), trained_on)


def standardised(values, rows):
    """In 64 bits all the way, by the statistics of the rows."""
    mean, std = values[rows].mean(), (values[rows] - values[rows].mean()).std()
    return (values - mean) / std


@pytest.mark.parametrize("name", WITHIN)
@pytest.mark.parametrize("others", ["alone", "beside text", "with gaps"])
def test_the_net_sees_what_64_bits_say(name, others):
    table = pd.DataFrame({"t": column(name, STEPS)})
    if others == "beside text":
        table["c"] = np.resize(["a", "b", "c"], 200)
    data = prepared(table)
    unit = STEPS.astype(np.float64)  # the same numbers, but for where they lie
    wanted = standardised(unit, data.train.rows.numpy())
    if others == "with gaps":
        table.loc[::5, "t"] = np.nan
        data = prepared(table)
        wanted = None
    again = Pipeline.from_state(data.state())
    for part in (data.train, data.val, data.test):
        rows = part.rows.numpy()
        if wanted is not None:
            np.testing.assert_allclose(part.x[:, 0].numpy(), wanted[rows], rtol=0, atol=5e-4)
        assert part.x.dtype == torch.float32
        assert torch.equal(again.inputs(table.iloc[rows]), part.x)
        assert torch.equal(again.inputs(table.iloc[rows].to_dict("records")), part.x)
    levels = {float(v) for v in torch.cat([data.train.x, data.val.x, data.test.x])[:, 0]}
    assert len(levels) == 7


@pytest.mark.parametrize("name", WITHIN)
def test_a_net_that_goes_on_sees_old_rows_as_it_did(name):
    first = pd.DataFrame({"t": column(name, STEPS)})
    before = prepared(first)
    more = pd.concat([first, pd.DataFrame({"t": column(name, STEPS[:90] + 2)})], ignore_index=True)
    y = pd.concat([CLASSES, CLASSES[:90]], ignore_index=True)
    now = prepared(more, y, TrainedOn(before.pipeline, before.known_rows()))
    old = before.pipeline.inputs(first)[:, 0]
    new = now.pipeline.inputs(first)[:, 0]
    extension = now.extension
    torch.testing.assert_close(old, extension.factor[0] * new + extension.shift[0], atol=2e-5, rtol=0)
    assert len(new.unique()) == 7


@pytest.mark.parametrize("name", WITHIN)
def test_rows_that_differ_are_told_apart_when_a_net_goes_on(name):
    table = pd.DataFrame({"t": column(name, np.random.default_rng(1).permutation(200))})
    before = prepared(table)
    assert len(before.known_rows().marks) == 200
    shuffled = prepared(table[::-1], CLASSES[::-1], TrainedOn(before.pipeline, before.known_rows()))
    for part in ("train", "val", "test"):
        assert {199 - i for i in getattr(shuffled, part).rows.tolist()} == set(getattr(before, part).rows.tolist())


def test_a_column_that_was_constant_is_centred_when_it_begins_to_speak():
    before = prepared(pd.DataFrame({"t": np.full(200, 1.7e9), "z": STEPS}))
    assert before.encoder.centred == {}
    table = pd.DataFrame({"t": column("Unix seconds, a minute apart", STEPS), "z": STEPS})
    now = prepared(table, trained_on=TrainedOn(before.pipeline))
    assert len(now.pipeline.inputs(table)[:, 0].unique()) == 7
    assert float(now.extension.factor[0]) == 0.0  # and the net goes on without it


@pytest.mark.parametrize("name", [n for n in WITHIN if n not in ("of size 1e-30", "of size 1e-200", "of size 1e35")])
def test_targets_come_back_in_their_own_units(name):
    values = column(name, STEPS)
    data = prepared(pd.DataFrame({"x": STEPS}), pd.DataFrame({"y": values}), task="regression")
    for part in (data.train, data.val, data.test):
        answers = data.pipeline.answers(part.y).numpy()[:, 0]
        np.testing.assert_allclose(answers, values[part.rows], rtol=1e-15, atol=1e-6 * values.std())
    assert float(data.train.y.std()) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(
    ("values", "centred"),
    [
        (np.resize([0.1, 0.2, 0.7], 99), False),
        (np.arange(99) + 1990.0, False),  # years
        (np.resize([16_777_216.0, 16_777_215.0], 99), False),  # whole numbers that 24 bits hold
        (np.resize([16_777_217.0, 16_777_215.0], 99), True),
        (np.full(99, 1 / 3), False),
        (np.full(99, np.nan), False),
        (np.append(np.zeros(98), 1e12), False),  # one outlier: the others are told apart as before
    ],
)
def test_only_what_rounding_would_touch_is_centred(values, centred):
    """So that the bits of ordinary tables are those of before."""
    assert (centring_of(values) is not None) == centred


def test_noise_in_the_last_digits_is_constant_and_a_spread_of_a_thousandth_on_a_billion_is_not():
    third = np.float32(1 / 3)
    between = (np.float64(third) + np.float64(np.nextafter(third, np.float32(1)))) / 2
    below, above = np.nextafter([between, between], [0, 1])  # neighbours that round to different 32-bit floats
    assert np.float32(below) != np.float32(above)
    table = pd.DataFrame(
        {"noise": np.resize([below, above], 200), "speaks": column("a thousandth on a billion", STEPS)}
    )
    data = prepared(table)
    assert (data.preprocess.scale == 0).tolist() == [True, False]
    later = pd.DataFrame({"noise": [0.0, 5.0], "speaks": [1e9, 1e9]})
    for pipeline in (data.pipeline, Pipeline.from_state(data.state())):
        assert pipeline.inputs(later)[:, 0].tolist() == [0.0, 0.0]


def test_the_noise_of_32_bit_columns_is_constant_too():
    noise = np.resize(np.float32([1 / 3, np.nextafter(np.float32(1 / 3), np.float32(1))]), 200)
    data = prepared(pd.DataFrame({"noise": noise, "z": STEPS}))
    assert (data.preprocess.scale == 0).tolist() == [True, False]


def test_the_fingerprint_sees_a_minute_and_keeps_that_of_ordinary_columns():
    seconds = column("Unix seconds, a minute apart", STEPS)
    one = prepared(pd.DataFrame({"t": seconds})).card["fingerprint"]
    seconds[3] += 60
    assert prepared(pd.DataFrame({"t": seconds})).card["fingerprint"] != one


def test_what_lies_beyond_32_bits_is_named():
    table = pd.DataFrame({"t": column("Unix seconds, a minute apart", STEPS)})
    data = prepared(table)
    with pytest.raises(DataError, match="column 't' holds 1 infinite"):
        data.encoder.encode([{"t": 1e300}])
    table.loc[3, "t"] = 1e300
    with pytest.raises(DataError, match="column 't' holds 1 infinite"):
        prepared(table)
