"""The migrated database is the one of `tables.py`, on the newest and the oldest server; docs/tables.md names every table of it."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import alembic.config
import psycopg
import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from gateway import store
from gateway.domain.problems import Misconfigured
from gateway.store import Store, check_schema, interval_tables, ledger_tables, migrate, people_tables, supply_tables
from gateway.store.tables import meta
from tests.conftest import Database

LEDGER = {"target", "delivery", "lane", "batch", "attempt", "delivery_closed", "share"}
PAGE = Path(__file__).parents[2] / "docs/tables.md"
Catalog = dict[str, list[tuple[object, ...]]]

QUESTIONS = {
    "columns": """
        select c.relname, row_number() over (partition by c.oid order by a.attnum), a.attname,
          format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, a.attgenerated,
          pg_get_expr(d.adbin, d.adrelid), a.attcollation::regcollation::text
        from pg_attribute a join pg_class c on c.oid = a.attrelid
        left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
        where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and a.attnum > 0 and not a.attisdropped""",
    "constraints": """
        select r.relname, c.conname, c.contype::text, c.convalidated, pg_get_constraintdef(c.oid)
        from pg_constraint c join pg_class r on r.oid = c.conrelid
        where c.connamespace = 'public'::regnamespace and c.contype <> 'n'""",
    "indexes": "select tablename, indexname, indexdef from pg_indexes where schemaname = 'public'",
    "options": """
        select relname, relkind::text, relpersistence::text, reloptions
        from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'i', 'S', 'v', 'p')""",
}


def catalog(url: str) -> Catalog:
    """All that the server knows of the tables, but for Alembic's own."""
    with psycopg.connect(url) as connection:
        found = {name: connection.execute(question).fetchall() for name, question in QUESTIONS.items()}
    return {name: sorted(row for row in rows if not str(row[0]).startswith("alembic")) for name, rows in found.items()}


def tables(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        return {row[0] for row in connection.execute("select tablename from pg_tables where schemaname = 'public'")}


@pytest.fixture
def empty(any_database: Database) -> Iterator[str]:
    """A database without a table beside the migrated one."""
    name = f"{any_database.name}_empty"
    any_database.server.create_database(name)
    yield any_database.server.url("owner", name)
    any_database.server.drop_database(name)


def test_migrations_end_where_the_tables_stand(any_database: Database, empty: str) -> None:
    engine = create_engine("postgresql+psycopg://" + empty.partition("://")[2])
    meta.create_all(engine)
    engine.dispose()
    migrated, wanted = catalog(any_database.url()), catalog(empty)
    for question in QUESTIONS:
        ours, theirs = set(map(str, migrated[question])), set(map(str, wanted[question]))
        assert sorted(ours ^ theirs) == [], question
    assert len(migrated["columns"]) > 150


def test_received_bytes_are_kept_without_a_second_packing(any_database: Database) -> None:
    with psycopg.connect(any_database.url()) as connection:
        asked = "select attname from pg_attribute where attrelid = 'claim'::regclass and attstorage = 'e'"
        assert connection.execute(asked).fetchall() == [("body",)]


def test_migrating_again_changes_nothing(any_database: Database) -> None:
    before = catalog(any_database.url())
    migrate(any_database.url())
    assert catalog(any_database.url()) == before


def test_migrators_at_once_take_turns(any_database: Database, empty: str) -> None:
    barrier = Barrier(4)

    def one(_: int) -> None:
        barrier.wait()
        migrate(empty)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(one, range(4)))
    assert catalog(empty) == catalog(any_database.url())
    with psycopg.connect(empty) as connection:
        assert connection.execute("select count(*) from alembic_version").fetchall() == [(1,)]


def test_a_migrator_killed_midway_leaves_nothing_and_the_next_one_succeeds(any_database: Database, empty: str) -> None:
    with psycopg.connect(empty, autocommit=True) as connection:
        connection.execute("create table settlement (mine int)")  # stands in the way of a statement in the middle of the first migration
        with pytest.raises(Exception, match="already exists"):
            migrate(empty)
        assert tables(empty) - {"alembic_version"} == {"settlement"}
        connection.execute("drop table settlement")
    migrate(empty)
    assert catalog(empty) == catalog(any_database.url())


def test_a_schema_newer_than_the_code_is_refused(any_database: Database) -> None:
    with psycopg.connect(any_database.url(), autocommit=True) as connection:
        connection.execute("update alembic_version set version_num = '9999'")
    app = Store(any_database.url("app"), role="app", pool=1)
    with pytest.raises(Misconfigured, match="9999, newer than this code"):
        migrate(any_database.url())
    with pytest.raises(Misconfigured, match="9999"):
        check_schema(app)
    app.close()
    with psycopg.connect(any_database.url()) as connection:
        assert connection.execute("select version_num from alembic_version").fetchall() == [("9999",)]


def test_a_schema_that_is_known_is_taken(any_database: Database) -> None:
    for role in ("app", "worker"):
        opened = Store(any_database.url("app" if role == "app" else "worker"), role="app" if role == "app" else "worker", pool=1)
        check_schema(opened)
        opened.close()


def test_migrations_go_forward_only_in_one_line() -> None:
    config = alembic.config.Config()
    config.set_main_option("script_location", str(Path(store.__file__).parent / "migrations"))
    scripts = ScriptDirectory.from_config(config)
    assert scripts.get_heads() == [store.head()]
    assert all(not hasattr(script.module, "downgrade") for script in scripts.walk_revisions())
    assert [script.revision for script in scripts.walk_revisions()] == sorted((s.revision for s in scripts.walk_revisions()), reverse=True)


def test_the_page_names_every_table_in_a_sentence(any_database: Database) -> None:
    described = dict(re.findall(r"^\| `(\w+)` \| (.+?) \|$", PAGE.read_text("utf-8"), re.MULTILINE))
    assert sorted(described) == sorted(tables(any_database.url()))
    assert {name: sentence for name, sentence in described.items() if not re.fullmatch(r"[^.]{20,240}\.", sentence)} == {}
    assert len(described.keys() - {"alembic_version"}) <= 40, "Alembic's own aside"


def test_blocks_and_drop_files_have_five_tables() -> None:
    named = {name for name, thing in vars(interval_tables).items() if name in meta.tables and thing is meta.tables[name]}
    assert named == {"interval_register", "interval_source", "interval_block", "interval_history", "drop_file"}


def test_people_and_letters_have_four_tables() -> None:
    named = {name for name, thing in vars(people_tables).items() if name in meta.tables and thing is meta.tables[name]}
    assert named == {"link", "hidden_meter", "letter", "sync"}


def test_the_registry_has_a_section_of_the_page() -> None:
    named = {name for name, thing in vars(supply_tables).items() if name in meta.tables and thing is meta.tables[name]}
    part = PAGE.read_text("utf-8").partition("## The registry")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", part, re.MULTILINE)) == named


def test_the_people_behind_readings_have_four_tables() -> None:
    named = {name for name, thing in vars(people_tables).items() if name in meta.tables and thing is meta.tables[name]}
    assert named == {"link", "hidden_meter", "letter", "sync"}


def test_the_ledger_has_seven_tables() -> None:
    named = {name for name, thing in vars(ledger_tables).items() if name in meta.tables and thing is meta.tables[name]}
    assert named == LEDGER
    ledger_part = PAGE.read_text("utf-8").partition("## The ledger")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", ledger_part, re.MULTILINE)) == LEDGER


def test_every_table_has_its_utility_and_the_wall(any_database: Database) -> None:
    with psycopg.connect(any_database.url()) as connection:
        rows = connection.execute(
            "select c.relname, c.relrowsecurity, exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'utility_id' "
            "and a.attnotnull), (select array_agg(p.polname::text order by p.polname) from pg_policy p where p.polrelid = c.oid) "
            "from pg_class c where c.relkind in ('r', 'p') and c.relnamespace = 'public'::regnamespace"
        ).fetchall()
    own = {"utility", "alembic_version"}
    assert {name for name, _, has, _ in rows if not has} == own
    assert {name for name, walled, _, _ in rows if not walled} == {"alembic_version"}
    assert {name for name, _, _, policies in rows if policies != ["every_utility", "utility_wall"]} == {"alembic_version"}
