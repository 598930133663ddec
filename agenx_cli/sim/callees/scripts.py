"""What each persona that talks wants: a table from what it heard to what it says.

A cell names an entry of the phrase book, or one of these:

=========  =========================================================================================================
``choose``   take one of the times on offer
``again``    say once more what it said last
``quiet``    say nothing
=========  =========================================================================================================

The cells of a row are said in turn when the same intent comes again, the last one for ever. An entry in ``LEAVING`` is
followed by hanging up. ``STATEMENT`` and ``WAIT`` are answered sparingly: who talks at every full stop is talked over.
To add a persona, add a row here and its name to ``PERSONAS``.
"""

from dataclasses import dataclass

from agenx_cli.sim.callees.phrases import Intent

LEAVING = frozenset({"bye", "leave", "no_use", "thanks_bye"})

Cells = dict[Intent, tuple[str, ...]]

_POLITE: Cells = {
    Intent.STILL_THERE: ("here",),
    Intent.REPEAT: ("again", "again", "leave"),
    Intent.FAREWELL: ("bye",),
    Intent.ANYTHING_ELSE: ("nothing",),
    Intent.DONE: ("thanks", "quiet"),
    Intent.WAIT: ("quiet",),
}
_WILLING: Cells = _POLITE | {
    Intent.OFFER: ("choose",),
    Intent.CONFIRM: ("yes",),
    Intent.EMAIL: ("email",),
    Intent.NAME: ("name",),
    Intent.WHEN: ("when",),
    Intent.QUESTION: ("interest", "sure"),
    Intent.STATEMENT: ("go_on", "go_on", "quiet"),
}
_ASKING = (Intent.OFFER, Intent.EMAIL, Intent.NAME, Intent.WHEN, Intent.QUESTION)
_DECLINING = ("decline", "insist", "insist", "leave")


@dataclass(frozen=True, slots=True)
class Script:
    """One persona. ``cuts_in``: how often at most it talks into a long utterance (1 or 2, by its seed)."""

    answers: Cells
    cuts_in: int = 0


SCRIPTS: dict[str, Script] = {
    "interested": Script(_WILLING),
    "interrupts": Script(_WILLING, cuts_in=2),
    "not_interested": Script(
        _POLITE | dict.fromkeys((*_ASKING, Intent.CONFIRM), _DECLINING) | {Intent.STATEMENT: ("decline", "quiet")}
    ),
    "do_not_call": Script(
        _POLITE
        | dict.fromkeys(_ASKING, ("opt_out", "opt_out", "leave"))
        | {
            Intent.CONFIRM: ("opt_out", "yes", "leave"),
            Intent.STATEMENT: ("opt_out", "quiet"),
            Intent.DONE: ("thanks_bye",),
        }
    ),
}
