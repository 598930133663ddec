"""What was sent, what was heard, what is still to come: against an independent model of the carrier's buffer."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agenx_cli.core.playout import Cut, Playout
from agenx_cli.core.signals import ClearPlayout, Play, PutMark
from tests.core.world import CarrierLine


def samples(ms, first=0):
    """Known audio without 0xFF."""
    return bytes((first + i) % 251 for i in range(ms * 8))


class Room:
    """A playout, the line behind it, and everything that was sent."""

    def __init__(self, latency_ms=0, *, marks=True):
        self.now = 0
        self.playout = Playout()
        self.line = CarrierLine(latency_ms)
        self.marks = marks
        self.plays = []
        self.put = []
        self.finished = []

    def send(self):
        for command in self.playout.due(self.now):
            self.line.send(command, self.now)
            if isinstance(command, Play):
                self.plays.append((self.now, command))
            else:
                self.put.append((self.now, command.name))

    def run(self, ms):
        for _ in range(ms):
            for name in self.line.step(self.now):
                finished = self.playout.returned(name, self.now) if self.marks else None
                if finished is not None:
                    self.finished.append((finished, self.now))
            if self.now % 20 == 0:
                self.send()
            self.now += 1

    def say(self, utterance_id, audio, *, end=True):
        self.playout.add(utterance_id, audio)
        if end:
            self.playout.end(utterance_id)
        self.send()

    def clear(self):
        self.line.send(ClearPlayout(), self.now)
        return self.playout.clear(self.now)

    @property
    def sent(self):
        return b"".join(play.audio for _, play in self.plays)


# --- sending


def test_audio_leaves_in_chunks_of_60_ms_until_200_ms_are_ahead():
    room = Room()
    room.say("u", samples(2000))
    assert [len(play.audio) for _, play in room.plays] == [480] * 4
    room.run(2500)
    assert {len(play.audio) for _, play in room.plays[:-1]} == {480}
    aheads = [room.plays[n][0] for n in range(4, len(room.plays))]
    assert aheads == [60 + 60 * n for n in range(len(aheads))]
    assert bytes(room.line.heard) == samples(2000)


def test_200_ms_ahead_are_enough_and_199_are_not():
    playout = Playout()
    playout.add("u", samples(2000))
    assert len([c for c in playout.due(0) if isinstance(c, Play)]) == 4
    assert playout.due(40) == []
    assert len(playout.due(41)) == 1


def test_each_chunk_says_when_it_will_be_heard():
    room = Room()
    room.run(100)
    room.say("u", samples(1000))
    room.run(1500)
    assert [play.at_ms for _, play in room.plays] == [100 + 60 * n for n in range(17)]


def test_a_mark_follows_every_240_ms_and_the_end():
    room = Room()
    room.say("u", samples(1000))
    room.run(1500)
    assert len(room.put) == 5
    assert [at for at, _ in room.put] == [0, 240, 480, 720, 780]
    assert len({name for _, name in room.put}) == 5


def test_the_end_of_an_utterance_is_marked_even_if_its_audio_was_all_sent_before():
    room = Room()
    room.say("u", samples(120), end=False)
    assert room.put == []
    room.playout.end("u")
    room.send()
    assert len(room.put) == 1
    room.run(200)
    assert room.finished == [("u", 120)]


def test_an_end_right_after_a_mark_has_a_mark_of_its_own():
    room = Room()
    room.say("u", samples(240), end=False)
    assert len(room.put) == 1
    room.playout.end("u")
    room.run(300)
    assert len(room.put) == 2
    assert [u for u, _ in room.finished] == ["u"]
    assert room.playout.proven


def test_the_rest_of_an_utterance_is_padded_to_whole_frames_with_silence():
    room = Room()
    room.say("u", b"\x01" * 481)
    assert room.sent == b"\x01" * 481 + b"\xff" * 159


def test_without_an_end_only_whole_frames_leave_and_only_when_the_ear_would_starve():
    room = Room()
    room.say("u", b"\x01" * 479, end=False)
    assert room.sent == b"\x01" * 320
    room.run(20)
    room.playout.add("u", b"\x01" * 2)
    room.send()
    assert len(room.sent) == 480
    room.say("u", b"\x01" * 479, end=False)
    room.send()
    assert len(room.sent) == 960


def test_whole_frames_wait_while_60_ms_or_more_are_ahead():
    room = Room()
    room.say("u", b"\x01" * (480 + 320), end=False)
    assert len(room.sent) == 480
    room.run(20)
    assert len(room.sent) == 480
    room.run(1)
    assert len(room.sent) == 800


def test_utterances_are_heard_in_the_order_in_which_they_began():
    room = Room()
    room.say("a", samples(100), end=False)
    room.say("b", samples(100, 7))
    room.say("a", samples(60, 3))
    room.run(600)
    assert bytes(b for b in room.line.heard if b != 255) == samples(100) + samples(60, 3) + samples(100, 7)
    assert [u for u, _ in room.finished] == ["a", "b"]


def test_an_utterance_without_a_sound_is_finished_by_its_mark_alone():
    room = Room()
    room.say("a", b"")
    room.say("b", b"")
    room.run(5)
    assert [u for u, _ in room.finished] == ["a", "b"]
    assert room.sent == b""
    assert room.playout.idle(room.now)


def test_the_end_of_something_unknown_is_nothing():
    room = Room()
    room.say("u", samples(20), end=False)
    room.playout.end("other")
    room.run(100)
    assert not room.playout.idle(room.now)


@given(
    st.integers(0, 9000),
    st.lists(st.integers(1, 2000), max_size=12),
    st.lists(st.integers(0, 60), max_size=12),
)
@example(0, [], [])
@example(8 * 240, [480] * 4, [])
def test_any_chunking_gives_the_same_bytes_padded_only_with_silence(size, cuts, waits):
    room = Room()
    audio = bytes(i % 251 for i in range(size))
    at = 0
    for n, cut in enumerate(cuts):
        room.playout.add("u", audio[at : at + cut])
        at += cut
        room.run(waits[n] if n < len(waits) else 0)
    room.say("u", audio[at:])
    room.run(size // 8 + 900)
    assert len(room.sent) % 160 == 0
    assert room.sent.replace(b"\xff", b"") == audio
    assert room.sent == audio + b"\xff" * (-size % 160)
    assert bytes(room.line.heard) == room.sent
    assert room.playout.proven
    assert room.playout.remaining_ms(room.now) == 0


# --- how much was heard


@given(st.integers(1, 40), st.integers(1, 3000), st.booleans())
def test_without_latency_what_was_heard_is_known_within_20_ms_and_never_beyond_what_was_sent(start, at, marks):
    room = Room(marks=marks)
    room.run(start)
    room.say("u", samples(2500))
    room.run(at)
    heard = room.playout.heard_ms("u", room.now)
    if not room.finished:
        assert abs(heard - len(room.line.heard) // 8) <= 20
    assert heard <= len(room.sent) // 8
    ahead = (len(room.sent) - len(room.line.heard)) // 8
    assert abs(room.playout.ahead_ms(room.now) - ahead) <= 20
    waiting = 2500 - len(room.sent) // 8
    assert abs(room.playout.remaining_ms(room.now) - ahead - waiting) <= 20


@given(st.integers(1, 150), st.integers(400, 1500))
def test_with_latency_marks_bring_it_near_and_on_the_late_side(latency, at):
    room = Room(latency)
    room.say("u", samples(2500))
    room.run(at)
    heard = room.playout.heard_ms("u", room.now)
    truth = len(room.line.heard) // 8
    if room.put and room.line.heard_at and at > 240 + 2 * latency + 20:
        assert truth - latency - 20 <= heard <= truth + 20


def test_a_mark_moves_the_line_to_when_it_was_played_and_the_best_mark_wins():
    playout = Playout()
    playout.add("u", samples(2000))
    first, second, third, *_ = (c.name for at in range(0, 780, 60) for c in playout.due(at) if isinstance(c, PutMark))
    assert playout.heard_ms("u", 200) == 200
    playout.returned(first, 260)
    assert playout.heard_ms("u", 260) == 240
    assert playout.heard_ms("u", 300) == 280
    playout.returned(second, 490)
    assert playout.heard_ms("u", 490) == 480
    playout.returned(third, 790)
    assert playout.heard_ms("u", 790) == 780
    assert playout.underruns == 0


def test_a_mark_that_comes_back_too_early_does_not_make_more_heard_than_time_allows():
    playout = Playout()
    playout.add("u", samples(2000))
    names = [c.name for c in playout.due(0) if isinstance(c, PutMark)]
    playout.returned(names[0], 5)
    assert playout.heard_ms("u", 5) == 5


def test_marks_that_are_unknown_doubled_or_of_before_a_clear_prove_nothing():
    playout = Playout()
    playout.add("a", samples(240))
    playout.end("a")
    old = [c.name for c in playout.due(0) if isinstance(c, PutMark)]
    assert playout.clear(10) == [Cut("a", 10)]
    playout.add("b", samples(2000))
    new = [c.name for c in playout.due(10) if isinstance(c, PutMark)]
    assert not set(old) & set(new)
    for name in (*old, "nonsense"):
        assert playout.returned(name, 500) is None
    assert playout.heard_ms("b", 20) == 10
    playout.returned(new[0], 300)
    playout.returned(new[0], 900)
    assert playout.heard_ms("b", 300) == 240


def test_a_mark_of_an_older_run_finishes_its_utterance_but_moves_nothing():
    playout = Playout()
    playout.add("a", samples(100))
    playout.end("a")
    (mark,) = [c.name for c in playout.due(0) if isinstance(c, PutMark)]
    playout.add("b", samples(500))
    playout.due(200)
    assert playout.returned(mark, 250) == "a"
    assert playout.heard_ms("b", 250) == 50
    assert playout.heard_ms("a", 250) == 0


def test_each_run_is_measured_by_its_own_marks():
    playout = Playout()
    playout.add("a", samples(240))
    playout.end("a")
    for command in playout.due(0):
        if isinstance(command, PutMark):
            playout.returned(command.name, 240)
    playout.add("b", samples(2000))
    marks = [c.name for at in range(1000, 1300, 60) for c in playout.due(at) if isinstance(c, PutMark)]
    playout.returned(marks[0], 1260)
    assert playout.heard_ms("b", 1260) == 240


def test_what_was_heard_of_each_utterance_is_told_apart():
    room = Room()
    room.say("a", samples(100))
    room.say("b", samples(300))
    room.marks = False
    room.run(150)
    assert room.playout.heard_ms("a", 150) == 100
    assert room.playout.heard_ms("b", 150) == 50
    assert room.playout.heard_ms("c", 150) == 0


def test_nothing_is_proven_before_all_marks_are_back_and_nothing_idle_before_the_ear_had_it():
    room = Room(latency_ms=30)
    assert room.playout.proven
    assert room.playout.idle(0)
    room.say("u", samples(300))
    assert not room.playout.proven
    room.run(300)
    assert not room.playout.idle(299)
    assert room.playout.remaining_ms(290) == 10
    assert not room.playout.proven
    room.run(65)
    assert room.finished == [("u", 360)]
    assert room.playout.proven
    assert room.playout.idle(room.now)


# --- holding, clearing, starving


@given(
    st.integers(100, 2500),
    st.lists(st.tuples(st.integers(0, 700), st.integers(0, 900)), max_size=4),
    st.integers(0, 100),
)
def test_holding_and_going_on_loses_nothing_and_doubles_nothing(length, holds, latency):
    room = Room(latency)
    room.say("u", samples(length))
    for talk, pause in holds:
        room.run(talk)
        room.playout.hold()
        before = len(room.sent)
        room.run(pause)
        assert len(room.sent) == before
        room.playout.resume()
    room.run(length + 1200)
    assert bytes(room.line.heard) == room.sent
    assert room.sent.rstrip(b"\xff") == samples(length)
    assert room.playout.underruns == 0


@given(st.integers(0, 3000), st.integers(1, 2600), st.integers(0, 80), st.booleans())
def test_a_clear_cuts_at_what_was_heard_and_what_follows_starts_anew(at, length, latency, ended):
    room = Room(latency)
    room.say("a", samples(length), end=ended)
    room.run(at)
    cuts = room.clear()
    sent, truth = len(room.sent) // 8, len(room.line.heard) // 8
    for cut in cuts:
        assert cut.utterance_id == "a"
        assert 0 <= cut.heard_ms <= min(sent, length)
        assert abs(cut.heard_ms - min(truth, length)) <= 2 * latency + 20
    if not cuts:
        assert truth >= length - 2 * latency - 20
    assert room.playout.idle(room.now)
    assert room.playout.proven
    assert room.playout.heard_ms("a", room.now + 500) == 0
    room.run(latency + 1)
    heard = len(room.line.heard)
    room.run(2 * latency + 300)
    assert len(room.line.heard) == heard
    room.say("b", samples(500, 9))
    room.run(600 + 2 * latency)
    assert bytes(room.line.heard[heard:]).rstrip(b"\xff") == samples(500, 9)
    assert room.playout.underruns <= (not ended)


def test_a_clear_tells_what_lost_something_in_order_and_not_what_was_heard_to_its_end():
    playout = Playout()
    playout.add("a", samples(100))
    playout.end("a")
    playout.add("b", samples(500))
    playout.end("b")
    playout.add("c", b"")
    playout.add("d", samples(10))
    playout.due(0)
    assert playout.clear(150) == [Cut("b", 50), Cut("c", 0), Cut("d", 0)]
    assert playout.clear(160) == []


def test_an_utterance_that_is_still_being_written_is_cut_even_if_all_that_came_was_heard():
    playout = Playout()
    playout.add("a", samples(120))
    playout.due(0)
    assert playout.clear(500) == [Cut("a", 120)]


def test_what_was_sent_to_its_last_byte_and_heard_exactly_is_not_cut():
    playout = Playout()
    playout.add("a", samples(120))
    playout.end("a")
    playout.due(0)
    assert playout.clear(120) == []
    playout.add("a", samples(120))
    playout.end("a")
    playout.due(200)
    assert playout.clear(319) == [Cut("a", 119)]


def test_a_clear_ends_a_hold():
    room = Room()
    room.playout.hold()
    room.clear()
    room.say("u", samples(60))
    assert len(room.sent) == 480


def starve(room, *, times):
    for _ in range(times):
        room.say("u", samples(60), end=False)
        room.run(200)


def test_running_dry_in_the_middle_of_an_utterance_is_an_underrun():
    room = Room()
    starve(room, times=3)
    assert room.playout.underruns == 2
    room.say("u", b"")
    room.run(100)
    room.say("v", samples(60))
    assert room.playout.underruns == 2


def test_after_two_underruns_400_ms_are_kept_ahead():
    room = Room()
    starve(room, times=2)
    before = len(room.sent)
    room.say("u", samples(240), end=False)
    assert room.playout.underruns == 2
    assert len(room.sent) - before == 240 * 8
    room = Room()
    starve(room, times=3)
    room.say("u", samples(2000), end=False)
    assert room.playout.ahead_ms(room.now) == 420


def test_a_run_that_dries_up_while_we_hold_is_none_but_the_next_is():
    room = Room()
    room.say("u", samples(400), end=False)
    room.run(50)
    room.playout.hold()
    room.run(500)
    room.playout.resume()
    room.run(800)
    assert room.playout.underruns == 0
    room.say("u", samples(60), end=False)
    assert room.playout.underruns == 1


def test_a_short_hold_in_which_nothing_dried_up_hides_no_later_underrun():
    room = Room()
    room.say("u", samples(400), end=False)
    room.run(50)
    room.playout.hold()
    room.run(40)
    room.playout.resume()
    room.run(800)
    room.say("u", samples(60), end=False)
    assert room.playout.underruns == 1


def test_going_on_without_a_hold_excuses_nothing():
    room = Room()
    room.say("u", samples(60), end=False)
    room.playout.resume()
    room.run(200)
    room.say("u", samples(60), end=False)
    assert room.playout.underruns == 1


@pytest.mark.parametrize("late_ms", [0, 10, 35, 60])
def test_a_line_that_lags_behind_loses_nothing(late_ms):
    room = Room(late_ms)
    for n in range(4):
        room.say(f"u{n}", samples(333, n))
        room.run(450 + 2 * late_ms)
    heard = bytes(b for b in room.line.heard if b != 255)
    assert heard == b"".join(samples(333, n) for n in range(4))
    assert [u for u, _ in room.finished] == ["u0", "u1", "u2", "u3"]
