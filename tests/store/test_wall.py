"""The second wall between utilities, by raw SQL: what PostgreSQL itself refuses the application's role, whatever our code forgets."""

import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest
from psycopg import errors

from gateway.store import Store, check_schema, migrate, people
from tests.conftest import Database, case, fresh_database, shared_server
from tests.running import Gateway, Utility, running_gateway

COLUMNS = (
    "select attname from pg_attribute where attrelid = %s::regclass and attnum > 0 and not attisdropped and attidentity = '' "
    "order by attnum"
)
APPEND_ONLY = ("event", "claim", "settlement", "delivery_closed", "attempt", "reading", "problem", "interval_history")


BLOCKS = """
insert into interval_register (utility_id, meter_id, code, step) select utility_id, id, 'A+', 'PT1H' from meter;
insert into interval_source (utility_id, meter_reading_id) select utility_id, id from meter_reading;
insert into interval_block (utility_id, register_id, day, source_id, values)
  select r.utility_id, r.id, '2022-10-01', min(s.id), '{1}'
  from interval_register r join interval_source s using (utility_id) group by r.id;
insert into interval_history (utility_id, register_id, day, source_id, values, replaced_by)
  select utility_id, register_id, day, source_id, values, source_id from interval_block;
insert into branch (utility_id, code, key) select id, '1', '1' from utility;
insert into party (utility_id, code, key) select id, '1', '1' from utility;
insert into billing_period (utility_id, agreement_id, code, starts, ends)
  select utility_id, id, '2022-10', '2022-09-16', '2022-10-15' from agreement;
insert into meter_act (utility_id, meter_id, kind, number, key, first_day, actor)
  select utility_id, id, 'admission', '1', '1', '2022-10-01', 'x' from meter;
insert into circuit (utility_id, meter_id, number, scheme) select utility_id, id, 1, 'open' from meter;
insert into external_id (utility_id, system, kind, key, code, entity_id)
  select utility_id, '1c', 'meter', id::text, id::text, id from meter;
insert into entry_status (utility_id, kind, entity_id, period, status) select utility_id, 'meter', id, '2022-10', 'waiting' from meter;
insert into link (utility_id, login, agreement_id, state, method) select utility_id, 'ivanov', id, 'linked', 'manager' from agreement;
insert into hidden_meter (utility_id, principal, meter_id) select utility_id, 'contractor', id from meter;
insert into letter (utility_id, id, recipient, kind, occasion, language, "values", status)
  select id, gen_random_uuid(), 'a@example.org', 'window_opens', '2022-10', 'ru', '{}', 'sent' from utility;
insert into sync (utility_id, name) select id, 'billing' from utility;
insert into drop_file (utility_id, credential_id, name, submission_id) select utility_id, credential_id, 'a.csv', id from submission
"""
"""Rows of the tables that only files fill."""


class Town(NamedTuple):
    """A database in which two utilities have sent readings, had them delivered, and heard of their billing."""

    database: Database
    gateway: Gateway
    a: Utility
    b: Utility

    def as_role(self, role: Any, utility: int | None = None) -> psycopg.Connection[Any]:
        """A connection of a role in a transaction of that utility."""
        connection = psycopg.connect(self.database.url(role))
        if utility is not None:
            connection.execute("select set_config('metergate.utility', %s, true)", [str(utility)])
        return connection


@pytest.fixture(scope="module", params=["embedded", "system15"])
def town(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    for database in fresh_database(shared_server(request.param)):
        urls = database.url("owner"), database.url("app"), database.url("worker")
        with running_gateway(*urls, tmp_path_factory.mktemp("town")) as gateway:
            made = [gateway.utility(), gateway.utility()]
            for utility in made:
                utility.meters("1", "2", "3")
                first = utility.submit(utility.body({"1": "150", "9": "1"}), Idempotency_Key="k").json()
                utility.settle(utility.word(first["readings"][0]["reading"]))
            gateway.work()
            for utility in made:
                assert utility.submit(utility.body({"2": "150"})).status_code == 202
            kept = (
                "insert into attempt (utility_id, delivery_id, batch_id, outcome) select utility_id, gen_random_uuid(), id, 'x' from batch"
            )
            gateway.rows(kept)
            for statement in BLOCKS.split(";"):
                gateway.rows(statement)
            yield Town(database, gateway, *made)


def tables(town: Town) -> list[str]:
    with town.as_role("owner") as connection:
        rows = connection.execute("select relname from pg_class where relrowsecurity and relnamespace = 'public'::regnamespace order by 1")
        return [row[0] for row in rows]


def key_of(table: str) -> str:
    return "id" if table == "utility" else "utility_id"


def seen(connection: psycopg.Connection[Any], table: str) -> dict[int, int]:
    """Rows of a table by utility, as this connection sees them."""
    rows = connection.execute(f"select {key_of(table)}, count(*) from {table} group by 1")
    return {row[0]: row[1] for row in rows}


def test_every_table_has_rows_of_both_or_the_tests_below_prove_nothing(town: Town) -> None:
    with town.as_role("owner") as connection:
        assert {t: sorted(seen(connection, t)) for t in tables(town)} == {t: sorted((town.a.id, town.b.id)) for t in tables(town)}


def test_without_a_utility_no_row_of_any_table_is_seen(town: Town) -> None:
    with town.as_role("app") as connection:
        assert {table: seen(connection, table) for table in tables(town)} == {table: {} for table in tables(town)}


def test_a_session_that_had_a_utility_sees_nothing_after_its_transaction(town: Town) -> None:
    with town.as_role("app", town.a.id) as connection:
        assert seen(connection, "meter")
        connection.commit()
        try:
            assert seen(connection, "meter") == {}
        except errors.InvalidTextRepresentation:
            connection.rollback()  # the setting is empty text by then, which is no utility either


def test_a_utility_sees_its_own_rows_and_no_others(town: Town) -> None:
    for mine in (town.a, town.b):
        with town.as_role("app", mine.id) as connection:
            assert {table: list(seen(connection, table)) for table in tables(town)} == {table: [mine.id] for table in tables(town)}


def test_a_foreign_row_is_not_found_by_its_id(town: Town) -> None:
    with town.as_role("worker") as connection:
        [foreign] = connection.execute("select id from submission where utility_id = %s limit 1", [town.b.id])
    with town.as_role("app", town.a.id) as connection:
        assert connection.execute("select from submission where id = %s", foreign).fetchall() == []
        assert connection.execute("update submission set status = 'rejected' where id = %s", foreign).rowcount == 0


def test_updates_touch_only_own_rows(town: Town) -> None:
    open_to_update = [table for table in tables(town) if table not in APPEND_ONLY]
    with town.as_role("app", town.a.id) as connection:
        for table in open_to_update:
            own = seen(connection, table)[town.a.id]
            touched = connection.execute(f"update {table} set {_column(connection, table)} = {_column(connection, table)}")
            assert touched.rowcount == own, table
        connection.rollback()


def _column(connection: psycopg.Connection[Any], table: str) -> str:
    """A column that may be written."""
    rows = connection.execute(
        COLUMNS,
        [table],
    )
    return f'"{rows.fetchall()[0][0]}"'


def test_no_row_can_be_written_for_another_utility(town: Town) -> None:
    for table in tables(town):
        with town.as_role("owner") as owner:
            names = ", ".join(f'"{row[0]}"' for row in owner.execute(COLUMNS, [table]))
            [(row,)] = owner.execute(f"select to_jsonb(t) from {table} t where {key_of(table)} = %s limit 1", [town.b.id])
        with town.as_role("app", town.a.id) as connection, pytest.raises(errors.InsufficientPrivilege, match="row-level security"):
            connection.execute(
                f"insert into {table} ({names}) select {names} from jsonb_populate_record(null::{table}, %s)",
                [psycopg.types.json.Jsonb(row)],
            )


def test_no_row_can_be_given_to_another_utility(town: Town) -> None:
    for table in set(tables(town)) - set(APPEND_ONLY) - {"utility"}:
        with town.as_role("app", town.a.id) as connection, pytest.raises(errors.InsufficientPrivilege, match="row-level security"):
            connection.execute(f"update {table} set utility_id = %s", [town.b.id])


@pytest.mark.parametrize("role", ["app", "worker"])
@pytest.mark.parametrize("table", APPEND_ONLY)
def test_what_was_written_down_is_not_changed_or_removed(town: Town, role: str, table: str) -> None:
    for statement in (f"update {table} set utility_id = utility_id", f"delete from {table}", f"truncate {table}"):
        with town.as_role(role, town.a.id) as connection, pytest.raises(errors.InsufficientPrivilege, match="permission denied"):
            connection.execute(statement)


@pytest.mark.parametrize("role", ["app", "worker"])
def test_only_queues_and_names_of_other_systems_lose_rows(town: Town, role: str) -> None:
    with town.as_role("owner") as connection:
        rows = connection.execute(
            "select table_name from information_schema.role_table_grants where grantee = %s and privilege_type = 'DELETE'",
            [f"metergate_{role}"],
        )
        assert {row[0] for row in rows} == {"delivery", "lane", "external_id"}


@pytest.mark.parametrize("role", ["app", "worker"])
@pytest.mark.parametrize(
    "statement",
    [
        "create table mine (id int)",
        "create schema mine",
        "create function mine() returns int language sql as 'select 1'",
        "create view mine as select 1",
        "alter table meter add column mine int",
        "alter table meter disable row level security",
        "alter table meter no force row level security",
        "drop table meter",
        "drop policy utility_wall on meter",
        "create policy mine on meter using (true)",
        "truncate meter",
        "create index mine on meter (id)",
        "set role metergate_owner",
        "set session authorization metergate_owner",
        "alter role metergate_app superuser",
        "alter role metergate_app bypassrls",
        "copy meter to program 'true'",
        "create extension dblink",
    ],
)
def test_the_roles_of_the_service_cannot_change_the_house(town: Town, role: str, statement: str) -> None:
    refusals = (errors.InsufficientPrivilege, errors.FeatureNotSupported)
    with town.as_role(role, town.a.id) as connection, pytest.raises(refusals):
        connection.execute(statement)


@pytest.mark.parametrize("role", ["app", "worker"])
def test_the_roles_of_the_service_have_nothing_to_give_away(town: Town, role: str) -> None:
    with town.as_role(role, town.a.id) as connection:
        connection.execute("grant select on meter to public")  # a warning to the caller, and nothing else
        [(given,)] = connection.execute("select has_table_privilege('public', 'meter', 'select')")
        connection.rollback()
    assert given is False


@pytest.mark.parametrize("role", ["app", "worker"])
def test_the_roles_of_the_service_cannot_rewrite_the_schema_s_version(town: Town, role: str) -> None:
    with town.as_role(role) as connection, pytest.raises(errors.InsufficientPrivilege):
        connection.execute("update alembic_version set version_num = version_num")


def test_turning_the_wall_off_for_a_session_refuses_queries_instead(town: Town) -> None:
    with town.as_role("app", town.a.id) as connection:
        connection.execute("set row_security = off")
        with pytest.raises(errors.InsufficientPrivilege):
            connection.execute("select from meter")


def test_the_worker_sees_all(town: Town) -> None:
    with town.as_role("worker") as connection:
        for table in tables(town):
            assert sorted(seen(connection, table)) == sorted((town.a.id, town.b.id)), table


@pytest.mark.parametrize(
    "given",
    [
        lambda hash_: hash_[:-1],
        lambda hash_: hash_ + b"\0",
        lambda hash_: hash_[:1],
        lambda _: b"",
        lambda hash_: hash_[:-1] + b"%",
        lambda hash_: bytes(reversed(hash_)),
        lambda _: None,
    ],
)
def test_a_credential_is_told_for_its_exact_hash_only(town: Town, given: Callable[[bytes], bytes | None]) -> None:
    hash_ = people.digest(town.a.key)
    with town.as_role("app") as connection:
        assert [row[0] for row in connection.execute("select utility_id from credential_of(%s)", [hash_])] == [town.a.id]
        assert connection.execute("select * from credential_of(%s)", [given(hash_)]).fetchall() == []
        assert connection.execute("select * from credential").fetchall() == []


@pytest.mark.parametrize("function", ["credential_of", "credentials_of_login"])
def test_the_looks_over_the_wall_are_not_everybody_s(town: Town, function: str) -> None:
    with town.as_role("owner") as connection:
        [(definer, config, grantees)] = connection.execute(
            "select prosecdef, proconfig, array(select grantee::regrole::text from aclexplode(proacl) where privilege_type = 'EXECUTE' "
            "order by 1) from pg_proc where proname = %s",
            [function],
        )
        assert definer
        assert config[0].startswith("search_path=public")
        assert set(grantees) - {"metergate_owner"} == {"metergate_app", "metergate_worker"}
        definers = connection.execute("select proname from pg_proc where prosecdef and pronamespace = 'public'::regnamespace")
        assert sorted(row[0] for row in definers) == ["credential_of", "credentials_of_login"]


def test_a_table_of_one_s_own_does_not_stand_before_the_real_one(town: Town) -> None:
    with town.as_role("app") as connection:
        connection.execute("create temporary table credential (like credential)")
        hash_ = people.digest(town.b.key)
        assert len(connection.execute("select * from credential_of(%s)", [hash_]).fetchall()) == 1
        connection.rollback()


def test_a_pooled_connection_carries_no_utility_over(town: Town) -> None:
    store = Store(town.database.url("app"), role="app", pool=3)

    def look(number: int) -> tuple[int, list[int]]:
        utility = (town.a, town.b)[number % 2].id
        with store.transaction(utility) as connection:
            rows = connection.exec_driver_sql("select distinct utility_id from meter").all()
            if number % 7 == 0:
                connection.rollback()
        return utility, [row[0] for row in rows]

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(look, range(case(1000, 20_000))))
    store.close()
    assert [pair for pair in answers if pair[1] != [pair[0]]] == []


def test_a_failed_transaction_leaves_no_utility_behind(town: Town) -> None:
    store = Store(town.database.url("app"), role="app", pool=1)
    with pytest.raises(ZeroDivisionError), store.transaction(town.a.id):
        raise ZeroDivisionError
    with store.transaction() as connection:
        left = connection.exec_driver_sql("select nullif(current_setting('metergate.utility', true), '')").scalar_one()
    store.close()
    assert left is None


@pytest.fixture
def solo() -> Iterator[str]:
    """The URL of a database on the system's PostgreSQL 15 whose only account may make roles, as a hosting company gives one."""
    server = shared_server("system15")
    name = f"solo_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server.url("superuser", "postgres"), autocommit=True) as connection:
        connection.execute(f"create role {name} login createrole password 'invented'")
        connection.execute(f"create database {name} owner {name}")
    url = server.url("superuser", name)
    _, _, host = url.partition("@")
    yield f"postgresql://{name}:invented@{host}"
    server.drop_database(name)
    with psycopg.connect(server.url("superuser", "postgres"), autocommit=True) as connection:
        connection.execute(f"drop role {name}")


def test_one_url_is_enough_the_roles_are_stepped_down_to(solo: str, tmp_path: Path) -> None:
    migrate(solo)
    for role in ("app", "worker"):
        store = Store(solo, role="app" if role == "app" else "worker", pool=1)
        check_schema(store)
        with store.transaction() as connection:
            assert connection.exec_driver_sql("select current_user").scalar_one() == f"metergate_{role}"
        store.close()
    with running_gateway(solo, "", "", tmp_path) as gateway:
        mine, other = gateway.utility(), gateway.utility()
        for utility in (mine, other):
            utility.meters("1")
        answer = mine.submit(mine.body({"1": "150"}), Idempotency_Key="k")
        assert answer.json()["status"] == "accepted"
        assert gateway.work() > 0
        assert [row["status"] for row in mine.look(answer)["readings"]] == ["acknowledged"]
        mine.settle(mine.word(answer.json()["readings"][0]["reading"]))
        assert [row["status"] for row in mine.look(answer)["readings"]] == ["billed"]
        assert other.call("GET", f"/v1/submissions/{answer.json()['submission']}").status_code == 404
