"""Calendar files: whole, in UTC, stable, and repaired."""

from dataclasses import replace
from datetime import timedelta

import pytest
from icalendar import Calendar

from agenx_cli.calendars.builtin import BuiltinCalendar, ics
from agenx_cli.core.booking import Meeting
from agenx_cli.errors import CalendarError
from tests.core.playbooks import NOW

MEETING = Meeting(
    id="m1",
    attempt_uid="a1",
    host="default",
    starts_at=NOW,
    ends_at=NOW + timedelta(minutes=30),
    status="booked",
    phone="+34600000011",
    title="Reunión; con «todo», y más",
    zone="Europe/Madrid",
    name='Ana "Ani" López',
    email="ana@ejemplo.es",
    notes="Facturas\\correos",
    calendar="local",
    created_at=NOW,
    updated_at=NOW,
)


def event(meeting):
    return Calendar.from_ical(ics(meeting)).walk("VEVENT")[0]


def test_a_file_says_what_when_and_with_whom():
    read = event(MEETING)
    assert read["UID"] == "m1@agenx"
    assert read["DTSTART"].dt == NOW
    assert read["DTEND"].dt == NOW + timedelta(minutes=30)
    assert str(read["SUMMARY"]) == MEETING.title
    assert str(read["ATTENDEE"]) == "mailto:ana@ejemplo.es"
    assert read["ATTENDEE"].params["CN"] == "Ana 'Ani' López"
    assert "Facturas\\correos" in str(read["DESCRIPTION"])
    assert read["STATUS"] == "CONFIRMED"
    assert b"DTSTART:20261122T160000Z" in ics(MEETING)


def test_a_cancelled_meeting_is_the_same_entry_cancelled():
    read = event(replace(MEETING, status="cancelled"))
    assert (read["UID"], read["STATUS"], read["SEQUENCE"]) == ("m1@agenx", "CANCELLED", 1)
    assert b"METHOD:CANCEL" in ics(replace(MEETING, status="cancelled"))


def test_a_meeting_without_a_name_or_e_mail_has_no_attendee():
    assert "ATTENDEE" not in event(replace(MEETING, email=None))
    assert "CN" not in event(replace(MEETING, name=None))["ATTENDEE"].params


def test_nobody_s_words_can_add_a_property():
    read = event(replace(MEETING, notes="x\r\nATTENDEE:mailto:evil@example.com", email=None, name=None))
    assert "ATTENDEE" not in read


def test_a_file_is_written_whole_and_rewritten(tmp_path):
    calendar = BuiltinCalendar(tmp_path / "meetings")
    calendar.put(MEETING)
    calendar.put(replace(MEETING, status="cancelled"))
    assert calendar.path("m1").read_bytes() == ics(replace(MEETING, status="cancelled"))
    assert [path.name for path in (tmp_path / "meetings").iterdir()] == ["m1.ics"]


def test_a_folder_that_cannot_be_written_is_an_error_that_says_the_meeting_stands(tmp_path):
    (tmp_path / "meetings").write_text("a file, not a folder")
    with pytest.raises(CalendarError, match="is booked") as caught:
        BuiltinCalendar(tmp_path / "meetings").put(MEETING)
    assert caught.value.fix


def test_a_failed_write_leaves_nothing_behind(tmp_path):
    calendar = BuiltinCalendar(tmp_path)
    calendar.path("m1").mkdir()
    with pytest.raises(CalendarError):
        calendar.put(MEETING)
    assert [path.name for path in tmp_path.iterdir()] == ["m1.ics"]


def test_repair_writes_what_is_missing_or_old_and_nothing_else(tmp_path):
    calendar = BuiltinCalendar(tmp_path)
    other = replace(MEETING, id="m2")
    held, gone = replace(MEETING, id="m3", status="held"), replace(MEETING, id="m4", status="cancelled")
    calendar.put(other)
    cancelled = replace(other, status="cancelled")
    assert calendar.repair([MEETING, cancelled, held, gone]) == 2
    assert calendar.repair([MEETING, cancelled, held, gone]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m1.ics", "m2.ics"]
