"""The audit finds each way in which the ledger can be wrong, and says where."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.store import audit
from tests.conftest import Database
from tests.store.ground import Ground, billing
from tests.store.paper import Honest

WRONGS = {
    "lane_count": "update lane set open = open + 1",
    "lane_without_delivery": "insert into lane (utility_id, target_id, lane_id, state, priority, rank, open) "
    "values (1, 1, 999, 1, 1, 1, 1)",
    "delivery_without_lane": "update delivery set lane_id = lane_id + 999",
    "lane_held_by_nobody": "update lane set batch_id = gen_random_uuid()",
    "batch_holds_nothing": "insert into batch (id, utility_id, target_id, worker, lease_until, items) "
    "values (gen_random_uuid(), 1, 1, 'w', now(), '{}')",
    "lane_parked_without_doubt": "update lane set state = 3",
    "reading_without_delivery": "with d as (delete from delivery returning lane_id) "
    "delete from lane where lane_id in (select lane_id from d)",
    "letter_without_delivery": 'insert into letter (id, utility_id, recipient, kind, occasion, language, "values", status) '
    "values (gen_random_uuid(), 1, 'a@example.org', 'remind_end', '2022-10', 'ru', '{}', 'queued')",
    "delivery_after_the_end": "update meter_reading set status = 'acknowledged' where status = 'queued'",
    "delivered_twice": "insert into delivery select gen_random_uuid(), utility_id, target_id, kind, subject_id, lane_id, read_at, "
    "revision, sender_id, rank, tries, problem, created_at from delivery",
    "submission_rows": "update submission set total = total + 1 where id = (select max(id::text)::uuid from submission)",
}


@pytest.fixture
def broken(empty_database: Database, tmp_path: Path) -> Iterator[Ground]:
    """A ground with one reading taken and one queued, to be spoiled; nobody audits it at the end."""
    ground = Ground(empty_database)
    first, second = ground.meters(2)
    ground.receive({first: 150})
    billing(tmp_path, "take")
    ground.worker(Honest(folder=str(tmp_path))).run_until_idle()
    ground.receive({second: 150})
    ground.clean()
    yield ground
    ground.close()


@pytest.mark.parametrize("rule", audit.RULES)
def test_the_audit_finds(rule: str, broken: Ground) -> None:
    broken.rows(WRONGS[rule])
    with broken.owner.transaction() as connection:
        found = {finding.rule: finding for finding in audit.audit(connection)}
    assert found[rule].count == 1
    assert found[rule].example


def test_a_worker_may_audit(broken: Ground) -> None:
    with broken.store.transaction() as connection:
        assert audit.audit(connection) == []
