"""Free time, over the year's two odd nights too."""

from datetime import UTC, datetime, time, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from agenx_cli.core.booking import Meeting, SlotProblem, Span, choose, free_slots, offers
from agenx_cli.core.phrases import spoken
from agenx_cli.core.playbook import MeetingRules
from tests.core.playbooks import NOW, WEEK

MADRID = ZoneInfo("Europe/Madrid")
RULES = MeetingRules(hours=WEEK)
ROUND_THE_CLOCK = MeetingRules(
    hours=tuple((day, time(0), time(23, 59)) for day in range(7)), notice_minutes=0, horizon_days=3, step_minutes=30
)


def madrid(*parts, fold=0):
    return datetime(*parts, tzinfo=MADRID, fold=fold).astimezone(UTC)


def starts(rules=RULES, busy=(), now=NOW, between=None, zone=MADRID):
    return [slot.start for slot in free_slots(rules, zone, busy, now, between=between)]


def test_the_first_free_start_is_the_first_working_hour_after_the_notice():
    assert starts()[0] == madrid(2026, 11, 23, 9)
    monday = madrid(2026, 11, 23, 9, 1)
    assert starts(now=monday)[0] == madrid(2026, 11, 23, 11, 30)


def test_the_last_start_of_a_day_ends_by_closing_time():
    day = Span(madrid(2026, 11, 23), madrid(2026, 11, 24))
    assert starts(between=day)[-1] == madrid(2026, 11, 23, 13, 30)


def test_what_is_busy_is_not_offered_even_in_part():
    busy = [Span(madrid(2026, 11, 23, 9, 45), madrid(2026, 11, 23, 10, 1))]
    assert starts(busy=busy)[:2] == [madrid(2026, 11, 23, 9), madrid(2026, 11, 23, 10, 30)]
    touching = [Span(madrid(2026, 11, 23, 9, 30), madrid(2026, 11, 23, 10))]
    assert starts(busy=touching)[:2] == [madrid(2026, 11, 23, 9), madrid(2026, 11, 23, 10)]


def test_nothing_is_offered_without_hours_or_in_an_empty_stretch():
    assert starts(rules=MeetingRules()) == []
    assert starts(between=Span(NOW + timedelta(days=30), NOW + timedelta(days=31))) == []


def test_offers_differ():
    given = offers(free_slots(RULES, MADRID, (), NOW), MADRID, 3)
    assert [slot.start for slot in given] == [
        madrid(2026, 11, 23, 9),
        madrid(2026, 11, 23, 12),
        madrid(2026, 11, 24, 9),
    ]
    assert offers((), MADRID, 3) == ()
    few = offers(free_slots(RULES, MADRID, (), NOW, between=Span(NOW, NOW + timedelta(days=2))), MADRID, 9)
    assert len(few) == 4


def test_a_start_that_was_offered_can_be_chosen():
    for slot in islice(free_slots(RULES, MADRID, (), NOW), 40):
        assert choose(slot.start.astimezone(MADRID), RULES, MADRID, (), NOW) == slot


def problem(start, busy=()):
    chosen = choose(start, RULES, MADRID, busy, NOW)
    assert isinstance(chosen, SlotProblem)
    assert chosen.sentence.endswith(".")
    return chosen.code


def test_why_a_start_cannot_be_had():
    assert problem(NOW) == "slot.past"
    assert problem(NOW + timedelta(minutes=119)) == "slot.too_soon"
    assert problem(NOW + timedelta(days=15)) == "slot.too_far"
    assert problem(madrid(2026, 11, 23, 14)) == "slot.outside_hours"
    assert problem(madrid(2026, 11, 23, 9, 15)) == "slot.outside_hours"
    assert problem(madrid(2026, 11, 28, 9)) == "slot.outside_hours"
    taken = Span(madrid(2026, 11, 23, 9, 15), madrid(2026, 11, 23, 9, 45))
    assert problem(madrid(2026, 11, 23, 9), [taken]) == "slot.taken"


def test_the_hour_that_is_skipped_is_not_offered():
    night = Span(madrid(2026, 3, 29), madrid(2026, 3, 29, 5))
    local = [
        s.astimezone(MADRID).strftime("%H:%M")
        for s in starts(ROUND_THE_CLOCK, now=madrid(2026, 3, 28, 12), between=night)
    ]
    assert local == ["00:00", "00:30", "01:00", "01:30", "03:00", "03:30", "04:00", "04:30", "05:00"]


def test_the_hour_that_comes_twice_is_offered_once():
    night = Span(madrid(2026, 10, 25), madrid(2026, 10, 25, 4))
    found = starts(ROUND_THE_CLOCK, now=madrid(2026, 10, 24, 12), between=night)
    assert [s.astimezone(MADRID).strftime("%H:%M") for s in found].count("02:30") == 1
    assert madrid(2026, 10, 25, 2, 30, fold=0) in found
    assert isinstance(choose(madrid(2026, 10, 25, 2, 30, fold=1), ROUND_THE_CLOCK, MADRID, (), found[0]), SlotProblem)


ZONES = st.sampled_from(["Europe/Madrid", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"])
MOMENTS = st.integers(0, 3 * 366 * 1440).map(
    lambda minutes: datetime(2025, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
)


@st.composite
def rule_sets(draw):
    hours = []
    for _ in range(draw(st.integers(0, 6))):
        opens, closes = sorted(draw(st.lists(st.times(), min_size=2, max_size=2, unique=True)))
        hours.append((draw(st.integers(0, 6)), opens.replace(tzinfo=None), closes.replace(tzinfo=None)))
    return MeetingRules(
        minutes=draw(st.integers(5, 240)),
        notice_minutes=draw(st.integers(0, 3_000)),
        horizon_days=draw(st.integers(1, 10)),
        step_minutes=draw(st.integers(15, 240)),
        hours=tuple(hours),
    )


@given(rule_sets(), ZONES, MOMENTS, st.lists(st.tuples(st.integers(0, 14_400), st.integers(1, 600)), max_size=4))
def test_every_offer_keeps_every_rule(rules, zone_name, now, taken):
    zone = ZoneInfo(zone_name)
    busy = [Span(now + timedelta(minutes=a), now + timedelta(minutes=a + b)) for a, b in taken]
    slots = list(islice(free_slots(rules, zone, busy, now), 200))
    assert all(a.start < b.start for a, b in pairwise(slots))
    for slot in slots:
        assert slot.end - slot.start == timedelta(minutes=rules.minutes)
        assert now + timedelta(minutes=rules.notice_minutes) <= slot.start <= now + timedelta(days=rules.horizon_days)
        assert not any(slot.overlaps(span) for span in busy)
        local, end = slot.start.astimezone(zone), slot.end.astimezone(zone)
        assert any(
            local.weekday() == weekday
            and opens <= local.time()
            and end.replace(tzinfo=None) <= datetime.combine(local.date(), closes) + timedelta(hours=1)
            for weekday, opens, closes in rules.hours
        )
    for slot in slots[:5]:
        if slot.start > now:
            assert choose(slot.start, rules, zone, busy, now) == slot


def test_times_are_said_as_people_say_them():
    moment = datetime(2026, 11, 24, 10, tzinfo=MADRID)
    assert spoken(moment, "es") == "martes 24 de noviembre a las 10:00"
    assert spoken(moment.replace(hour=1, minute=5), "es") == "martes 24 de noviembre a la 1:05"
    assert spoken(moment, "en") == "Tuesday 24 November at 10:00"
    assert spoken(moment, "fr") == "Tuesday 24 November at 10:00"


def test_a_meeting_shows_nothing_personal():
    m = Meeting("m1", None, "h", NOW, NOW, "held", "+34600000011", "t", "UTC", "Ana", "a@b.es", "n", "local", NOW, NOW)
    assert repr(m) == "Meeting(m1, held, 2026-11-22T16:00:00+00:00)"
    assert m.span == Span(NOW, NOW)
