"""Letters in the ledger: written once, sent by real SMTP with the same retries, breaker and doubt as readings, to whom they are for."""

import base64
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gateway.domain.supply import Line
from gateway.mapping import formats
from gateway.settings import Settings
from gateway.settings import Worker as WorkerSettings
from gateway.store import Store, doubts, feed, letters, people
from gateway.worker import Worker
from tests.peers import refused_url
from tests.smtp import Mailbox, running_mail
from tests.store.ground import LIMITS, NOW, Ground

DAY = timedelta(days=1)
VALUES = {"utility": "City", "agreement": "A-1", "period": "2022-10", "first": "2022-10-01", "last": "2022-11-21", "day": "2022-11-19"} | {
    "days": "2",
    "meters": "M1",
    "more": "0",
}


@pytest.fixture
def server() -> Iterator[Mailbox]:
    with running_mail() as running:
        yield running


def section(server: Mailbox | None, **more: Any) -> dict[str, Any]:
    """The settings of a mail target; nobody listens when there is no server."""
    port = server.port if server else int(refused_url().rpartition(":")[2])
    return {"kind": "mail", "host": "127.0.0.1", "port": port, "security": "none", "sender": "letters@city.example", "timeout": 5.0} | more


def worker(ground: Ground, mail: dict[str, Any] | None, *, skew: timedelta = NOW, **settings: Any) -> Worker:
    """A worker whose settings have this mail target."""
    told = Settings(targets={"city": {"mail": mail}} if mail else {}, worker=WorkerSettings(**{"jitter": 0.0, **settings}))
    return Worker(ground.store, told, formats(LIMITS), name="test", skew=skew)


def write(ground: Ground, name: str, occasion: str = "1", *, kind: str = "remind_end", linked: bool = True, **more: Any) -> bool:
    """Write a reminder to `name@example.org`, to whom the agreement is linked unless told."""
    ground.meters(1)
    told = {"u": ground.utility, "email": f"{name}@example.org"}
    if linked:
        ground.rows(
            "insert into link (utility_id, login, email, agreement_id, state, method) "
            "select %(u)s, %(email)s, %(email)s, id, 'linked', 'manager' from agreement where utility_id = %(u)s on conflict do nothing",
            **told,
        )
    agreement = ground.one("select id from agreement")
    with ground.store.transaction() as connection:
        return letters.write(connection, ground.utility, kind, f"{name}@example.org", occasion, "ru", VALUES, agreement, **more)


def states(ground: Ground) -> dict[str, str]:
    """The state of each letter by its recipient's name."""
    return {row.recipient.partition("@")[0]: row.status for row in ground.rows("select recipient, status from letter")}


def test_a_letter_is_written_once_and_sent_once(ground: Ground, server: Mailbox) -> None:
    assert [write(ground, "anna"), write(ground, "anna"), write(ground, "anna", "2"), write(ground, "boris")] == [True, False, True, True]
    worker(ground, section(server)).run_until_idle()
    worker(ground, section(server)).run_until_idle()
    assert sorted(server.recipients()) == ["anna@example.org", "anna@example.org", "boris@example.org"]
    assert states(ground) == {"anna": "acknowledged", "boris": "acknowledged"}
    assert ground.rows("select from delivery") == ground.rows("select from lane") == []
    moves = "select from_state, to_state, reason like '%%queued as%%' from event where entity = 'letter'"
    assert ground.plain(moves) == [("queued", "acknowledged", True)] * 3


def test_many_who_write_the_same_letter_write_one(ground: Ground, server: Mailbox) -> None:
    write(ground, "first")
    with ThreadPoolExecutor(4) as threads:
        written = list(threads.map(lambda number: write(ground, "anna", linked=number == 0), range(12)))
    assert sum(written) == 1
    worker(ground, section(server)).run_until_idle()
    assert server.recipients().count("anna@example.org") <= 1
    assert ground.deadlocks() == 0


def test_each_letter_comes_to_what_the_server_says_of_it(ground: Ground, server: Mailbox) -> None:
    for name in ("anna", "nobody", "busy"):
        write(ground, name)
    worker(ground, section(server)).run_until_idle()
    assert states(ground) == {"anna": "acknowledged", "nobody": "rejected", "busy": "queued"}
    assert ground.one("select reason from letter where status = 'rejected'") == "550 5.1.1 no such mailbox"
    worker(ground, section(server), skew=timedelta(hours=1)).run_until_idle()
    assert ground.one("select tries from delivery") == 2


def test_a_server_that_is_away_gets_the_letter_when_it_is_back(ground: Ground, server: Mailbox) -> None:
    write(ground, "anna")
    worker(ground, section(None)).run_until_idle()
    worker(ground, section(None), skew=timedelta(minutes=2)).run_until_idle()
    assert (ground.one("select failures from target where name = 'mail'"), states(ground)) == (2, {"anna": "queued"})
    worker(ground, section(server), skew=timedelta(hours=1)).run_until_idle()
    assert (server.recipients(), states(ground)) == (["anna@example.org"], {"anna": "acknowledged"})


def test_a_lost_answer_is_sent_again_under_the_same_message_id(ground: Ground, server: Mailbox) -> None:
    write(ground, "anna")
    server.moods = {"hangup"}
    worker(ground, section(server)).run_until_idle()
    assert states(ground) == {"anna": "queued"}
    server.moods = set()
    worker(ground, section(server), skew=timedelta(hours=1)).run_until_idle()
    first, second = server.arrived
    assert first.message["Message-ID"] == second.message["Message-ID"]
    assert states(ground) == {"anna": "acknowledged"}


def test_a_person_may_be_asked_about_a_lost_answer_instead(ground: Ground, server: Mailbox) -> None:
    for name in ("anna", "boris", "vera"):
        write(ground, name)
        server.moods = {"hangup"}
        worker(ground, section(server, lost="in_doubt")).run_until_idle()
    server.moods = set()
    assert set(states(ground).values()) == {"in_doubt"}
    with ground.owner.transaction() as connection:
        found = {doubt.meter: doubt for doubt in doubts.waiting(connection)}
        anna, boris, vera = (found[f"{name}@example.org"] for name in ("anna", "boris", "vera"))
        assert (anna.key, anna.period, anna.state) == (f"let_{anna.reading.hex}", "remind_end", "in_doubt")
        doubts.taken(connection, anna.reading, actor="operator:o")
        doubts.again(connection, boris.reading, actor="operator:o")
        doubts.refused(connection, vera.reading, actor="operator:o", reason="he has moved")
    worker(ground, section(server)).run_until_idle()
    assert states(ground) == {"anna": "acknowledged", "boris": "acknowledged", "vera": "rejected"}
    assert ground.one("select reason from letter where status = 'rejected'") == "he has moved"
    assert sorted(server.recipients()) == ["anna@example.org", "boris@example.org", "boris@example.org", "vera@example.org"]


def test_a_letter_that_is_never_taken_is_dead_and_may_be_revived(ground: Ground, server: Mailbox) -> None:
    write(ground, "anna")
    ground.rows("update delivery set created_at = now() - interval '8 days'")
    worker(ground, section(None)).run_until_idle()
    assert states(ground) == {"anna": "dead"}
    with ground.owner.transaction() as connection:
        [doubt] = doubts.waiting(connection)
        doubts.again(connection, doubt.reading, actor="operator:o")
    worker(ground, section(server), skew=timedelta(minutes=5)).run_until_idle()
    assert (server.recipients(), states(ground)) == (["anna@example.org"], {"anna": "acknowledged"})


def test_what_is_out_of_date_or_for_somebody_who_is_linked_no_more_is_not_sent(ground: Ground, server: Mailbox) -> None:
    write(ground, "anna", expires_at=datetime.now(UTC) + DAY)
    write(ground, "boris", expires_at=datetime.now(UTC) + 3 * DAY)
    write(ground, "vera", expires_at=datetime.now(UTC) + 3 * DAY)
    write(ground, "stranger", linked=False)
    write(ground, "asking", kind="remind_end", linked=False)
    ground.rows("update link set state = 'ended' where login like 'vera%%'")
    ground.rows("update link set state = 'waiting' where login like 'asking%%'")
    worker(ground, section(None)).run_until_idle()
    worker(ground, section(server), skew=2 * DAY).run_until_idle()
    assert server.recipients() == ["boris@example.org"]
    expected = {"anna": "withdrawn", "boris": "acknowledged", "vera": "withdrawn", "stranger": "withdrawn", "asking": "withdrawn"}
    assert states(ground) == expected


def test_a_letter_that_is_sent_keeps_no_secret(ground: Ground, server: Mailbox) -> None:
    told = {"agreement": "1", "login": "ivan", "secret": "s3cr3t", "url": "https://my.example/?code=s3cr3t", "hours": "24"}
    with ground.store.transaction() as connection:
        assert letters.write(connection, ground.utility, "link_confirm", "anna@example.org", "link 1", "ru", told)
    assert "s3cr3t" in str(ground.one('select "values" from letter'))
    worker(ground, section(server)).run_until_idle()
    assert ground.one('select "values" from letter') == {"agreement": "1", "login": "ivan", "hours": "24"}
    assert b"s3cr3t" in base64.b64decode(server.arrived[0].content.split(b"base64")[1].split(b"--=")[0])


def test_without_a_mail_server_letters_wait_and_the_log_says_so_once(ground: Ground, caplog: pytest.LogCaptureFixture) -> None:
    write(ground, "anna")
    waits = worker(ground, None)
    with caplog.at_level(logging.WARNING, "metergate"):
        waits.run_until_idle()
        waits.run_until_idle()
    told = [record.__dict__["facts"]["why"] for record in caplog.records if record.message == "worker.waits"]
    assert told == ["the settings have no [targets.city.mail]: its deliveries wait"]
    assert states(ground) == {"anna": "queued"}


def test_no_billing_gets_letters_and_no_mail_server_readings(ground: Ground, server: Mailbox, caplog: pytest.LogCaptureFixture) -> None:
    write(ground, "anna")
    ground.receive({ground.meters(1)[0]: 150})
    told = Settings(targets={"city": {"mail": {"kind": "files", "folder": "."}, "billing": section(server)}})
    with caplog.at_level(logging.WARNING, "metergate"):
        Worker(ground.store, told, formats(LIMITS), name="test").run_until_idle()
    assert sum("does not fit" in str(record.__dict__.get("facts")) for record in caplog.records) == 2
    assert (server.recipients(), states(ground)) == ([], {"anna": "queued"})


def test_letters_of_utilities_do_not_mix(ground: Ground, server: Mailbox) -> None:
    write(ground, "anna")
    with ground.owner.transaction() as connection:
        other = people.ensure_utility(connection, "village")
        feed.import_lines(connection, other, "water", [Line(agreement="V", point="1", meter="1", register="volume", digits=5)])
        connection.exec_driver_sql(
            "insert into link (utility_id, login, email, agreement_id, state, method) "
            "select utility_id, 'anna', 'anna@example.org', id, 'linked', 'manager' from agreement where utility_id = %(u)s",
            {"u": other},
        )
    agreement = ground.one("select id from agreement where utility_id = %(u)s", u=other)
    door = Store(ground.owner.url, role="app", pool=1)
    with door.transaction(other) as connection:
        assert letters.write(connection, other, "remind_end", "anna@example.org", "1", "ru", VALUES, agreement) is True
        assert connection.exec_driver_sql("select utility_id from letter").scalars().all() == [other]
    door.close()
    with running_mail() as theirs:
        told = Settings(targets={"city": {"mail": section(server)}, "village": {"mail": section(theirs, sender="v@village.example")}})
        Worker(ground.store, told, formats(LIMITS), name="test").run_until_idle()
        assert [one.sender for one in server.arrived] == ["letters@city.example"]
        assert [one.sender for one in theirs.arrived] == ["v@village.example"]


def test_a_letter_without_words_is_not_written(ground: Ground) -> None:
    with pytest.raises(ValueError, match="no words"):
        write(ground, "anna", kind="greeting")


def test_no_address_and_no_name_is_logged(ground: Ground, server: Mailbox, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("anna", "nobody", "busy", "spam", "hangup"):
        write(ground, name)
    with caplog.at_level(logging.DEBUG, "metergate"):
        worker(ground, section(server)).run_until_idle()
        worker(ground, section(server), skew=timedelta(hours=1)).run_until_idle()
    said = " ".join(f"{record.getMessage()} {record.__dict__.get('facts')} {record.exc_text}" for record in caplog.records)
    assert "deliver.sent" in said
    assert [word for word in ("example.org", "A-1", "anna") if word in said] == []
