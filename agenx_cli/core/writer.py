"""The single writer: who may make the model speak, and when.

A wish for a reply waits until nobody writes; then it is asked for, the model begins, the model ends::

    idle --ask--> asked --started--> active --ended--> idle

A reply that is stopped before it began is cancelled the moment it begins. A writer from whom nothing is heard for 10 s
is given up. A reply that failed is wished for again, twice, a little later each time.
"""

from dataclasses import dataclass, replace

from agenx_cli.core.signals import AskReply

SILENT_AFTER_MS = 10_000
RETRIES = 2
RETRY_AFTER_MS = 400
UNKNOWN = ""
"""Stands for the id of an active reply of which we know only that it is."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A reply that somebody wants. ``farewell`` is the reason for which the call ends after it."""

    instructions: str | None = None
    tools: bool = True
    not_before: int = 0
    farewell: str | None = None


ANSWER = Wish()


@dataclass(slots=True)
class Writer:
    """Moments in milliseconds."""

    wish: Wish | None = None
    command_id: str | None = None
    reply_id: str | None = None
    current: Wish = ANSWER
    alive_at: int = 0
    failures: int = 0
    discarded: bool = False

    @property
    def idle(self) -> bool:
        """Nobody writes (there may be a wish)."""
        return self.command_id is None and self.reply_id is None

    @property
    def wanted(self) -> bool:
        """Somebody writes, and what is written is still wanted."""
        return not self.idle and not self.discarded

    def want(self, wish: Wish) -> None:
        """A reply is wanted; a wish that waits already is enough."""
        self.wish = self.wish or wish

    def due(self, now: int) -> bool:
        """Whether something is wished that may be asked for at this moment."""
        return self.wish is not None and self.idle and now >= self.wish.not_before

    def ask(self, command_id: str, now: int) -> AskReply:
        """Ask for what is wished; only when it is due."""
        wish = self.wish or ANSWER
        self.wish, self.current = None, wish
        self.command_id, self.alive_at, self.discarded = command_id, now, False
        return AskReply(command_id, wish.instructions, wish.tools)

    def started(self, reply_id: str, now: int) -> bool:
        """The model began. Answers whether the reply is still wanted."""
        self.command_id, self.reply_id, self.alive_at = None, reply_id, now
        return not self.discarded

    def stop(self) -> str | None:
        """The reply that is being written is not wanted any more: the id to cancel, if it has one."""
        self.discarded = not self.idle
        self.wish = None
        return self.reply_id

    def ended(self, reply_id: str) -> Wish | None:
        """The model ended a reply: what it was meant for, None if it is not the one we wait for."""
        ours = self.reply_id == reply_id
        if ours or self.reply_id == UNKNOWN:
            self.reply_id = None
        return self.current if ours else None

    def release(self) -> Wish:
        """Nothing will come of what was asked for: what it was meant for."""
        self.command_id = self.reply_id = None
        return self.current

    def blocked(self, now: int) -> None:
        """Another reply is active that we do not know: wait for its end, then ask again."""
        self.wish = self.wish or self.current
        self.command_id, self.reply_id, self.alive_at = None, UNKNOWN, now

    def silent(self, now: int) -> bool:
        """Whether whoever writes has not been heard of for too long."""
        return not self.idle and now - self.alive_at > SILENT_AFTER_MS

    def failed(self, wish: Wish, now: int) -> bool:
        """A reply came to nothing. Answers whether it will be tried again."""
        self.failures += 1
        if self.failures > RETRIES:
            return False
        self.want(replace(wish, not_before=now + RETRY_AFTER_MS * self.failures))
        return True
