"""One worker process of B9: delivers what is due to a billing that takes everything, until nothing is open."""

import sys
import time

from gateway.mapping import formats
from gateway.settings import Database, Settings
from gateway.store import Store
from gateway.worker import Worker
from tests.bench.say import ready, report


def main(url: str, batch: int) -> None:
    """Work through the backlog by the worker's own step."""
    told = {"bench": {"billing": {"kind": "tests.bench.no_billing", "batch": batch}}}
    settings = Settings(database=Database(url=url), targets=told)
    store = Store(url, role="worker", pool=2)
    worker = Worker(store, settings, formats(settings.limits))
    [target] = worker.connect()
    ready()
    began = last = time.time()
    while True:
        if worker.deliver_one(target):
            last = time.time()
            continue
        with store.transaction() as connection:
            if not connection.exec_driver_sql("select exists (select from delivery)").scalar_one():
                break
    report({"began": began, "ended": last})


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
