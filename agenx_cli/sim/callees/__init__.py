"""The simulated people at the other end of the line: six personas, seeded, who know only what they hear."""

from agenx_cli.sim.callees.callee import PERSONAS, Callee, HangUp

__all__ = ["PERSONAS", "Callee", "HangUp"]
