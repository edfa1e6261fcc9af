"""Reminders from the registry to the mailbox: to whom they are due, once, in his utility's zone and language, however the workers go."""

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from time import perf_counter
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from gateway.domain.supply import Line
from gateway.domain.windows import Opening, days_in, local_day, opening
from gateway.mapping import formats
from gateway.pipeline import reminding
from gateway.settings import Reminders, Settings
from gateway.store import feed, people
from gateway.worker import Worker
from tests.conftest import case
from tests.smtp import Mailbox, running_mail
from tests.store.ground import LIMITS, ZONE, Ground

Record = Callable[[str, int, str], None]
DAY = timedelta(days=1)


@pytest.fixture
def server() -> Iterator[Mailbox]:
    with running_mail() as running:
        yield running


def link(
    ground: Ground, email: str, *, start: int | None = None, end: int | None = None, agreement: str = "A-1", state: str = "linked"
) -> None:
    """Link an agreement to somebody, with his switches."""
    ground.rows(
        "insert into link (utility_id, login, email, agreement_id, state, method, remind_start, remind_end) "
        "select utility_id, %(email)s, %(email)s, id, %(state)s, 'manager', %(start)s, %(end)s from agreement where number = %(agreement)s",
        email=email,
        state=state,
        start=start,
        end=end,
        agreement=agreement,
    )


def window(ground: Ground) -> Opening:
    """The window of the ground's period: of its legal-entity profile, until the 21st of the next month."""
    with ground.owner.transaction() as connection:
        return opening(people.profiles(connection, ground.utility)["legal_entity"].timing(), ground.period)


def at(day: date, hour: int = 9) -> datetime:
    """That hour of a day in the zone of the profile."""
    return datetime(day.year, day.month, day.day, hour, 30, tzinfo=ZoneInfo(ZONE))


def remind(ground: Ground, now: datetime, done: dict[tuple[int, str], date] | None = None) -> int:
    return reminding.remind(ground.store, now, hour=9, done={} if done is None else done)


def letters(ground: Ground) -> list[tuple[Any, ...]]:
    return ground.plain("select recipient, kind, \"values\" ->> 'meters' from letter order by recipient, kind")


def test_readers_are_told_so_many_days_before_the_end_of_what_is_missing(ground: Ground) -> None:
    ground.meters(3)
    link(ground, "two@example.org", end=2)
    link(ground, "three@example.org", end=3)
    link(ground, "off@example.org")
    link(ground, "", end=2)
    link(ground, "waiting@example.org", end=2, state="waiting")
    link(ground, "ended@example.org", end=2, state="ended")
    ground.receive({"M000002": 150})
    last = window(ground).last
    assert remind(ground, at(last - 2 * DAY)) == 1
    assert letters(ground) == [("two@example.org", "remind_end", "M000001, M000003")]
    [said] = ground.rows('select "values" as told, language, expires_at, occasion from letter')
    assert (said.told["agreement"], said.told["period"], said.told["last"]) == ("A-1", ground.period, last.isoformat())
    assert (said.told["utility"], said.told["days"], said.language) == ("city", "2", "ru")
    assert said.expires_at == datetime(last.year, last.month, last.day, tzinfo=ZoneInfo(ZONE)) + DAY
    assert remind(ground, at(last - 3 * DAY)) == 1


def test_nothing_is_written_when_nothing_is_missing_or_nothing_would_be_taken(ground: Ground) -> None:
    ground.meters(2)
    link(ground, "two@example.org", start=2, end=2)
    ground.receive({"M000001": 150})
    ground.rows("update meter set entry_open = false where serial = 'M000002'")
    assert remind(ground, at(window(ground).last - 2 * DAY)) == 0
    ground.rows("update meter set entry_open = true")
    assert remind(ground, at(window(ground).last - 2 * DAY)) == 1


def test_what_billing_does_not_take_for_the_period_is_not_asked_for(ground: Ground) -> None:
    """F-046, F-052: a status of the period comes before the flag, and a closed period takes nothing more."""
    ground.meters(1)
    link(ground, "two@example.org", end=2)
    now = at(window(ground).last - 2 * DAY)

    ground.rows(
        "insert into entry_status (utility_id, kind, entity_id, period, status) "
        "select utility_id, 'meter', id, %(p)s, 'Рассчитано' from meter",
        p=ground.period,
    )
    assert remind(ground, now) == 0
    ground.rows("update meter set entry_open = false")
    ground.rows("update entry_status set status = ' ожидание'")
    ground.rows(
        "insert into billing_period (utility_id, agreement_id, code, starts, ends, closed_at) "
        "select utility_id, id, %(p)s, %(d)s, %(d)s, now() from agreement",
        p=ground.period,
        d=days_in(ground.period)[0],
    )
    assert remind(ground, now) == 0
    ground.rows("update billing_period set closed_at = null")
    assert remind(ground, now) == 1


def test_the_start_is_told_before_the_window_opens(ground: Ground) -> None:
    ground.meters(1)
    link(ground, "two@example.org", start=4)
    first = window(ground).first
    assert [remind(ground, at(first - number * DAY)) for number in (5, 4, 3)] == [0, 1, 0]
    assert letters(ground) == [("two@example.org", "remind_start", "M000001")]


def test_the_hour_is_the_utilitys_and_a_day_that_has_gone_by_is_not_made_up_for(ground: Ground) -> None:
    ground.meters(1)
    link(ground, "two@example.org", end=2)
    link(ground, "one@example.org", end=1)
    done: dict[tuple[int, str], date] = {}
    last = window(ground).last
    assert remind(ground, at(last - 2 * DAY, 8), done) == 0
    assert remind(ground, at(last - 1 * DAY, 8), done) == 0
    assert remind(ground, at(last - 1 * DAY, 23).astimezone(UTC), done) == 1
    assert letters(ground) == [("one@example.org", "remind_end", "M000001")]


def test_none_is_written_twice_by_one_worker_or_by_many(ground: Ground) -> None:
    ground.meters(2)
    for number in range(60):
        link(ground, f"reader{number}@example.org", end=2)
    now = at(window(ground).last - 2 * DAY)
    with ThreadPoolExecutor(4) as threads:
        written = list(threads.map(lambda _: remind(ground, now), range(8)))
    assert (sum(written), remind(ground, now), ground.one("select count(*) from letter")) == (60, 0, 60)
    assert ground.deadlocks() == 0


def test_a_change_of_the_switch_does_not_tell_the_same_window_again(ground: Ground) -> None:
    ground.meters(1)
    link(ground, "anna@example.org", end=3)
    last = window(ground).last
    assert remind(ground, at(last - 3 * DAY)) == 1
    ground.rows("update link set remind_end = 1")
    assert remind(ground, at(last - 1 * DAY)) == 0


def test_a_service_with_a_window_of_its_own_is_told_on_its_own_day(ground: Ground) -> None:
    ground.meters(1)
    document = b"\n".join(
        [
            b'name = "pipes"\ntitle = "t"\nmanual = "m"\nzone = "Asia/Irkutsk"\nlanguage = "uk"\nservices = ["cold_water", "drain"]',
            b'linking = "manager"\nwindow = { kind = "month_end", day = 20 }',
            b'windows = { drain = { kind = "cut_off", day = 10 } }\n[reading]',
        ]
    )
    told: dict[str, Any] = {"agreement": "W", "register": "volume", "digits": 5}
    lines = [Line(point="1", meter="cold", service="cold_water", **told), Line(point="2", meter="drain", service="drain", **told)]
    with ground.owner.transaction() as connection:
        people.save_document(connection, ground.utility, "profile", "pipes", document, "test")
        feed.import_lines(connection, ground.utility, "pipes", lines)
    link(ground, "anna@example.org", end=2, agreement="W")
    first, last = days_in(ground.period)
    irkutsk = ZoneInfo("Asia/Irkutsk")
    assert remind(ground, datetime(first.year, first.month, 8, 9, tzinfo=irkutsk)) == 1
    assert letters(ground) == [("anna@example.org", "remind_end", "drain")]
    assert remind(ground, datetime.combine(last - 2 * DAY, datetime.min.time(), irkutsk) + timedelta(hours=9)) == 1
    assert {row[2] for row in letters(ground)} == {"drain", "cold"}
    assert ground.plain("select distinct language from letter") == [("uk",)]


def test_a_worker_whose_clock_stands_there_writes_and_sends(ground: Ground, server: Mailbox) -> None:
    ground.meters(1)
    link(ground, "anna@example.org", end=2)
    mail = {"kind": "mail", "host": "127.0.0.1", "port": server.port, "security": "none", "sender": "letters@city.example"}
    settings = Settings(targets={"city": {"mail": mail}}, reminders=Reminders(hour=9))
    skew = at(window(ground).last - 2 * DAY) - datetime.now(UTC)
    for name in ("one", "two"):
        Worker(ground.store, settings, formats(LIMITS), name=name, skew=skew).run_until_idle()
    assert server.recipients() == ["anna@example.org"]
    text = server.arrived[0].message.get_body(("plain",))
    assert text is not None
    assert "M000001" in text.get_content()


def test_ten_thousand_readers_are_reminded_in_seconds(ground: Ground, proof: Record) -> None:
    count = case(1000, 10_000)
    before = f"{local_day(datetime.now(UTC), ZONE).replace(day=1) - DAY:%Y-%m}"
    told: dict[str, Any] = {"digits": 6, "last": Decimal(1), "last_period": before}
    lines = [
        Line(agreement=f"B-{number}", point=f"{number}", meter=f"B{number}", register=register, **told)
        for number in range(count)
        for register in ("A+:day", "A+:night")
    ]
    with ground.owner.transaction() as connection:
        feed.import_lines(connection, ground.utility, "legal_entity", lines)
        connection.exec_driver_sql(
            "insert into link (utility_id, login, email, agreement_id, state, method, remind_start, remind_end) "
            "select utility_id, number, number || '@example.org', id, 'linked', 'manager', 4, 2 from agreement where number like 'B-%%'"
        )
    began = perf_counter()
    written = remind(ground, at(window(ground).last - 2 * DAY))
    took = perf_counter() - began
    began = perf_counter()
    assert remind(ground, at(window(ground).last - 2 * DAY)) == 0
    again = perf_counter() - began
    began = perf_counter()
    assert remind(ground, at(window(ground).last - 5 * DAY)) == 0
    assert written == count
    assert Counter(row[1] for row in letters(ground)) == {"remind_end": count}
    proof(
        "reminders",
        count,
        f"{took:.1f} s to write them, {again:.1f} s when all are written, {perf_counter() - began:.2f} s when none is due",
    )
    assert took < 60
