"""Playbooks that the acceptance runs speak with: the shipped one, changed in one thing each, and an English one."""

import re
from pathlib import Path

from agenx_cli.intake.playbook_files import find_playbook

ENGLISH = '''
name = "english"
company = "Northwind"
assistant = "Robin"
purpose = "offer the services of Northwind and arrange a meeting about automating your processes"
language = "en"
time_zone = "Europe/Madrid"
opening = """Hello, I am Robin, an artificial intelligence assistant of {{ company }}. \\
If you want no more calls, just say so. Is this a good moment?"""
greeting = """Hello, thank you for calling {{ company }}. I am Robin, an artificial intelligence assistant. \\
If you want no more calls, just say so. How can I help you?"""
apology = "I am sorry, something went wrong. Goodbye."
tools = ["check_availability", "book_meeting", "cancel_meeting", "schedule_callback", "opt_out", "end_call"]

[limits]
ring = 15

[meetings]
title = "Northwind: automation"
[meetings.hours]
mon_fri = ["09:00-14:00", "15:00-18:00"]
'''


def shipped(folder: Path, name: str = "agenx-ai", *changes: tuple[str, str]) -> Path:
    """The shipped playbook under a name of its own, with some lines replaced (patterns over its TOML)."""
    source = find_playbook("agenx-ai")
    text = (source / "playbook.toml").read_text(encoding="utf-8")
    for pattern, line in ((r'^name = "agenx-ai"$', f'name = "{name}"'), (r"^ring = \d+$", "ring = 15"), *changes):
        text, times = re.subn(pattern, line, text, count=1, flags=re.MULTILINE | re.DOTALL)
        assert times == 1, pattern
    instructions = (source / "instructions.md").read_text(encoding="utf-8")
    return _write(folder / name, text, instructions)


def without_booking(folder: Path) -> Path:
    """Nothing can be booked: the tool is not there."""
    return shipped(folder, "no-booking", (r'^ *"book_meeting",\n', ""))


def without_free_time(folder: Path) -> Path:
    """A calendar with nothing free: the only hour of the week lies beyond the horizon."""
    hours = '[meetings.hours]\nmon = "09:30-10:00"\n'
    return shipped(
        folder, "no-time", (r"^horizon_days = \d+$", "horizon_days = 2"), (r"^\[meetings\.hours\].*\Z", hours)
    )


def english(folder: Path) -> Path:
    """Another company, in English."""
    return _write(folder / "english", ENGLISH, "# Role\nYou are {{ assistant }} of {{ company }}. Be brief and kind.\n")


def _write(folder: Path, playbook: str, instructions: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "playbook.toml").write_text(playbook, encoding="utf-8")
    (folder / "instructions.md").write_text(instructions, encoding="utf-8")
    return folder
