"""The carrier's limit is the last net: nothing that ends by itself may be cut off by it."""

from hypothesis import given
from hypothesis import strategies as st

from agenx_cli.core.limits import TIME_LIMIT_SLACK_S, time_limit_s
from agenx_cli.core.script import MAX_OPENING_CHARACTERS


def test_the_longest_opening_and_a_goodbye_fit():
    assert TIME_LIMIT_SLACK_S == 60
    slowest_voice = 13  # characters a second
    assert TIME_LIMIT_SLACK_S - MAX_OPENING_CHARACTERS / slowest_voice > 10


@given(st.integers(30, 3_600))
def test_every_conversation_may_last_as_long_as_it_was_promised(max_call):
    assert time_limit_s(max_call) == max_call + 60
