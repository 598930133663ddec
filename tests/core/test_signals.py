"""The words of a conversation are values."""

import dataclasses
from typing import get_args

import pytest

from agenx_cli.core import signals

EVENTS = get_args(signals.Event)
COMMANDS = get_args(signals.Command)


def test_every_word_is_an_event_or_a_command_and_none_is_both():
    words = {word for word in vars(signals).values() if isinstance(word, type) and dataclasses.is_dataclass(word)}
    assert set(EVENTS) | set(COMMANDS) == words - {signals.ToolCall}
    assert not set(EVENTS) & set(COMMANDS)
    assert set(get_args(signals.ModelCommand)) < set(COMMANDS)


@pytest.mark.parametrize("word", [*EVENTS, *COMMANDS, signals.ToolCall])
def test_no_word_can_be_changed_after_it_was_said(word):
    said = word(*("x" for field in dataclasses.fields(word)))
    assert not hasattr(said, "__dict__")
    assert said == word(*("x" for field in dataclasses.fields(word)))
    with pytest.raises((dataclasses.FrozenInstanceError, TypeError)):  # TypeError: slots without fields
        said.anything = 1


@pytest.mark.parametrize("word", EVENTS)
def test_no_event_carries_our_moment(word):
    assert {"now", "at", "moment"}.isdisjoint(field.name for field in dataclasses.fields(word))
