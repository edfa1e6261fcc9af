"""A gateway killed anywhere between a reminder's day and its letter: none is lost, none written twice, and only a sent one repeated."""

import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest

from gateway import profiles
from gateway.domain.profile import read_profile
from gateway.domain.supply import Line
from gateway.domain.windows import local_day, open_on
from gateway.steps import CHANNEL_STEPS, STEPS
from gateway.store import feed, people
from gateway.store.audit import audit
from tests.crash.world import World
from tests.peers import until
from tests.smtp import Mailbox, running_mail

POINTS: Final = [step for step in (*CHANNEL_STEPS, *STEPS) if step.startswith(("remind.", "deliver."))]
SENT: Final = ("deliver.sent", "deliver.recorded")
"""Where the letters of a batch are out and the database does not know it."""
MAIL: Final = """
[targets.city.mail]
kind = "mail"
host = "127.0.0.1"
port = {port}
security = "none"
sender = "letters@city.example"
[reminders]
hour = 0
look = 0.2
"""
READERS: Final = 6


@pytest.fixture(scope="module")
def server() -> Iterator[Mailbox]:
    with running_mail() as running:
        yield running


@pytest.fixture(scope="module")
def world(server: Mailbox) -> Iterator[World]:
    """An installation with that mail server; a window of its profile closes in the next days."""
    with tempfile.TemporaryDirectory(prefix="metergate-letters-") as folder:
        Path(folder).chmod(0o711)
        made = World(Path(folder))
        with made.config.open("a", encoding="utf-8") as config:
            config.write(MAIL.format(port=server.port))
        yield made
        made.close()


def link(world: World, name: str) -> list[str]:
    """Link an agreement of one unread meter to readers who want to be told today; their addresses."""
    text = profiles.shipped()["legal_entity"].decode()
    zone = read_profile(text.encode()).zone
    today = local_day(datetime.now(UTC), zone)
    closing = today + timedelta(days=2)
    head, _, rest = text.partition("[window]")
    document = f'{head}[window]\nkind = "due_day"\nday = {closing.day}\n\n[{rest.partition("[")[2]}'.encode()
    [last] = [one.last for one in open_on(read_profile(document).timing(), closing) if one.nominal == closing]
    line = Line(agreement=name, point=name, meter=name, register="A+", digits=6)
    readers = [f"{name}-{number}@example.org" for number in range(READERS)]
    with world.store.transaction() as connection:
        people.save_document(connection, world.utility, "profile", "legal_entity", document, "test")
        feed.import_lines(connection, world.utility, "legal_entity", [line])
        for reader in readers:
            connection.exec_driver_sql(
                "insert into link (utility_id, login, email, agreement_id, state, method, remind_end) "
                "select utility_id, %(r)s, %(r)s, id, 'linked', 'manager', %(days)s from agreement where number = %(a)s",
                {"r": reader, "a": name, "days": (last - today).days},
            )
    return readers


def states(world: World, readers: list[str]) -> list[str]:
    """The states of the letters to these."""
    with world.store.transaction() as connection:
        rows = connection.exec_driver_sql("select status from letter where recipient = any(%(readers)s)", {"readers": readers})
        return [row.status for row in rows]


@pytest.mark.parametrize("point", POINTS)
def test_a_letter_survives_a_kill(world: World, server: Mailbox, point: str) -> None:
    readers = link(world, point)
    until(world.gateway(f"{point}:KILL").dead, f"the gateway comes to {point}", 60)
    world.gateway()
    until(lambda: states(world, readers) == ["acknowledged"] * READERS, "every letter is sent", 60)
    arrived = [one for one in server.arrived if one.recipient in readers]
    assert {one.recipient for one in arrived} == set(readers)
    assert len({one.message["Message-ID"] for one in arrived}) == READERS
    repeated = len(arrived) - READERS
    assert 0 < repeated <= READERS if point in SENT else repeated == 0, "only the letters of the batch that was on its way"
    with world.store.transaction() as connection:
        assert audit(connection) == []
