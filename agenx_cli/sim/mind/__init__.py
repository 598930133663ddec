"""The simulated model's mind: rules instead of a language model, with nothing to go by but what a model has."""

from agenx_cli.sim.mind.view import Memory, Thought, ToolUse, View

__all__ = ["Memory", "Thought", "ToolUse", "View"]
