"""How loud the callee is, and whether that is a voice or the room.

Levels are in dBFS: 0 is the loudest that 16-bit linear audio can say, -127 stands for digital silence.

A sound is *voiced* when it is more than 12 dB over the noise floor and over -50 dBFS. The floor follows what is not
voiced: down quickly, because a quiet frame proves a quiet room, and up slowly. While somebody speaks it stands still,
except that no person speaks for four seconds without one soft frame: after that long the softest frame of the stretch
is the room, whatever it is (a fan, a street). The floor never rises so far that speech at a normal level is lost.
"""

import audioop
from dataclasses import dataclass
from math import log10

SILENT_DB = -127.0
FULL_SCALE = 32_768
OVER_FLOOR_DB = 12.0
FAINTEST_DB = -50.0
FLOOR_AT_FIRST_DB = -60.0
FLOOR_LOWEST_DB = -70.0
FLOOR_HIGHEST_DB = -40.0
FALLS_BY = 0.5
"""Share of the way down that the floor goes in one frame."""
RISES_DB = 0.06
"""Per frame of 20 ms: 3 dB a second."""
LONGEST_SPEECH_FRAMES = 200


def level_db(ulaw: bytes) -> float:
    """The level of G.711 μ-law audio of any length, -127.0 for silence or nothing at all."""
    rms = audioop.rms(audioop.ulaw2lin(ulaw, 2), 2)
    return 20 * log10(rms / FULL_SCALE) if rms else SILENT_DB


@dataclass(slots=True)
class Ears:
    """One callee. Give every frame of 20 ms, in order."""

    floor_db: float = FLOOR_AT_FIRST_DB
    _voiced_frames: int = 0
    _softest_db: float = 0.0

    def hear(self, level: float) -> bool:
        """Whether a frame of this level (dBFS) is voiced."""
        voiced = level > FAINTEST_DB and level > self.floor_db + OVER_FLOOR_DB
        if voiced:
            self._speech(level)
        else:
            self._room(level)
        return voiced

    def _room(self, level: float) -> None:
        self._voiced_frames = 0
        step = (level - self.floor_db) * FALLS_BY if level < self.floor_db else min(RISES_DB, level - self.floor_db)
        self._settle(self.floor_db + step)

    def _speech(self, level: float) -> None:
        self._softest_db = min(self._softest_db, level) if self._voiced_frames else level
        self._voiced_frames += 1
        if self._voiced_frames >= LONGEST_SPEECH_FRAMES:
            self._voiced_frames = 0
            self._settle(self._softest_db)

    def _settle(self, floor: float) -> None:
        self.floor_db = min(max(floor, FLOOR_LOWEST_DB), FLOOR_HIGHEST_DB)
