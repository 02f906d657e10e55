"""The calendar runs fast, never back, and never past its saved mark while ahead of UTC."""

import asyncio
import contextlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.clock import LAST_INSTANT, LEAD_S, ScaledCalendar, SystemLinkClock

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass
class HandClock:
    """A link clock that is moved by hand; its UTC can be set anywhere."""

    now_s: float = 5000.0
    utc_now: datetime = START

    def now(self) -> float:
        """Return monotonic seconds."""
        return self.now_s

    def utc(self) -> datetime:
        """Return UTC."""
        return self.utc_now

    def pass_time(self, seconds: float) -> None:
        """Let both go on."""
        self.now_s += seconds
        self.utc_now += timedelta(seconds=seconds)


@dataclass
class Store:
    """Where the mark is kept; it can break."""

    mark: datetime | None = None
    broken: bool = False
    tried: asyncio.Event = field(default_factory=asyncio.Event)

    async def load(self) -> datetime | None:
        """Return the mark."""
        return self.mark

    async def save(self, mark: datetime) -> None:
        """Keep the mark."""
        self.tried.set()
        if self.broken:
            raise OSError("no room")
        self.mark = mark


async def started(link: HandClock, store: Store, *, speed: int = 1) -> ScaledCalendar:
    """Start a calendar."""
    return await ScaledCalendar.start(link, speed=speed, load=store.load, save=store.save)


async def test_at_speed_one_it_is_utc() -> None:
    """Undisturbed, the calendar shows UTC and writes hardly anything."""
    link, store = HandClock(), Store()
    calendar = await started(link, store)
    link.pass_time(30)

    assert calendar.now() == START + timedelta(seconds=30)
    assert store.mark == START


async def test_it_runs_as_fast_as_it_is_told() -> None:
    """At 3,600 a second is an hour."""
    link, store = HandClock(), Store()
    calendar = await started(link, store, speed=3600)
    for _ in range(10):
        link.pass_time(1)
        await calendar.save_mark()

    assert calendar.now() == START + timedelta(hours=10)
    assert calendar.speed == 3600


async def test_it_stands_at_the_mark_and_catches_up() -> None:
    """While the mark cannot be saved the calendar does not pass it; afterwards it goes on."""
    link, store = HandClock(), Store()
    calendar = await started(link, store, speed=100)
    store.broken = True
    link.pass_time(60)
    with pytest.raises(OSError, match="no room"):
        await calendar.save_mark()
    stands = calendar.now()
    store.broken = False
    await calendar.save_mark()

    assert stands == store_first_mark()
    assert calendar.now() == START + timedelta(seconds=6000)


def store_first_mark() -> datetime:
    """Return the mark that the first save at speed 100 leaves."""
    return START + timedelta(seconds=LEAD_S * 100)


async def test_it_stands_still_while_stopped() -> None:
    """After a clean stop the next start goes on at the same instant, however slow."""
    link, store = HandClock(), Store()
    calendar = await started(link, store, speed=3600)
    link.pass_time(1)
    await calendar.stop()
    stopped_at = calendar.now()
    link.pass_time(600)
    again = await started(link, store)

    assert again.now() == stopped_at == START + timedelta(hours=1)


async def test_a_late_start_begins_at_utc() -> None:
    """A mark that UTC has passed counts for nothing."""
    link, store = HandClock(), Store(mark=START - timedelta(days=9))

    assert (await started(link, store)).now() == START


@given(
    speed=st.sampled_from([1, 2, 3600, 100_000]),
    events=st.lists(
        st.one_of(
            st.tuples(st.just("pass"), st.floats(0, 100)),
            st.tuples(st.just("save"), st.just(0)),
            st.tuples(st.just("fail"), st.just(0)),
            st.tuples(st.just("kill"), st.floats(0, 100)),
            st.tuples(st.just("set clock"), st.floats(-1e7, 0)),
        ),
        max_size=30,
    ),
)
def test_it_never_goes_back(speed: int, events: list[tuple[str, float]]) -> None:
    """Whatever happens to process, store and system clock, the calendar does not go back.

    At speed 1 a kill together with a clock set back may cost the minute between two marks.
    """

    async def live() -> None:
        link, store = HandClock(), Store()
        calendar, seen, set_back = await started(link, store, speed=speed), START, False
        for event, amount in events:
            match event:
                case "pass":
                    link.pass_time(amount)
                case "save" | "fail":
                    store.broken = event == "fail"
                    with contextlib.suppress(OSError):
                        await calendar.save_mark()
                    store.broken = False
                case "kill":
                    link.pass_time(amount)
                    calendar = await started(link, store, speed=speed)
                    if set_back:
                        seen = min(seen, calendar.now())
                case _:
                    link.utc_now += timedelta(seconds=amount)
                    set_back = True
            assert calendar.now() >= seen
            seen = calendar.now()

    with asyncio.Runner() as runner:
        runner.run(live())


@pytest.mark.parametrize(("speed", "cost_s"), [(1, 60), (2, 0), (3600, 0)])
async def test_killed_with_the_clock_set_back_it_goes_on_from_the_mark(
    speed: int, cost_s: int
) -> None:
    """Ahead of UTC nothing comes twice; at speed 1, where the mark follows, at most a minute."""
    link, store = HandClock(), Store()
    calendar = await started(link, store, speed=speed)
    for _ in range(100):
        link.pass_time(1)
        await calendar.save_mark()
    link.utc_now -= timedelta(days=1)
    again = await started(link, store, speed=speed)

    assert calendar.now() - again.now() <= timedelta(seconds=cost_s)


async def test_a_month_at_full_speed_ends_before_the_calendar_does() -> None:
    """Past what a datetime can say the calendar stands still."""
    link, store = HandClock(), Store()
    calendar = await started(link, store, speed=100_000)
    link.pass_time(40 * 86_400)
    await calendar.save_mark()

    assert calendar.now() == LAST_INSTANT


@pytest.mark.parametrize("speed", [0, -1, 100_001, 10**9])
def test_a_speed_out_of_range_is_refused(speed: int) -> None:
    """Speed is from 1 to 100,000."""
    with pytest.raises(ValueError, match=f"from 1 to 100000, not {speed}"):
        ScaledCalendar(HandClock(), speed=speed, mark=None, save=Store().save)


async def test_a_mark_that_cannot_be_saved_does_not_end_the_loop() -> None:
    """The saving loop goes on after a failure."""
    link, store = HandClock(), Store()
    calendar = await started(link, store, speed=100)
    store.broken = True
    link.pass_time(10)
    store.tried.clear()
    loop = asyncio.ensure_future(calendar.run(every_s=0))
    await asyncio.wait_for(store.tried.wait(), 5)
    store.broken = False
    store.tried.clear()
    await asyncio.wait_for(store.tried.wait(), 5)
    await asyncio.sleep(0)
    loop.cancel()

    assert calendar.now() == START + timedelta(seconds=1000)


def test_the_system_clock_is_aware_and_monotonic() -> None:
    """The real link clock names its zone and does not go back."""
    link = SystemLinkClock()
    first = link.now()

    assert link.now() >= first
    assert link.utc().utcoffset() == timedelta(0)
