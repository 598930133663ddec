"""Where espeak-ng is installed a person hears the words; the listener understands them either way."""

import os
import shutil

import pytest

from agenx_cli.sim import espeak
from agenx_cli.sim.sound import SILENCE, Listener, Said, speak

installed = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
QUESTION = "¿Le viene bien el martes 24 a las 10:00?"


@installed
@pytest.mark.parametrize("voice", [0, 1])
def test_spoken_aloud_it_is_understood_and_takes_as_long_as_speech(voice):
    ulaw = speak(QUESTION, voice=voice, engine="espeak")
    assert Listener().hear(ulaw)[-1] == Said(QUESTION, complete=True)
    assert SILENCE not in ulaw
    assert 8_000 < len(ulaw) < 48_000


def test_without_the_program_the_babble_speaks(monkeypatch):
    monkeypatch.setenv("PATH", os.devnull)
    assert espeak.aloud("hola") == b""
    assert speak("hola", engine="espeak") == speak("hola")


def test_a_program_that_does_not_answer_with_sound_is_no_voice(monkeypatch, tmp_path):
    if os.name == "nt":
        pytest.skip("a script is not a program there")
    program = tmp_path / "espeak-ng"
    program.write_text("#!/bin/sh\necho no sound\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert espeak.aloud("hola") == b""


def test_the_samples_are_read_from_a_stream_of_unknown_length():
    header = b"RIFF\xff\xff\xff\x7fWAVEfmt \x10\0\0\0\x01\0\x01\0" + (22_050).to_bytes(4, "little") + bytes(8)
    assert espeak._samples(header + b"data\xff\xff\xff\x7f" + b"\x01\x02\x03") == (22_050, b"\x01\x02")
