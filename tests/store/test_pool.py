"""Connections of a store that is closed, or that gave its pool up, while they are in use."""

from gateway.store import Store
from tests.conftest import Database


def test_a_connection_that_comes_back_after_the_end_is_closed(database: Database) -> None:
    store = Store(database.url("worker"), role="worker", pool=2)
    with store.transaction() as connection:
        late = connection.connection.driver_connection
        store.close()
        assert connection.exec_driver_sql("select 1").scalar_one() == 1, "who has one still works with it"
    assert late is not None
    assert late.closed

    with store.transaction() as connection:
        kept = connection.connection.driver_connection
    assert kept is not None
    assert not kept.closed, "the next pool keeps its own"
    store.close()
    assert kept.closed
