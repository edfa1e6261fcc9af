"""A new version of a profile: what it would mean for readings that came, and running processes that see it without a restart."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from gateway.domain.calendars import read_calendar
from gateway.domain.documents import faults
from gateway.domain.windows import local_day, open_on
from gateway.mapping import formats
from gateway.pipeline import configuring
from gateway.pipeline.configuring import Effect, Plan
from gateway.profiles import calendars, shipped
from gateway.settings import Limits
from gateway.store import Connection
from tests.peers import until
from tests.running import Gateway, Utility

LEGAL = shipped()["legal_entity"].decode()


@pytest.fixture
def company(gateway: Gateway) -> Utility:
    """Four meters: two advanced, one stands still, one went backwards and waits for a person."""
    made = gateway.utility("legal_entity")
    made.meters("1", "2", "3", "4")
    answer = made.submit(made.body({"1": "150", "2": "160", "3": "100", "4": "90"}))
    assert [row["status"] for row in answer.json()["readings"]] == ["queued", "queued", "queued", "needs_review"]
    return made


@pytest.fixture
def connection(gateway: Gateway) -> Iterator[Connection]:
    with gateway.owner.transaction() as made:
        yield made


def planned(connection: Connection, company: Utility, *changes: tuple[str, str]) -> Plan:
    """What a document with these changes comes to."""
    text = LEGAL
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    assert faults("profile", text.encode()) == []
    return configuring.plan(connection, company.id, {("profile", "legal_entity"): text.encode()}, formats(Limits()))


def effect(connection: Connection, company: Utility, *changes: tuple[str, str]) -> Effect:
    [one] = configuring.effects(connection, company.id, planned(connection, company, *changes), datetime.now(UTC))
    return one


def test_a_severity_says_how_many_readings_would_fare_otherwise(company: Utility, connection: Connection) -> None:
    stricter = effect(connection, company, ('zero_consumption = "warning"', 'zero_consumption = "error"'))
    assert (stricter.retrial.same, dict(stricter.retrial.other), stricter.retrial.untold) == (3, {("accepted", "rejected"): 1}, 0)
    milder = effect(connection, company, ('reading_decreased = "needs_review"', 'reading_decreased = "warning"'))
    assert dict(milder.retrial.other) == {("needs_review", "accepted"): 1}
    assert (stricter.reach.agreements, stricter.reach.meters, stricter.shifts) == (1, 4, [])


def test_a_format_that_is_no_longer_taken_counts(company: Utility, connection: Connection) -> None:
    told = effect(connection, company, ('"canonical_json"', '"heat_archive"'))
    assert dict(told.retrial.other) == {("accepted", "rejected"): 3, ("needs_review", "rejected"): 1}


def test_a_window_says_what_opens_and_closes_and_which_readings_would_be_late(company: Utility, connection: Connection) -> None:
    told = effect(connection, company, ("from_month = 0", "from_month = -9"), ("to_month = 1", "to_month = -9"))
    [shift] = told.shifts
    assert (shift.group.agreements, company.period in {one.period for one in shift.was}) == (1, True)
    assert company.period not in {one.period for one in shift.now}
    assert told.retrial.other[("accepted", "rejected")] == 3


def test_of_what_was_decided_by_what_is_gone_nothing_is_said(company: Utility, connection: Connection) -> None:
    """The object was closed for entry after its readings had come: they would be refused by either version."""
    connection.exec_driver_sql("update meter set entry_open = false where utility_id = %(u)s", {"u": company.id})
    told = effect(connection, company, ('zero_consumption = "warning"', 'zero_consumption = "error"'))
    assert (told.retrial.same, dict(told.retrial.other), told.retrial.untold) == (0, {}, 4)


def test_running_processes_judge_and_speak_by_a_new_version_without_a_restart(company: Utility, gateway: Gateway) -> None:
    with gateway.owner.transaction() as connection:
        plan = planned(
            connection,
            company,
            ('zero_consumption = "warning"', 'zero_consumption = "error"'),
            ("[words]", '[words]\n"status.rejected" = "Завернули"'),
        )
        configuring.write(connection, company.id, plan, "Иванова")
    refused = company.body({"1": "100"})

    def row() -> tuple[str, str]:
        """What is refused whole may come again, and is judged again."""
        answer = company.call("POST", "/v1/readings", content=refused, headers={"Accept-Language": "ru"}).json()
        return answer["readings"][0]["status"], answer["readings"][0]["text"]

    assert row()[0] == "rejected", "judged by the new version at once"
    until(lambda: row() == ("rejected", "Завернули"), "the receipt speaks the words of the new version")


def test_a_calendar_says_whose_windows_it_moves(gateway: Gateway, connection: Connection) -> None:
    """When nobody works on the last day of the window that is open today, it goes on."""
    water = gateway.utility("water")
    water.meters("1")
    timing = water.profile.timing(day=water.due, calendar=read_calendar(calendars()["ru"]))
    last = open_on(timing, local_day(datetime.now(UTC), timing.zone))[0].last
    text = calendars()["ru"].decode().replace("off = []", f"off = [{last}]").encode()
    plan = configuring.plan(connection, water.id, {("calendar", "ru"): text}, formats(Limits()))
    assert [(one.kind, one.name, one.changes[0].key, one.changes[0].now) for one in plan.planned] == [("calendar", "ru", "off", str(last))]
    [told] = configuring.effects(connection, water.id, plan, datetime.now(UTC))
    [shift] = told.shifts
    assert (told.profile, told.reach.agreements, shift.opened, shift.closed) == ("water", 1, False, False)
    assert (shift.was[0].last, shift.now[0].last > last) == (last, True)
