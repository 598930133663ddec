"""The sound of espeak-ng, where it is installed: a voice that says the words aloud for whoever listens along.

The words still cross the line in the lowest bits (``sim.sound``); this is only what a person hears.
"""

import shutil
import subprocess  # the synthesiser is a program of its own
import warnings

from agenx_cli.sim.babble import RATE_HZ

_SPEED_WPM = "170"
_LEVEL_RMS = 4_100  # -18 dBFS
_UNHIDEABLE = bytes(0x7E if code & 0xFE == 0xFE else code & 0xFE for code in range(256))


def aloud(text: str, *, voice: int = 0, language: str = "es") -> bytes:
    """The text in μ-law at 8,000 Hz with free lowest bits, like ``babble``; empty where there is no espeak-ng.

    It is as long as the speech is. Odd voices are women's.
    """
    program = shutil.which("espeak-ng")
    if program is None:
        return b""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import audioop  # noqa: PLC0415 - deprecated where it is built in, and needed only here
    name = f"{language}+f2" if voice % 2 else f"{language}+m{1 + voice % 4}"
    told = [program, "--stdout", "-s", _SPEED_WPM, "-v", name, "--stdin"]
    done = subprocess.run(told, input=text.encode("utf-8", "replace"), capture_output=True, check=False, timeout=20)  # noqa: S603 - a fixed program, the text is not an argument
    rate, linear = _samples(done.stdout)
    if not linear:
        return b""
    narrow, _ = audioop.ratecv(linear, 2, 1, rate, RATE_HZ, None)
    loud = audioop.mul(narrow, 2, _LEVEL_RMS / max(audioop.rms(narrow, 2), 1))
    return bytes(audioop.lin2ulaw(loud, 2)).translate(_UNHIDEABLE)


def _samples(wav: bytes) -> tuple[int, bytes]:
    """Rate and 16-bit samples of what espeak-ng writes to a pipe: 44 bytes of header with a length it cannot know."""
    if wav[:4] != b"RIFF" or wav[36:40] != b"data":
        return RATE_HZ, b""
    data = wav[44:]
    return int.from_bytes(wav[24:28], "little"), data[: len(data) & ~1]
