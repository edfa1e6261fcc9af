"""A view of another database as master data: what is read of it, and what every fault comes to."""

import os
import signal
import socket
import uuid
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import msgspec
import psycopg
import pytest

from gateway import postgres
from gateway.domain.problems import Misconfigured, Unavailable
from gateway.outbound import Target
from gateway.registry import build
from tests.store.ground import Aside
from tests.targets.conftest import batch

PAGE = Path(__file__).parents[2] / "contracts_schema" / "sql_staging.md"
METERS = """
create schema abonent;
create table abonent."ПУ" (ls text, point text, num_sch text, register text, digits int, kt numeric, verify_by date, open bool, x float);
create view abonent.registry as select * from abonent."ПУ" order by num_sch;
insert into abonent."ПУ" values ('ЛС-17', '1', '0012', 'A+', 6, 1e2, '2031-01-02', false, 0.1);
insert into abonent."ПУ" values ('ЛС; "18"', '1', '0013', 'R+', 6, null, null, true, 1);
"""
OTHERS = "from pg_stat_activity where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid()"
COLUMNS = {
    "agreement": "ls",
    "point": "point",
    "meter": "num_sch",
    "register": "register",
    "digits": "digits",
    "ratio": "kt",
    "verify_by": "verify_by",
    "entry_open": "open",
    "losses": "x",
}


@pytest.fixture(scope="module")
def billing(server: postgres.Server) -> Iterator[str]:
    """The URL of the billing's own database."""
    name = f"billing_{uuid.uuid4().hex[:12]}"
    server.create_database(name)
    url = server.url("owner", name)
    with psycopg.connect(url) as connection:
        connection.execute(METERS)
        connection.execute("create view many as select n::text as agreement from generate_series(1, 100000) n")
    yield url
    server.drop_database(name)


def source(url: str, **more: Any) -> Target:
    return build(Target, {"kind": "sql_staging", "url": url, "view": "abonent.registry", "columns": COLUMNS} | more)


def said(target: Target) -> list[str]:
    return b"".join(target.master()).decode().splitlines()


def test_the_view_is_read_under_the_names_of_a_feed(billing: str) -> None:
    assert said(source(billing)) == [
        "agreement,point,meter,register,digits,ratio,verify_by,entry_open,losses",
        "ЛС-17,1,0012,A+,6,100,2031-01-02,false,0.1",
        '"ЛС; ""18""",1,0013,R+,6,,,true,1.0',
    ]


def test_without_columns_the_view_has_the_names_of_a_feed_itself(billing: str) -> None:
    with psycopg.connect(billing) as connection:
        connection.execute('create view same as select ls as agreement, num_sch as meter from abonent."ПУ" order by 2')
    assert said(source(billing, view="same", columns={})) == ["agreement,meter", "ЛС-17,0012", '"ЛС; ""18""",0013']


def test_a_name_of_any_alphabet_is_quoted_and_nothing_else_is_run(billing: str) -> None:
    assert len(said(source(billing, view="abonent.ПУ"))) == 3
    with pytest.raises(Misconfigured, match="does not exist"):
        said(source(billing, view='abonent.registry"; drop table abonent."ПУ"; --'))
    with pytest.raises(Misconfigured, match="does not exist"):
        said(source(billing, columns=COLUMNS | {"point": '1; drop table abonent."ПУ"'}))
    assert len(said(source(billing))) == 3


def test_nothing_can_be_written(billing: str) -> None:
    with psycopg.connect(billing) as connection:
        connection.execute(
            "create function greedy() returns text language plpgsql as $$ begin delete from abonent.\"ПУ\"; return '1'; end $$;"
            'create view greedy as select ls as agreement, greedy() as point from abonent."ПУ"'
        )
    with pytest.raises(Misconfigured, match="read-only transaction"):
        said(source(billing, view="greedy", columns={}))


def test_what_is_wrong_at_the_other_end_is_said_and_no_secret_shown(billing: str) -> None:
    with pytest.raises(Misconfigured, match="does not exist"):
        said(source(billing, view="abonent.other"))
    with pytest.raises(Misconfigured, match="does not exist"):
        said(source(billing, columns={"agreement": "contract"}))
    with pytest.raises(Unavailable, match="does not exist"):
        said(source(billing.replace("/billing_", "/gone_")))
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = door.getsockname()[1]
    with pytest.raises(Unavailable) as refused:
        said(source(f"postgresql://reader:s3cret@127.0.0.1:{port}/billing"))
    assert not refused.value.sent
    assert "s3cret" not in str(refused.value)
    for wrong in ({"url": "s3cret"}, {"url": "nodb://a:s3cret@b/c"}, {"columns": {"number": "s3cret"}}, {"view": ""}):
        with pytest.raises(Misconfigured) as error:
            source(**({"url": billing} | wrong))
        assert "s3cret" not in str(error.value)


def test_it_takes_no_readings(billing: str) -> None:
    with pytest.raises(Misconfigured, match="cannot deliver"):
        source(billing).deliver(batch("b1"))


def test_a_view_that_is_never_done_ends_with_the_time_of_a_fetch(billing: str) -> None:
    with psycopg.connect(billing) as connection:
        connection.execute("create view slow as select pg_sleep(60)::text as agreement")
    began = monotonic()
    with pytest.raises(Unavailable, match="not done within 1 s"):
        said(source(billing, view="slow", columns={}, master_timeout=1.0))
    assert monotonic() - began < 20


def test_a_connection_that_is_cut_half_way_is_no_end(billing: str) -> None:
    pieces = source(billing, view="many", columns={}).master()
    assert next(pieces) == b"agreement\r\n"
    assert next(pieces).count(b"\r\n") == 2000
    with psycopg.connect(billing) as connection:
        connection.execute(f"select pg_terminate_backend(pid) {OTHERS}")
    with pytest.raises(Unavailable, match="terminat"):
        list(pieces)


def test_a_server_that_stands_still_is_left_when_the_time_is_over(billing: str) -> None:
    pieces = source(billing, view="many", columns={}, master_timeout=2.0).master()
    with psycopg.connect(billing, autocommit=True) as connection:
        next(pieces)
        [pid] = connection.execute(f"select pid {OTHERS}").fetchone()  # type: ignore[misc]
        os.kill(pid, signal.SIGSTOP)
        try:
            reading = Aside(lambda: list(pieces))
            with pytest.raises(Unavailable, match="not done within 2 s"):
                reading.end(30)
        finally:
            os.kill(pid, signal.SIGCONT)


def test_the_settings_on_the_page_can_be_loaded() -> None:
    text = PAGE.read_text("utf-8")
    block = text[text.index("```toml\n") + 8 :].partition("```")[0]
    [section] = msgspec.toml.decode(block)["targets"]["UTILITY"].values()
    assert repr(build(Target, section | {"url": "postgresql://a:b@db.billing.example/billing"})) == (
        "SqlStaging(db.billing.example/billing, metergate.registry)"
    )
