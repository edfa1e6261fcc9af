"""The peers of B9, run by the interpreter that has them: `KIND fill URL N` or `KIND work URL BATCH`; every handler is empty.

`bare` is the floor: one table, a batch claimed with a lease and finished, two commits, nothing recorded.
"""

import asyncio
import logging
import sys
import time
from datetime import timedelta
from typing import Any

import psycopg

from tests.bench.say import ready, report

MANY = 500
JOBS = """create table jobs (id bigint generated always as identity primary key, body jsonb not null, state text not null default 'new',
due timestamptz not null default now(), tries int not null default 0, done_at timestamptz);
create index on jobs (due, id) where state = 'new'"""
CLAIM = """update jobs set state = 'busy', tries = tries + 1, due = now() + interval '5 min' where id = any(array(
select id from jobs where state = 'new' and due <= now() order by due, id limit %s for update skip locked)) returning id, body"""
DONE = "update jobs set state = 'done', done_at = now() where id = any(%s)"


def bare_fill(url: str, number: int) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(JOBS)
        connection.execute("insert into jobs (body) select to_jsonb(n) from generate_series(1, %s) n", (number,))
        connection.execute("vacuum analyze jobs")


def bare_work(url: str, batch: int) -> dict[str, float]:
    with psycopg.connect(url) as connection:
        connection.execute("select 1")
        connection.commit()
        ready()
        began = last = time.time()
        while True:
            rows = connection.execute(CLAIM, (batch,)).fetchall()
            connection.commit()
            if not rows:
                return {"began": began, "ended": last}
            connection.execute(DONE, ([row[0] for row in rows],))
            connection.commit()
            last = time.time()


def procrastinate_app(url: str) -> Any:
    import procrastinate  # type: ignore[import-not-found]

    logging.getLogger("procrastinate").setLevel(logging.ERROR)  # it dislikes an application that is its own main module

    app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=url, max_size=16))

    @app.task(name="push", queue="q")  # type: ignore[untyped-decorator]
    async def push(i: int) -> None:
        del i

    return app, push


def procrastinate_fill(url: str, number: int) -> None:
    async def fill() -> None:
        app, push = procrastinate_app(url)
        async with app.open_async():
            await app.schema_manager.apply_schema_async()
            for first in range(0, number, MANY):
                await push.batch_defer_async(*[{"i": n} for n in range(first, min(first + MANY, number))])

    asyncio.run(fill())


def procrastinate_work(url: str, batch: int) -> dict[str, float]:
    async def work() -> dict[str, float]:
        app, _ = procrastinate_app(url)
        async with app.open_async():
            ready()
            began = time.time()
            await app.run_worker_async(wait=False, concurrency=min(batch, 20), install_signal_handlers=False)
            return {"began": began, "ended": time.time()}

    return asyncio.run(work())


def pgqueuer_fill(url: str, number: int) -> None:
    import asyncpg  # type: ignore[import-not-found]
    from pgqueuer.db import AsyncpgDriver  # type: ignore[import-not-found]
    from pgqueuer.queries import Queries  # type: ignore[import-not-found]

    async def fill() -> None:
        queries = Queries(AsyncpgDriver(await asyncpg.connect(url)))
        await queries.install()
        for first in range(0, number, MANY):
            size = min(MANY, number - first)
            await queries.enqueue(["push"] * size, [b"1"] * size, [0] * size)

    asyncio.run(fill())


def pgqueuer_work(url: str, batch: int) -> dict[str, float]:
    import asyncpg
    from pgqueuer import PgQueuer  # type: ignore[import-not-found]
    from pgqueuer.db import AsyncpgPoolDriver
    from pgqueuer.domain.types import QueueExecutionMode  # type: ignore[import-not-found]

    async def work() -> dict[str, float]:
        async with asyncpg.create_pool(url, min_size=2, max_size=4) as pool:
            queue = PgQueuer(AsyncpgPoolDriver(pool))

            @queue.entrypoint("push")  # type: ignore[untyped-decorator]
            async def push(job: Any) -> None:
                del job

            ready()
            began = time.time()
            await queue.qm.run(mode=QueueExecutionMode.drain, batch_size=batch, dequeue_timeout=timedelta(seconds=1))
            return {"began": began, "ended": time.time()}

    return asyncio.run(work())


FILL = {"bare": bare_fill, "procrastinate": procrastinate_fill, "pgqueuer": pgqueuer_fill}
WORK = {"bare": bare_work, "procrastinate": procrastinate_work, "pgqueuer": pgqueuer_work}

if __name__ == "__main__":
    kind, verb, place, size = sys.argv[1:]
    if verb == "fill":
        FILL[kind](place, int(size))
        report({})
    else:
        report(WORK[kind](place, int(size)))
