"""The peer of B7: a plain Litestar handler that writes the rows of one reading and commits them, request by request.

No rule is asked, nothing is shared between requests but a pool of connections, and every row is one that Metergate writes too:
claim, submission, meter reading, reading, two events, register, delivery, lane.
"""

import asyncio
import hashlib
import socket
import sys
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

import msgspec
import psycopg
import uvicorn
from litestar import Litestar, Request, post
from uuid_utils.compat import uuid7

from tests.bench.say import say

POOL = 16
KNOWN = """select m.id as meter, r.id as register, r.last, a.number, t.id as target, c.id as credential, m.utility_id
from meter m join register r on r.meter_id = m.id join usage_point p on p.id = m.usage_point_id join agreement a on a.id = p.agreement_id
join credential c on c.utility_id = m.utility_id join target t on t.utility_id = m.utility_id
where m.key = %s and r.code = %s and c.secret_hash = %s and c.revoked_at is null for update of r"""
CLAIM = "insert into claim (utility_id, sha256, body) values (%s, %s, %s) on conflict do nothing"
SUBMISSION = """insert into submission (id, utility_id, credential_id, sha256, fingerprint, channel, format, envelope, status, total,
accepted, received_at) values (%s, %s, %s, %s, %s, 'api', 'canonical_json', '{}', 'accepted', 1, 1, %s)"""
METER_READING = """insert into meter_reading (id, utility_id, submission_id, ordinal, meter_id, agreement, meter, period, at, status, place)
values (%s, %s, %s, 0, %s, %s, %s, %s, %s, 'queued', 'readings[0]')"""
READING = """insert into reading (utility_id, meter_reading_id, ordinal, register, value, previous, consumption, quality, ratio_applied,
losses_applied, place) values (%s, %s, 0, %s, %s, %s, %s, 'valid', false, false, 'readings[0].registers[0].value')"""
EVENT = "insert into event (utility_id, entity, entity_id, from_state, to_state, actor) values (%s, 'submission', %s, %s, %s, 'portal')"
REGISTER = "update register set before = last, last = %s, last_period = %s, last_at = %s, last_reading_id = %s where id = %s"
DELIVERY = """insert into delivery (id, utility_id, target_id, kind, subject_id, lane_id, read_at, revision, sender_id, rank)
values (%s, %s, %s, 'meter_reading', %s, %s, %s, 0, %s, %s)"""
LANE = """insert into lane (utility_id, target_id, lane_id, state, priority, rank, open) values (%s, %s, %s, 1, 0, %s, 1)
on conflict (target_id, lane_id) do update set open = lane.open + 1"""


class Register(msgspec.Struct):
    register: str
    value: Decimal


class Reading(msgspec.Struct):
    meter: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    period: str
    registers: list[Register]


class Readings(msgspec.Struct):
    readings: list[Reading]


pool: asyncio.Queue[psycopg.AsyncConnection[Any]] = asyncio.Queue()


@post("/v1/readings", status_code=202)
async def take(request: Request[Any, Any, Any], data: Readings) -> dict[str, Any]:
    """One reading, one transaction."""
    [reading] = data.readings
    body, key = await request.body(), request.headers["authorization"].removeprefix("Bearer ")
    connection = await pool.get()
    try:
        async with connection.transaction():
            submission = await write(connection, reading, body, hashlib.sha256(key.encode()).digest())
    finally:
        pool.put_nowait(connection)
    return {"submission": submission, "status": "accepted", "readings": [{"meter": reading.meter, "status": "queued"}]}


async def write(connection: psycopg.AsyncConnection[Any], reading: Reading, body: bytes, key: bytes) -> str:
    """Every row of one reading."""
    do, now, digest = connection.execute, datetime.now(UTC), hashlib.sha256(body).digest()
    submission, id_ = uuid7(), uuid7()
    [entry] = reading.registers
    found = await (await do(KNOWN, (reading.meter.lstrip("0"), entry.register, key))).fetchone()
    if found is None:
        raise LookupError(reading.meter)
    meter, register, last, agreement, target, credential, utility = found
    await do(CLAIM, (utility, digest, body))
    await do(SUBMISSION, (submission, utility, credential, digest, digest, now))
    await do(METER_READING, (id_, utility, submission, meter, agreement, reading.meter, reading.period, now))
    await do(READING, (utility, id_, entry.register, entry.value, last, None if last is None else entry.value - last))
    await do(EVENT, (utility, submission, "", "received"))
    await do(EVENT, (utility, submission, "received", "accepted"))
    await do(REGISTER, (entry.value, reading.period, now, id_, register))
    rank = int(now.timestamp() * 1e6)
    await do(DELIVERY, (uuid7(), utility, target, id_, meter, now, credential, rank))
    await do(LANE, (utility, target, meter, rank))
    return submission.hex


@asynccontextmanager
async def connected(_app: Litestar) -> Any:
    """Open the pool, once and for all."""
    for _ in range(POOL):
        pool.put_nowait(await psycopg.AsyncConnection.connect(sys.argv[1], autocommit=True, prepare_threshold=3))
    yield


def main() -> None:
    """Serve on a free port, under uvloop and httptools as Metergate does."""
    listening = socket.create_server(("127.0.0.1", 0))
    say(f"listening on http://127.0.0.1:{listening.getsockname()[1]}")
    app = Litestar([take], lifespan=[connected], openapi_config=None)
    uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False)).run(sockets=[listening])


if __name__ == "__main__":
    main()
