"""How long a call may last at the carrier: the last net, below everything that ends a call by itself. Seconds."""

from math import ceil

from agenx_cli.core.script import MAX_OPENING_CHARACTERS

SPOKEN_CHARACTERS_PER_S = 15
"""A calm voice. The carrier counts from the answer, and speaks the opening before the conversation's clock starts."""
GOODBYE_S = 20
"""The stream has to connect, a goodbye at the end of ``max_call`` is drained, and our own hang-up has to arrive."""
TIME_LIMIT_SLACK_S = ceil(MAX_OPENING_CHARACTERS / SPOKEN_CHARACTERS_PER_S) + GOODBYE_S


def time_limit_s(max_call: int) -> int:
    """What the carrier is told for a conversation of at most ``max_call``: it must never cut off a goodbye."""
    return max_call + TIME_LIMIT_SLACK_S
