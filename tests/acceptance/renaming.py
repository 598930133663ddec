"""A provider that calls a tool by another name than we do: the model only ever sees the other one."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from agenx_cli import wiring
from agenx_cli.core.lead import E164
from agenx_cli.core.signals import Event, ReplyEnded
from agenx_cli.engine.local import NewCall
from agenx_cli.intake.playbook_files import load_playbook
from agenx_cli.ports import Assignment, SessionConfig, VoiceLeg, VoiceModel
from agenx_cli.settings import Settings
from tests.acceptance.world import World

OURS, THEIRS = "book_meeting", "anotar_cita"


class Renaming:
    """Another voice model behind this one, with one tool renamed in all that is said to it."""

    def __init__(self, inner: VoiceModel) -> None:
        self._inner = inner

    async def connect(self, config: SessionConfig, receive: Callable[[Event], None]) -> VoiceLeg:
        def renamed(event: Event) -> None:
            if isinstance(event, ReplyEnded):
                calls = tuple(replace(call, name=OURS) if call.name == THEIRS else call for call in event.tool_calls)
                event = replace(event, tool_calls=calls)
            receive(event)

        tools = tuple({**tool, "name": THEIRS} if tool["name"] == OURS else tool for tool in config.tools)
        told = replace(config, instructions=config.instructions.replace(OURS, THEIRS), tools=tools)
        return await self._inner.connect(told, renamed)


async def call(world: World, folder: Path, number: str, playbook: Path) -> None:
    """One call out through the whole composition, with that provider in the registry."""
    home = folder / "home-renamed"
    home.mkdir()
    settings = Settings(home=home, database_url=f"sqlite:///{home / 'agenx.db'}", port=0).overlay(world.env)
    loaded = load_playbook(playbook)
    before = wiring.VOICES
    wiring.VOICES = {"openai": lambda settings: Renaming(before["openai"](settings))}
    try:
        async with wiring.working(settings, kind="call", playbook=loaded) as worker:
            new = NewCall(E164(number), settings.need_number(), Assignment(loaded, {}, False))
            admitted = await worker.engine.submit(new)
            await worker.engine.over(admitted.uid)
            await worker.desk.left(admitted.uid)
    finally:
        wiring.VOICES = before
