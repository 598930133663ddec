"""The single writer: one request at a time, and every wish is asked for or dropped."""

from hypothesis import given
from hypothesis import strategies as st

from agenx_cli.core.signals import AskReply
from agenx_cli.core.writer import ANSWER, Wish, Writer


def asked(wish=ANSWER, now=0):
    writer = Writer()
    writer.want(wish)
    assert writer.due(now)
    writer.ask("c1", now)
    return writer


def active(wish=ANSWER, now=0):
    writer = asked(wish, now)
    assert writer.started("r1", now)
    return writer


def test_a_wish_is_asked_for_once_with_what_it_says():
    writer = Writer()
    assert not writer.due(0)
    writer.want(Wish("sing", tools=False, not_before=10))
    assert not writer.due(9)
    assert writer.due(10)
    assert writer.ask("c1", 10) == AskReply("c1", "sing", tools=False)
    assert writer.wish is None
    assert not writer.due(10)


def test_a_wish_that_waits_already_is_enough():
    writer = Writer()
    writer.want(Wish("first"))
    writer.want(Wish("second"))
    assert writer.wish == Wish("first")


def test_nobody_is_asked_while_somebody_writes():
    writer = asked()
    writer.want(ANSWER)
    assert not writer.idle
    assert not writer.due(100)
    writer.started("r1", 0)
    assert not writer.idle
    assert not writer.due(100)
    assert writer.ended("r1") == ANSWER
    assert writer.idle
    assert writer.due(100)


def test_the_end_tells_what_the_reply_was_meant_for():
    assert active(Wish(farewell="time_limit")).ended("r1") == Wish(farewell="time_limit")


def test_the_end_of_another_reply_is_not_ours():
    writer = active()
    assert writer.ended("r0") is None
    assert not writer.idle
    writer = asked()
    assert writer.ended("r0") is None
    assert not writer.idle


def test_a_reply_stopped_while_it_is_written_has_an_id_to_cancel():
    writer = active()
    writer.want(ANSWER)
    assert writer.wanted
    assert writer.stop() == "r1"
    assert not writer.wanted
    assert not writer.idle
    assert writer.wish is None


def test_a_reply_stopped_before_it_began_is_unwanted_when_it_begins():
    writer = asked()
    assert writer.stop() is None
    assert not writer.started("r1", 5)
    writer.ended("r1")
    writer.want(ANSWER)
    writer.ask("c2", 6)
    assert writer.wanted
    assert writer.started("r2", 7)


def test_stopping_nobody_only_drops_the_wish():
    writer = Writer()
    writer.want(ANSWER)
    assert writer.stop() is None
    assert not writer.discarded
    assert writer.wish is None


def test_nothing_will_come_of_it():
    writer = asked(Wish("x"))
    assert writer.release() == Wish("x")
    assert writer.idle
    assert not writer.wanted
    writer = active()
    writer.release()
    assert writer.idle


def test_an_unknown_reply_is_waited_for_and_then_the_wish_is_asked_again():
    writer = asked(Wish("x"))
    writer.blocked(50)
    assert not writer.idle
    assert not writer.due(60)
    assert writer.stop() == ""
    writer = asked(Wish("x"))
    writer.blocked(50)
    assert writer.ended("whoever") is None
    assert writer.due(60)
    assert writer.ask("c2", 60).instructions == "x"


def test_a_newer_wish_is_not_lost_behind_an_unknown_reply():
    writer = asked(Wish("old"))
    writer.wish = Wish("new")
    writer.blocked(0)
    assert writer.wish == Wish("new")


def test_ten_seconds_of_nothing_are_too_long_counted_from_the_last_sign_of_life():
    assert not Writer().silent(10**6)
    writer = asked(now=100)
    assert not writer.silent(10_100)
    assert writer.silent(10_101)
    writer.started("r1", 5000)
    assert not writer.silent(15_000)
    assert writer.silent(15_001)
    writer = asked()
    writer.blocked(7000)
    assert not writer.silent(17_000)
    assert writer.silent(17_001)


def test_a_failure_is_tried_again_twice_each_time_a_little_later():
    writer = Writer()
    wish = Wish("x", farewell="f")
    for failures, wait in ((1, 400), (2, 800)):
        assert writer.failed(wish, 1000)
        assert writer.wish == Wish("x", farewell="f", not_before=1000 + wait)
        assert writer.failures == failures
        writer.wish = None
    assert not writer.failed(wish, 1000)
    assert writer.wish is None


class Watched:
    """A writer, and beside it a model of it: what is wished, and how many requests are outstanding."""

    def __init__(self):
        self.writer = Writer()
        self.wished = None
        self.outstanding = 0
        self.now = 0

    def want(self):
        self.wished = self.wished or ANSWER
        self.writer.want(ANSWER)

    def farewell(self):
        self.wished = self.wished or Wish("bye", farewell="x")
        self.writer.want(Wish("bye", farewell="x"))

    def ask(self):
        if self.writer.due(self.now):
            assert self.outstanding == 0
            assert self.writer.ask("c", self.now).instructions == self.wished.instructions
            assert self.writer.current == self.wished
            self.wished, self.outstanding = None, 1

    def started(self):
        if self.writer.command_id:
            self.writer.started("r", self.now)

    def ended(self):
        if self.writer.reply_id:
            self.writer.ended("r")
            self.outstanding = 0

    def other(self):
        unknown = self.writer.reply_id == ""
        assert self.writer.ended("elsewhere") is None
        self.outstanding = 0 if unknown else self.outstanding

    def stop(self):
        self.writer.stop()
        self.wished = None

    def blocked(self):
        if self.writer.command_id:
            self.wished = self.wished or self.writer.current
            self.writer.blocked(self.now)

    def failed(self):
        if self.writer.idle:
            self.writer.failures = 0
            assert self.writer.failed(ANSWER, self.now)
            self.wished = self.wished or self.writer.wish

    def silence(self):
        self.now += 20_000
        if self.writer.silent(self.now):
            self.writer.release()
            self.outstanding = 0


STEPS = st.sampled_from(
    ["want", "farewell", "ask", "started", "ended", "other", "stop", "blocked", "failed", "silence"]
)


@given(st.lists(STEPS, max_size=80))
def test_at_most_one_request_is_outstanding_and_every_wish_is_asked_for_or_dropped(steps):
    watched = Watched()
    for step in steps:
        watched.now += 100
        getattr(watched, step)()
        writer = watched.writer
        assert writer.idle == (watched.outstanding == 0)
        assert writer.wish == watched.wished
        assert not (writer.wanted and writer.idle)
        assert not (writer.command_id and writer.reply_id)
    if watched.wished is not None and watched.writer.idle:
        assert watched.writer.due(watched.now + 10**6)
