"""The recording: every sample where it was heard."""

import audioop
import stat
import sys
import wave
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agenx_cli.bridge.recorder import LONGEST_MS, SPOOL_BYTES, Recorder, assemble, assemble_left
from agenx_cli.errors import StoreError

SILENT = 0


def read(path):
    """Both sides as linear samples."""
    with wave.open(str(path), "rb") as wav:
        assert (wav.getnchannels(), wav.getsampwidth(), wav.getframerate()) == (2, 2, 8000)
        frames = wav.readframes(wav.getnframes())
    sides = audioop.tomono(frames, 2, 1, 0), audioop.tomono(frames, 2, 0, 1)
    return [list(memoryview(side).cast("h")) for side in sides]


def linear(ulaw):
    return list(memoryview(audioop.ulaw2lin(ulaw, 2)).cast("h"))


def placed(pieces):
    """What a side must hold: the model that the recorder is measured against."""
    out = []
    for kind, at_ms, audio in pieces:
        start = at_ms * 8
        if kind == "cut":
            del out[start:]
            continue
        out.extend([SILENT] * (start - len(out)))
        out[start : start + len(audio)] = linear(audio)
    return out


moments = st.integers(0, 3000)
audio = st.binary(min_size=1, max_size=800)
put = st.tuples(st.just("put"), moments, audio)
cut = st.tuples(st.just("cut"), moments, st.just(b""))


@given(st.lists(put, max_size=12), st.lists(put | cut, max_size=12))
def test_every_sample_lies_where_it_was_heard(callee, assistant):
    with TemporaryDirectory() as directory:
        recorder = Recorder(Path(directory) / "call.wav")
        for i in range(max(len(callee), len(assistant))):
            for _, at_ms, piece in callee[i : i + 1]:
                recorder.callee(at_ms, piece)
            for kind, at_ms, piece in assistant[i : i + 1]:
                if kind == "cut":
                    recorder.cleared(at_ms)
                else:
                    recorder.assistant(at_ms, piece)
        left, right = read(recorder.close())
    wanted = placed(callee), placed(assistant)
    length = max(map(len, wanted))
    assert left == wanted[0] + [SILENT] * (length - len(wanted[0]))
    assert right == wanted[1] + [SILENT] * (length - len(wanted[1]))


def test_a_gap_is_silence_and_the_callee_is_on_the_left(tmp_path):
    recorder = Recorder(tmp_path / "call.wav")
    recorder.callee(0, b"\x10" * 160)
    recorder.callee(60, b"\x20" * 160)
    recorder.assistant(20, b"\x30" * 160)
    left, right = read(recorder.close())
    assert left == linear(b"\x10" * 160 + b"\xff" * 320 + b"\x20" * 160)
    assert right == linear(b"\xff" * 160 + b"\x30" * 160 + b"\xff" * 320)


def test_what_was_cleared_before_it_was_heard_is_not_in_it(tmp_path):
    recorder = Recorder(tmp_path / "call.wav")
    recorder.assistant(0, b"\x10" * 1600)
    recorder.cleared(100)
    recorder.cleared(150)
    recorder.assistant(300, b"\x20" * 160)
    _, right = read(recorder.close())
    assert right == linear(b"\x10" * 800 + b"\xff" * 1600 + b"\x20" * 160)


def test_minutes_of_audio_go_to_the_disk_while_the_call_lasts(tmp_path):
    recorder = Recorder(tmp_path / "call.wav")
    for i in range(1500):
        recorder.callee(i * 20, bytes([i % 255]) * 160)
    on_disk = (tmp_path / "call.wav.callee.part").stat().st_size
    assert on_disk > 30_000 * 16 - 2 * SPOOL_BYTES
    left, _ = read(recorder.close())
    assert left == linear(b"".join(bytes([i % 255]) * 160 for i in range(1500)))


def test_many_scattered_pieces_do_not_wait_in_memory(tmp_path):
    recorder = Recorder(tmp_path / "call.wav")
    for i in range(600):
        recorder.callee(i * 2, b"\x10")
    assert (tmp_path / "call.wav.callee.part").stat().st_size > 0
    left, _ = read(recorder.close())
    assert left.count(linear(b"\x10")[0]) == 600


def test_impossible_moments_are_dropped_and_counted(tmp_path):
    recorder = Recorder(tmp_path / "call.wav")
    recorder.callee(-1, b"\x10")
    recorder.callee(LONGEST_MS + 1, b"\x10")
    recorder.callee(10**18, b"\x10")
    recorder.cleared(-5)
    assert recorder.dropped == 3
    assert read(recorder.close()) == [[], []]


def test_closing_twice_gives_the_same_file_and_leaves_no_parts(tmp_path):
    recorder = Recorder(tmp_path / "deep" / "call.wav")
    recorder.callee(0, b"\x10" * 160)
    path = recorder.close()
    assert recorder.close() == path == tmp_path / "deep" / "call.wav"
    recorder.callee(20, b"\x10" * 160)
    recorder.cleared(0)
    assert recorder.dropped == 1
    assert list(path.parent.iterdir()) == [path]
    if sys.platform != "win32":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_recording_whose_process_died_can_still_be_made(tmp_path):
    path = tmp_path / "call.wav"
    recorder = Recorder(path)
    recorder.callee(0, b"\x10" * SPOOL_BYTES)
    with (tmp_path / "call.wav.callee.part").open("ab") as part:
        part.write(b"\x01")
    (tmp_path / "call.wav.wav.part").write_bytes(b"half a draft")
    left, right = read(assemble(path))
    assert left == linear(b"\x10" * SPOOL_BYTES)
    assert set(right) == {SILENT}
    assert list(tmp_path.iterdir()) == [path]


def test_a_recording_never_begins_over_another_one(tmp_path):
    first = Recorder(tmp_path / "call.wav")
    with pytest.raises(StoreError, match="cannot be made"):
        Recorder(tmp_path / "call.wav")
    first.close()
    (tmp_path / "call.wav.assistant.part").touch()
    with pytest.raises(StoreError, match="cannot be made"):
        Recorder(tmp_path / "call.wav")
    assert not (tmp_path / "call.wav.callee.part").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="a limit on the size of files stands for the full disk")
def test_a_full_disk_ends_the_recording_and_not_the_call(tmp_path):
    import resource

    recorder = Recorder(tmp_path / "call.wav")
    recorder.assistant(0, b"\x10" * 160)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (SPOOL_BYTES, before[1]))
    try:
        recorder.callee(0, b"\x10" * SPOOL_BYTES)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    recorder.callee(20, b"\x10" * 160)
    recorder.assistant(20, b"\x10" * 160)
    assert recorder.dropped == 2
    for _ in range(2):
        with pytest.raises(StoreError, match="not complete") as refused:
            recorder.close()
    assert refused.value.fix
    left, right = read(assemble(tmp_path / "call.wav"))
    assert left == linear(b"\x10" * SPOOL_BYTES)
    assert right[:160] == linear(b"\x10" * 160)


def test_a_recording_that_cannot_be_written_keeps_its_parts_until_it_can(tmp_path):
    path = tmp_path / "call.wav"
    recorder = Recorder(path)
    recorder.callee(0, b"\x10" * 160)
    path.mkdir()
    with pytest.raises(StoreError, match="cannot be written"):
        recorder.close()
    path.rmdir()
    left, _ = read(recorder.close())
    assert left == linear(b"\x10" * 160)


def test_recordings_of_a_process_that_died_are_made_at_the_next_start(tmp_path):
    for name in ("one", "two"):
        recorder = Recorder(tmp_path / f"{name}.wav")
        recorder.callee(0, b"\x10" * 160 * 300)
        recorder.assistant(0, b"\x20" * 160 * 300)
        for spool in (recorder._left, recorder._right):
            spool.close()
    assert assemble_left(tmp_path) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.wav", "two.wav"]
    assert assemble_left(tmp_path) == 0
    assert assemble_left(tmp_path / "none") == 0
