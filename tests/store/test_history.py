"""A page of history is found by indexes, however much lies beside it: its plan and its time among many readings."""

# ruff: noqa: SLF001 - the plan is that of the very statement

import time
from collections.abc import Callable, Iterator

import pytest

from gateway.domain.history import Reach
from gateway.store import Connection, Store, history, people
from gateway.store.people import Sender
from tests.conftest import Database, case

PERIODS = 50
METERS = case(200, 2000)
FILL = """
insert into claim (utility_id, sha256, body) values (1, '\\x00', '');
insert into submission (id, utility_id, credential_id, sha256, fingerprint, channel, envelope, status, received_at)
  select gen_random_uuid(), 1, 1, '\\x00', '\\x00', 'api', '{}', 'accepted', now();
insert into agreement (utility_id, number, key, profile) select 1, n, n, 'household' from generate_series(1, %(agreements)s) n;
insert into usage_point (utility_id, agreement_id, code, key)
  select 1, (n - 1) %% %(agreements)s + 1, n, n from generate_series(1, %(meters)s) n;
insert into meter (utility_id, usage_point_id, serial, key) select 1, n, n, n from generate_series(1, %(meters)s) n;
insert into meter_reading (id, utility_id, submission_id, ordinal, meter_id, period, at, status)
  select gen_random_uuid(), 1, s.id, (n - 1) * %(periods)s + p, n, to_char(date '2022-10-01' - p * interval '1 month', 'YYYY-MM'), now(),
    'billed'
  from generate_series(1, %(meters)s) n, generate_series(1, %(periods)s) p, submission s;
insert into reading (utility_id, meter_reading_id, ordinal, register, value, consumption, quality, ratio_applied, losses_applied)
  select 1, id, 0, 'A+', ordinal, 1, 'valid', false, false from meter_reading;
"""


@pytest.fixture(params=[20, 1], ids=["twenty agreements", "one agreement"])
def shelf(request: pytest.FixtureRequest, database: Database) -> Iterator[Connection]:
    """Readings of many meters, in many agreements or all in one."""
    store = Store(database.url(), role="owner", pool=1)
    with store.transaction() as connection:
        people.add_credential(connection, people.ensure_utility(connection, "town"), "portal", ["read"])
        for statement in FILL.split(";\n")[:-1]:
            connection.exec_driver_sql(statement, {"agreements": request.param, "meters": METERS, "periods": PERIODS})
    with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as plain:
        plain.exec_driver_sql("vacuum analyze")
    with store.transaction() as connection:
        yield connection
    store.close()


SENDER = Sender(credential_id=1, utility_id=1, principal="portal", scopes=("read",))


REACHES = {
    "an agreement": Reach(agreement="1"),
    "a meter": Reach(meter="7"),
    "a year of an agreement": Reach(agreement="1", first="2021-01", last="2021-12"),
}


@pytest.mark.parametrize("what", REACHES)
def test_a_page_is_found_by_indexes(shelf: Connection, what: str, proof: Callable[[str, int, str], None]) -> None:
    reach = REACHES[what]
    told = history._told(SENDER, reach, history._SHOWN, 51) | {"before": None, "before_period": None}
    plan = "\n".join(shelf.exec_driver_sql(f"explain (analyze, buffers) {history._place(reach)}{history._PAGE}", told).scalars())
    assert "meter_reading_meter_id_period_idx" in plan, plan
    assert "Seq Scan on meter_reading" not in plan, plan
    assert "Seq Scan on reading" not in plan, plan
    began = time.perf_counter()
    first = history.readings(shelf, SENDER, reach, limit=50)
    took = time.perf_counter() - began
    second = history.readings(shelf, SENDER, reach, before=(first[-1].period, first[-1].id), limit=50)
    assert first == sorted(first, key=lambda one: (one.period, one.id), reverse=True)
    assert not {one.id for one in first} & {one.id for one in second}
    agreements = shelf.exec_driver_sql("select count(*) from agreement").scalar_one()
    proof(f"A page of history of {what}, readings of {agreements} agreements", METERS * PERIODS, f"{took * 1000:.0f} ms")
