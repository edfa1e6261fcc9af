"""`reminders` on a real database: who would get what and why, and the same written once."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from gateway.domain.windows import opening
from gateway.store import people
from tests.cli.conftest import Command
from tests.conftest import Database
from tests.store.ground import Ground


@pytest.fixture
def ground(database: Database) -> Iterator[Ground]:
    """A utility with an unread meter, whose agreement is linked to somebody who wants to be told two days before the end."""
    made = Ground(database)
    made.meters(1)
    made.rows(
        "insert into link (utility_id, login, email, agreement_id, state, method, remind_end) "
        "select utility_id, 'anna', 'anna@example.org', id, 'linked', 'manager', 2 from agreement"
    )
    yield made
    made.clean()
    made.close()


def test_a_day_is_shown_and_nothing_is_written(on_database: Command, ground: Ground) -> None:
    with ground.owner.transaction() as connection:
        last = opening(people.profiles(connection, ground.utility)["legal_entity"].timing(), ground.period).last
    day = (last - timedelta(days=2)).isoformat()
    told = on_database("reminders", "--on", day, "--dry-run")
    assert (told.returncode, told.stderr) == (0, "")
    _, row = told.stdout.splitlines()
    shown = ("city", "A-1", "anna@example.org", ground.period, last.isoformat(), "M000001", "2 days before it closes", "to be written")
    assert [part for part in shown if part not in row] == []
    assert ground.one("select count(*) from letter") == 0
    other = on_database("reminders", "--on", last.isoformat(), "--dry-run")
    assert other.stdout == "nobody is to be reminded\n"
    assert on_database("reminders", "--dry-run", "--on", day, "--utility", "village").stdout == "nobody is to be reminded\n"


def test_todays_are_written_once_and_other_days_only_shown(on_database: Command, ground: Ground) -> None:
    document = b'name = "legal_entity"\ntitle = "t"\nmanual = "m"\nzone = "Europe/Moscow"\nlanguage = "ru"\nservices = ["electricity"]\n'
    document += b'linking = "manager"\nwindow = { kind = "cut_off", day = 31 }\n[reading]\n'
    with ground.owner.transaction() as connection:
        people.save_document(connection, ground.utility, "profile", "legal_entity", document, "test")
        left = ground.one(
            "select extract(day from date_trunc('month', n) + interval '1 month - 1 day' - date_trunc('day', n))::int "
            "from (select clock_timestamp() at time zone 'Europe/Moscow' as n) x"
        )
    ground.rows("update link set remind_end = %(left)s", left=left)
    assert on_database("reminders").stdout == "1 letters written\n"
    assert on_database("reminders").stdout == "0 letters written\n"
    assert "written already" in on_database("reminders", "--dry-run").stdout
    refused = on_database("reminders", "--on", "2022-10-21")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "only with --dry-run" in refused.stderr
