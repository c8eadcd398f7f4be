"""The states of the server, and who hears of them."""

import pytest

from serving.lifecycle import FINAL, Lifecycle, State

WAY = [State.LOADING, State.WARMING, State.READY]


def test_a_server_is_starting_and_takes_no_requests_at_first() -> None:
    lifecycle = Lifecycle()
    assert lifecycle.state is State.STARTING
    assert not lifecycle.is_ready
    assert not lifecycle.is_stopping


def test_requests_are_taken_in_ready_alone() -> None:
    lifecycle = Lifecycle()
    for state in [*WAY, State.STOPPING]:
        lifecycle.enter(state)
        assert lifecycle.state is state
        assert lifecycle.is_ready == (state is State.READY)
        assert lifecycle.is_stopping == (state is State.STOPPING)


@pytest.mark.parametrize("final", [state for state in State if state in FINAL])
@pytest.mark.parametrize("later", State)
def test_nothing_follows_a_final_state(final: State, later: State) -> None:
    """Else a loader that ends late would undo a SIGTERM."""
    lifecycle = Lifecycle()
    heard: list[State] = []
    lifecycle.enter(final)
    lifecycle.listen(heard.append)
    lifecycle.enter(later)
    assert lifecycle.state is final
    assert heard == [final]


def test_listeners_hear_the_current_state_and_every_later_one() -> None:
    lifecycle = Lifecycle()
    early: list[State] = []
    late: list[State] = []
    lifecycle.listen(early.append)
    lifecycle.enter(State.LOADING)
    lifecycle.listen(late.append)
    lifecycle.enter(State.WARMING)
    assert early == [State.STARTING, State.LOADING, State.WARMING]
    assert late == [State.LOADING, State.WARMING]
