"""The toolbox over a real store and a real folder of calendar files."""

import json
import random
import sqlite3
import threading
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from icalendar import Calendar

from agenx_cli.bridge.on_offer import OnOffer
from agenx_cli.bridge.tools import Toolbox, repair
from agenx_cli.calendars.builtin import BuiltinCalendar
from agenx_cli.clock import SystemClock
from agenx_cli.core.playbook import MeetingRules, tool_schema
from agenx_cli.core.signals import ToolCall
from agenx_cli.store.records import NewInbound
from agenx_cli.store.store import open_store
from tests.core.playbooks import ALL_TOOLS, NOW, WEEK, playbook

CALLEE = "+34600000011"
TEN = "2026-11-24T10:00:00+01:00"


class At(SystemClock):
    """A clock that stands still."""

    def now(self):
        return NOW


class World:
    """One store, one calendar, and a toolbox per call."""

    def __init__(self, folder):
        self.url = f"sqlite:///{folder / 'agenx.db'}"
        self.store = open_store(self.url)
        self.calendar = BuiltinCalendar(folder / "meetings")
        self.on_offer = OnOffer()

    def toolbox(self, uid="a1", *, callee=CALLEE, **changes):
        if self.store.attempts.get(uid) is None:
            new = NewInbound(uid, f"CA{uid}", callee, "+34910000000", "prueba", "t", "me")
            self.store.attempts.open_inbound(new, NOW)
        return Toolbox(
            attempt_uid=uid,
            callee=callee,
            playbook=playbook(**changes),
            store=self.store,
            calendar=self.calendar,
            clock=At(),
            on_offer=self.on_offer,
        )


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    yield world
    world.store.close()


def use(box, name, /, **arguments):
    answered = box.run(ToolCall("c1", name, json.dumps(arguments)))
    assert answered.call_id == "c1"
    return json.loads(answered.output), answered.facts


def test_free_times_come_with_how_to_say_them(world):
    output, facts = use(world.toolbox(), "check_availability")
    assert output["time_zone"] == "Europe/Madrid"
    assert output["slots"][0] == {
        "start": "2026-11-23T09:00:00+01:00",
        "spoken": "lunes 23 de noviembre a las 9:00",
    }
    assert len(output["slots"]) == 6
    assert facts == frozenset()


def test_one_asked_for_day_is_shown_closely(world):
    day = {"from": "2026-11-24T09:00:00+01:00", "to": "2026-11-24T14:00:00+01:00"}
    output, _ = use(world.toolbox(), "check_availability", **day)
    assert [slot["start"][11:16] for slot in output["slots"]] == ["09:00", "09:30", "10:00", "10:30", "11:00", "11:30"]


def test_no_free_time_is_an_empty_list(world):
    output, _ = use(world.toolbox(meetings=MeetingRules()), "check_availability")
    assert output["slots"] == []
    output, _ = use(
        world.toolbox(),
        "check_availability",
        **{"from": "2026-11-28T09:00:00+01:00", "to": "2026-11-28T14:00:00+01:00"},
    )
    assert output["slots"] == []


def starts(box, **arguments):
    return {slot["start"] for slot in use(box, "check_availability", **arguments)[0]["slots"]}


def test_two_calls_at_once_are_not_offered_the_same_times(world):
    offered = [starts(world.toolbox(f"a{n}")) for n in range(3)]
    assert [len(slots) for slots in offered] == [6, 6, 6]
    assert len(set.union(*offered)) == 18
    assert starts(world.toolbox("a1")) == offered[1], "asked again, a call is told the same"
    world.on_offer.forget("a0")
    assert starts(world.toolbox("a3")) == offered[0], "what an ended call was offered is free for the next one"


def test_what_others_are_offered_is_offered_too_when_nothing_else_is_free(world):
    hour = {"from": "2026-11-24T10:00:00+01:00", "to": "2026-11-24T10:45:00+01:00"}
    first, second = starts(world.toolbox("a1"), **hour), starts(world.toolbox("a2"), **hour)
    assert first == second == {"2026-11-24T10:00:00+01:00", "2026-11-24T10:30:00+01:00"}


def test_calls_about_different_calendars_do_not_mind_each_other(world):
    other = MeetingRules(hours=WEEK, host="other")
    assert starts(world.toolbox("a1")) == starts(world.toolbox("a2", meetings=other))


def test_a_booking_is_committed_filed_and_reported_before_it_is_answered(world):
    output, facts = use(world.toolbox(), "book_meeting", start=TEN, confirmed=True, name="Ana", email="ana@b.es")
    assert output == {
        "status": "booked",
        "meeting_id": output["meeting_id"],
        "start": TEN,
        "spoken": "martes 24 de noviembre a las 10:00",
    }
    assert facts == {"meeting_booked"}
    meeting = world.store.meetings.get(output["meeting_id"])
    assert (meeting.status, meeting.phone, meeting.zone) == ("booked", CALLEE, "Europe/Madrid")
    event = Calendar.from_ical(world.calendar.path(meeting.id).read_bytes()).walk("VEVENT")[0]
    assert event["DTSTART"].dt == datetime(2026, 11, 24, 9, tzinfo=UTC)
    assert world.store.attempts.get("a1").facts.booked == {meeting.id}


def test_asked_twice_it_is_one_meeting_and_the_same_answer(world):
    first = use(world.toolbox(), "book_meeting", start=TEN, confirmed=True)
    again = use(world.toolbox(), "book_meeting", start="2026-11-24T09:00:00Z", confirmed=True, name="Ana")
    assert first == again
    assert len(world.store.meetings.list()) == 1


def test_nothing_is_booked_without_a_yes(world):
    output, facts = use(world.toolbox(), "book_meeting", start=TEN, confirmed=False)
    assert "clear yes" in output["error"]
    assert (world.store.meetings.list(), facts) == ((), frozenset())


def test_a_taken_or_impossible_time_comes_back_with_alternatives(world):
    use(world.toolbox("a1"), "book_meeting", start=TEN, confirmed=True)
    output, facts = use(world.toolbox("a2"), "book_meeting", start=TEN, confirmed=True)
    assert "taken" in output["error"]
    assert output["slots"]
    assert facts == frozenset()
    output, _ = use(world.toolbox("a2"), "book_meeting", start="2026-11-24T03:00:00+01:00", confirmed=True)
    assert "No meeting can start" in output["error"]
    offered = output["slots"][0]["start"]
    assert use(world.toolbox("a2"), "book_meeting", start=offered, confirmed=True)[0]["status"] == "booked"


def test_one_call_books_one_meeting_and_may_change_its_mind(world):
    box = world.toolbox()
    first, _ = use(box, "book_meeting", start=TEN, confirmed=True)
    output, _ = use(box, "book_meeting", start="2026-11-24T11:00:00+01:00", confirmed=True)
    assert "Cancel that one first" in output["error"]
    output, facts = use(box, "cancel_meeting", meeting_id=first["meeting_id"])
    assert (output["status"], facts) == ("cancelled", {"meeting_cancelled"})
    assert use(box, "cancel_meeting")[0] == output
    assert b"CANCELLED" in world.calendar.path(first["meeting_id"]).read_bytes()
    second, _ = use(box, "book_meeting", start=TEN, confirmed=True)
    assert second["status"] == "booked"
    assert second["meeting_id"] != first["meeting_id"]
    assert world.store.attempts.get("a1").facts.booked - world.store.attempts.get("a1").facts.cancelled == {
        second["meeting_id"]
    }


def test_nobody_cancels_another_call_s_meeting(world):
    theirs, _ = use(world.toolbox("a1"), "book_meeting", start=TEN, confirmed=True)
    output, _ = use(world.toolbox("a2"), "cancel_meeting", meeting_id=theirs["meeting_id"])
    assert "only its own" in output["error"]
    assert world.store.meetings.get(theirs["meeting_id"]).status == "booked"


def test_twenty_calls_want_the_same_time_and_one_gets_it(world):
    outputs = []
    boxes = [world.toolbox(f"a{n}") for n in range(20)]
    threads = [
        threading.Thread(target=lambda box=box: outputs.append(use(box, "book_meeting", start=TEN, confirmed=True)[0]))
        for box in boxes
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted("status" in output for output in outputs) == [False] * 19 + [True]


def test_meetings_longer_than_the_step_never_overlap(world):
    rules = MeetingRules(minutes=60, step_minutes=30, hours=WEEK)
    use(world.toolbox("a1", meetings=rules), "book_meeting", start=TEN, confirmed=True)
    half_past = "2026-11-24T10:30:00+01:00"
    assert (
        "taken" in use(world.toolbox("a2", meetings=rules), "book_meeting", start=half_past, confirmed=True)[0]["error"]
    )


def test_an_opt_out_is_saved_before_it_is_answered(world):
    output, facts = use(world.toolbox(), "opt_out", reason="no me llamen más")
    assert (output, facts) == ({"status": "opted_out"}, {"opted_out"})
    entry = world.store.suppression.get(CALLEE)
    assert (entry.reason, entry.source) == ("no me llamen más", "call a1")
    assert world.store.attempts.get("a1").facts.opted_out
    assert use(world.toolbox(), "opt_out")[0] == output


def test_a_callback_is_written_down_and_the_last_one_counts(world):
    box = world.toolbox()
    use(box, "schedule_callback", at="2026-11-25T09:00:00+01:00", note="por la mañana")
    output, facts = use(box, "schedule_callback", at="2026-11-25T16:00:00+01:00")
    assert output["status"] == "scheduled"
    assert output["at"] == "2026-11-25T16:00:00+01:00"
    assert facts == {"callback"}
    (callback,) = world.store.callbacks.list()
    assert callback.due_at == datetime(2026, 11, 25, 15, tzinfo=UTC)
    assert CALLEE not in repr(callback)
    for at in ("2026-11-22T16:00:00+00:00", "2027-06-01T00:00:00+00:00"):
        assert "future" in use(box, "schedule_callback", at=at)[0]["error"]


def test_who_withholds_the_number_is_not_told_that_it_was_noted(world):
    box = world.toolbox(callee="")
    for name, arguments in (("opt_out", {}), ("schedule_callback", {"at": "2026-11-25T09:00:00+01:00"})):
        output, facts = use(box, name, **arguments)
        assert "withheld" in output["error"]
        assert facts == frozenset()
    assert not world.store.suppression.list()
    assert not world.store.callbacks.list()


def test_answers_are_recorded_in_the_playbook_s_fields(world):
    box = world.toolbox()
    assert use(box, "record_answer", field="empleados", value="12") == ({"status": "recorded"}, {"answer"})
    use(box, "record_answer", field="empleados", value="14")
    assert "There is no field" in use(box, "record_answer", field="edad", value="14")[0]["error"]
    assert world.store.answers.of("a1") == {"empleados": "14"}


@pytest.mark.parametrize("arguments", ["", "{", "null", "[1]", '{"start": 3}', '{"x": "\\ud800"}'])
@pytest.mark.parametrize("name", ["book_meeting", "nothing", "record_answer"])
def test_bad_calls_are_answered_not_raised(world, name, arguments):
    answered = world.toolbox().run(ToolCall("c1", name, arguments))
    assert json.loads(answered.output)["error"]


ODD = (None, True, 0, -1, 10**400, 1e308, float("nan"), "", "x", "\ud800", "\x00", "⟦", [], [[]], {}, {"a": [1]})
EDGES = ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-23:59")
YEARS = (1, 1999, 2000, 2026, 2027, 2099, 2100, 9999)


def any_moment(chance):
    """One of anybody's calendar: its very ends, or a time of a day in one of several years."""
    day = f"{chance.choice(YEARS):04}-{chance.choice((1, 11, 12)):02}-{chance.randint(20, 28)}"
    clock = f"{chance.randint(0, 23):02}:{chance.choice((0, 30)):02}"
    built = f"{day}T{clock}{chance.choice(('Z', '+01:00', '-23:59', '+23:59'))}"
    return chance.choice((*EDGES, built, built, built, built))


def any_arguments(chance, name):
    """Some of a tool's arguments, mostly of the kind that it asks for; seldom something else altogether."""
    if chance.random() < 0.05:
        return chance.choice(ODD)
    fitting = {
        **dict.fromkeys(("from", "to", "start", "at"), any_moment),
        "confirmed": lambda _: chance.random() < 0.8,
        "email": lambda _: chance.choice(("ana@b.es", "ana at b")),
        "field": lambda _: chance.choice(("empleados", "decide", "sector", "nota")),
    }
    known = list(tool_schema(name, playbook())["parameters"]["properties"]) if name in ALL_TOOLS else []
    given = [each for each in known if chance.random() < 0.7] + ["x"] * (chance.random() < 0.05)
    return {
        each: chance.choice(ODD) if chance.random() < 0.1 else fitting.get(each, lambda _: "12")(chance)
        for each in given
    }


def test_whatever_json_a_model_sends_is_answered(world):
    chance = random.Random(11)
    boxes = [world.toolbox(f"a{n}", callee=callee) for n, callee in enumerate((CALLEE, ""))]
    counts = Counter()
    for _ in range(1_000):
        name = chance.choice((*ALL_TOOLS, "nothing"))
        call = ToolCall("c1", name, json.dumps(any_arguments(chance, name)))
        output = json.loads(chance.choice(boxes).run(call).output)
        counts["refused" if "error" in output else "done"] += 1
    print("tool calls answered:", dict(counts), "of", counts.total())
    assert min(counts["refused"], counts["done"]) > 100


def test_ending_the_call_is_not_the_toolbox_s(world):
    assert "error" in use(world.toolbox(), "end_call", reason="goodbye")[0]


def test_what_cannot_be_saved_is_not_claimed(world, monkeypatch):
    box = world.toolbox()
    monkeypatch.setattr("agenx_cli.store.database.BUSY_MS", 10)
    world.store.close()
    impatient = open_store(world.url)
    box = Toolbox(
        attempt_uid="a1",
        callee=CALLEE,
        playbook=playbook(),
        store=impatient,
        calendar=world.calendar,
        clock=At(),
        on_offer=world.on_offer,
    )
    holder = sqlite3.connect(world.url.removeprefix("sqlite:///"))
    holder.execute("BEGIN IMMEDIATE")
    output, facts = use(box, "opt_out")
    holder.close()
    impatient.close()
    assert "could not be saved" in output["error"]
    assert facts == frozenset()


def test_a_calendar_that_fails_does_not_lose_the_meeting(world, caplog):
    world.calendar.path("x").parent.write_text("not a folder")
    output, facts = use(world.toolbox(), "book_meeting", start=TEN, confirmed=True)
    assert (output["status"], facts) == ("booked", {"meeting_booked"})
    assert "calendar.not_written" in caplog.text
    assert CALLEE not in caplog.text


def test_what_a_crash_left_is_finished_at_the_next_start(world):
    """Killed after the hold, and killed after the commit before the file: both are meetings afterwards."""
    output, _ = use(world.toolbox("a1"), "book_meeting", start=TEN, confirmed=True)
    booked = world.store.meetings.get(output["meeting_id"])
    world.calendar.path(booked.id).unlink()
    later = booked.starts_at + timedelta(hours=1)
    world.toolbox("a2")
    held = replace(
        booked, id="held", attempt_uid="a2", status="held", starts_at=later, ends_at=later + timedelta(minutes=30)
    )
    world.store.meetings.hold(held)
    assert repair(world.store, world.calendar, NOW) == 2
    assert world.store.meetings.get("held").status == "booked"
    assert world.store.attempts.get("a2").facts.booked == {"held"}
    assert world.calendar.path(booked.id).exists()
    assert world.calendar.path("held").exists()
    assert repair(world.store, world.calendar, NOW) == 0
