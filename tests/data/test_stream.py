"""Laws of the stream: the batch of a step is a function of (seed, step) alone, and a resume is exact."""

import pytest
import torch
from drawn_examples import up_to
from hypothesis import given
from hypothesis import strategies as st
from row_numbers import batches

from autogrow.data import TensorStream
from autogrow.errors import CheckpointError, DataError


def stream(n=103, *, seed=0, **fields):
    given_fields = {"batch_size": 10, "steps_per_check": 7, "burst": 3} | fields
    x = torch.arange(n, dtype=torch.float32)[:, None].expand(n, 4).contiguous()
    return TensorStream(x, torch.arange(n), seed=seed, **given_fields)


sizes = {"n": st.integers(1, 60), "batch_size": st.integers(1, 20), "members": st.integers(1, 3)}


@given(**sizes, steps_per_check=st.integers(1, 12), burst=st.integers(1, 8), seed=st.integers(0, 3))
@up_to(60)
def test_the_batch_of_a_step_does_not_depend_on_how_steps_are_cut(n, batch_size, members, steps_per_check, burst, seed):
    kwargs = {"batch_size": batch_size, "members": members, "seed": seed}
    cut = batches(stream(n, steps_per_check=steps_per_check, burst=burst, **kwargs), range(4))
    one_by_one = stream(n, steps_per_check=1, burst=1, **kwargs)
    assert torch.equal(cut, torch.cat([one_by_one.steps(t, t + 1)[1] for t in range(4 * steps_per_check)]))


@given(**sizes)
@up_to(40)
def test_a_pass_sees_each_row_at_most_once_and_drops_less_than_a_batch(n, batch_size, members):
    a_stream = stream(n, batch_size=batch_size, members=members)
    for a_pass in range(3):
        begin = a_pass * a_stream.steps_per_pass
        rows = a_stream.steps(begin, begin + a_stream.steps_per_pass)[1].reshape(a_stream.steps_per_pass, members, -1)
        for member in rows.unbind(1):
            seen = member.flatten().tolist()
            assert len(set(seen)) == len(seen) > n - min(batch_size, n)


def test_shapes_and_lengths():
    assert [tuple(xs.shape) for xs, _ in stream()] == [(3, 10, 4), (3, 10, 4), (1, 10, 4)]
    assert len(stream()) == 3
    assert [tuple(ys.shape) for _, ys in stream(members=2)] == [(3, 2, 10), (3, 2, 10), (1, 2, 10)]
    assert next(iter(stream(4)))[0].shape == (3, 4, 4)  # fewer rows than a batch: the batch is all of them
    assert stream().passes(25) == 2.5


@pytest.mark.parametrize("differ", [{"seed": 1}, {"member": 1}, {"a_pass": 1}])
def test_seeds_passes_and_members_have_orders_of_their_own(differ):
    def order(seed=0, a_pass=0, member=0):
        return stream(seed=seed, members=2)._order(a_pass, member)

    assert torch.equal(order(), order())
    assert not torch.equal(order(), order(**differ))
    assert torch.equal(order().sort().values, torch.arange(103))


@pytest.mark.parametrize("taken", [0, 1, 2, 3])
def test_a_resume_within_a_check_goes_on_exactly(taken):
    whole = batches(stream(members=2), range(5))
    first, check = stream(members=2), 2
    before = [batches(first, range(check))]
    first.set_epoch(check)
    bursts = iter(first)
    before += [next(bursts)[1] for _ in range(taken)]
    state = first.state_dict()
    second = stream(members=2)
    second.load_state_dict(state)
    after = batches(second, range(check if taken < len(first) else check + 1, 5))
    assert torch.equal(torch.cat([*before, after]), whole)


def test_the_state_is_plain(tmp_path):
    torch.save(stream().state_dict(), tmp_path / "state.pt")
    stream().load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))


def test_a_resume_with_other_data_or_batches_is_refused():
    with pytest.raises(CheckpointError, match="resume needs the rows, batch size"):
        stream(batch_size=5).load_state_dict(stream().state_dict())


def test_the_global_random_state_is_not_touched():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    one = batches(stream(), range(3))
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(4)
    assert torch.equal(one, batches(stream(), range(3)))


def test_it_remembers_a_few_orders_only():
    a_stream = stream(members=2)
    batches(a_stream, range(30))
    assert len(a_stream._orders) <= 4


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"n": 0}, "at least one, got 0"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"steps_per_check": 0}, "steps_per_check must be at least 1"),
        ({"members": 0}, "members must be at least 1"),
    ],
)
def test_what_no_stream_can_be_made_of(fields, says):
    with pytest.raises(DataError, match=says):
        stream(**fields)


@given(**sizes, more=st.integers(1, 40), at=st.integers(0, 5))
@up_to(40)
def test_rows_that_are_learned_from_later_are_drawn_like_the_others(n, batch_size, members, more, at):
    """From `learn_also` on a pass covers old and new rows alike, with their own targets; before it nothing changes."""
    kwargs = {"batch_size": batch_size, "members": members, "steps_per_check": 5}
    plain, a_stream = stream(n, **kwargs), stream(n, **kwargs)
    assert torch.equal(batches(a_stream, range(at)), batches(plain, range(at))) if at else True
    rows = torch.arange(n, n + more)
    a_stream.learn_also(rows.float()[:, None].expand(more, 4).contiguous(), rows)
    steps = (n + more) // a_stream.batch_size
    drawn = a_stream.steps(steps, 2 * steps)
    assert torch.equal(drawn[0][..., 0].long(), drawn[1])
    for member in drawn[1].reshape(steps, members, -1).unbind(1):
        seen = member.flatten().tolist()
        assert len(set(seen)) == len(seen) > n + more - a_stream.batch_size
        assert set(seen) <= set(range(n + more))
    assert a_stream.passes(25) == plain.passes(25)
