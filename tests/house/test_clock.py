import json
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agenx_cli.clock import RehearsalClock, RehearsalState, SystemClock, clock_of, moment, next_tuesday, rehearsal_start
from agenx_cli.errors import StoreError, UsageError

ZONES = ("Europe/Madrid", "America/New_York", "Pacific/Kiritimati", "Asia/Kathmandu", "UTC")
moments = st.datetimes(  # hypothesis takes its bounds without a zone
    datetime(2020, 1, 1),  # noqa: DTZ001
    datetime(2035, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)


class SetClock(SystemClock):
    """A clock that stands where a test puts it."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at


@given(moments, st.sampled_from(ZONES))
def test_the_next_tuesday_is_one_eleven_oclock_within_eight_days(now, zone):
    start = next_tuesday(now, zone)
    local = start.astimezone(ZoneInfo(zone))
    assert (local.weekday(), local.hour, local.minute) == (1, 11, 0)
    assert timedelta(0) < start - now <= timedelta(days=7, hours=1)


@given(moments, st.timedeltas(timedelta(days=-30), timedelta(days=60)), st.sampled_from(ZONES))
def test_a_rehearsal_starts_in_working_hours_and_never_before_what_it_reached(now, since, zone):
    reached = now + since
    start = rehearsal_start(now, reached, zone)
    local = start.astimezone(ZoneInfo(zone))
    assert start >= reached
    assert local.weekday() < 5
    assert 10 <= local.hour < 17


def test_a_rehearsal_goes_on_where_the_last_one_ended(tmp_path):
    system = SetClock(datetime(2026, 11, 22, 23, 30, tzinfo=UTC))
    state = RehearsalState(tmp_path / "simulation")
    clock = state.start(system, "Europe/Madrid")
    tuesday = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
    assert system.now() + timedelta(seconds=clock.offset_s) == tuesday
    clock.jump(clock.now() + timedelta(minutes=20))
    state.finish(clock)
    reached = state.reached(system.now())
    assert reached is not None
    again = state.start(system, "Europe/Madrid")
    assert system.now() + timedelta(seconds=again.offset_s) >= reached


def test_after_a_crash_the_clock_is_taken_to_have_run_on(tmp_path):
    system = SetClock(datetime(2026, 11, 22, 23, 30, tzinfo=UTC))
    state = RehearsalState(tmp_path)
    state.start(system, "UTC")
    later = system.now() + timedelta(hours=1)
    assert state.reached(later) == datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
    nights = RehearsalState(tmp_path).start(SetClock(later + timedelta(hours=12)), "UTC")
    assert later + timedelta(hours=12, seconds=nights.offset_s) == datetime(2026, 12, 1, 11, 0, tzinfo=UTC)


def test_an_asked_for_moment_must_not_lie_in_the_rehearsals_past(tmp_path):
    system = SetClock(datetime(2026, 11, 22, 23, 30, tzinfo=UTC))
    state = RehearsalState(tmp_path)
    at = datetime(2026, 12, 24, 10, 0, tzinfo=UTC)
    clock = state.start(system, "UTC", at)
    assert system.now() + timedelta(seconds=clock.offset_s) == at
    with pytest.raises(UsageError, match="has reached"):
        state.start(system, "UTC", at - timedelta(days=1))


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"offset_s": 1}', '{"reached": 5}', '{"reached": null, "offset_s": "x"}']
)
def test_a_damaged_clock_is_an_error_with_a_fix(tmp_path, text):
    (tmp_path / "clock.json").write_text(text)
    with pytest.raises(StoreError) as caught:
        RehearsalState(tmp_path).reached(datetime(2026, 1, 1, tzinfo=UTC))
    assert "start anew" in (caught.value.fix or "")


def test_the_rehearsal_clock_only_goes_forward():
    clock = RehearsalClock(3600)
    before = clock.now()
    clock.jump(before - timedelta(days=1))
    assert clock.now() >= before
    clock.jump(before + timedelta(days=1))
    assert clock.now() >= before + timedelta(days=1)
    assert RehearsalClock(0).now().tzinfo is UTC


async def test_clocks_wait_and_count_forward():
    clock = SystemClock()
    began = clock.monotonic()
    await clock.sleep(-1)
    await clock.sleep(0.01)
    assert clock.monotonic() > began


def test_a_moment_needs_its_offset():
    assert moment("2026-11-24T11:00:00+01:00", "--at") == datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
    assert moment("2026-11-24T11:00Z", "--at") == datetime(2026, 11, 24, 11, 0, tzinfo=UTC)
    for text in ("2026-11-24T11:00:00", "tomorrow", "", "0001-01-01T00:00:00+23:00"):
        with pytest.raises(UsageError, match="--at"):
            moment(text, "--at")


def test_what_is_saved_is_an_offset_and_a_moment(tmp_path):
    state = RehearsalState(tmp_path)
    state.finish(RehearsalClock(5))
    saved = json.loads((tmp_path / "clock.json").read_text())
    assert saved["offset_s"] == 5
    assert datetime.fromisoformat(saved["reached"]).tzinfo is not None


def test_a_command_beside_a_rehearsal_reads_the_rehearsals_clock(tmp_path):
    real = SystemClock().now()
    assert clock_of(tmp_path, simulate=True).now() - real < timedelta(hours=1)
    ended = RehearsalClock(timedelta(days=9).total_seconds())
    RehearsalState(tmp_path).finish(ended)
    assert timedelta(0) <= clock_of(tmp_path, simulate=True).now() - ended.now() + timedelta(seconds=5)
    assert clock_of(tmp_path, simulate=False).now() - real < timedelta(hours=1)
    assert clock_of(tmp_path, simulate=False, offset_s=7200).now() - real > timedelta(hours=1)
