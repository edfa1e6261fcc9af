"""The floor of B8: a raw ASGI application that decodes the same body and puts its readings into one table by unnest; it asks no rule."""

import asyncio
import socket
import sys
from datetime import UTC, datetime
from typing import Any

import msgspec
import psycopg
import uvicorn

from tests.bench.say import say

POOL = 8
TABLE = "create table readings (meter text, at timestamptz, value float8 not null, quality text not null, primary key (meter, at))"
MANY = (
    "insert into readings select * from unnest(%b::text[], %b::timestamptz[], %b::float8[], %b::text[]) "
    "on conflict (meter, at) do update set value = excluded.value"
)


class Register(msgspec.Struct, gc=False):
    register: str
    value: float


class Reading(msgspec.Struct, gc=False):
    meter: str
    period: str
    registers: list[Register]


class Readings(msgspec.Struct, gc=False):
    readings: list[Reading]


decoder = msgspec.json.Decoder(Readings)
pool: asyncio.Queue[psycopg.AsyncConnection[Any]] = asyncio.Queue()


async def app(scope: Any, receive: Any, send: Any) -> None:
    """The whole application."""
    if scope["type"] == "lifespan":
        await receive()
        await fill_pool()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    readings, now = decoder.decode(body).readings, datetime.now(UTC)
    columns = [r.meter for r in readings], [now] * len(readings), [r.registers[0].value for r in readings], ["valid"] * len(readings)
    connection = await pool.get()
    try:
        await connection.execute(MANY, columns)
    finally:
        pool.put_nowait(connection)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"21")]
    await send({"type": "http.response.start", "status": 202, "headers": headers})
    await send({"type": "http.response.body", "body": b'{"status":"accepted"}'})


async def fill_pool() -> None:
    """Open the pool, once and for all."""
    for _ in range(POOL):
        pool.put_nowait(await psycopg.AsyncConnection.connect(sys.argv[1], autocommit=True, prepare_threshold=3))


def main() -> None:
    """Make the table and serve on a free port."""
    with psycopg.connect(sys.argv[1], autocommit=True) as connection:
        connection.execute(TABLE)
    listening = socket.create_server(("127.0.0.1", 0))
    say(f"listening on http://127.0.0.1:{listening.getsockname()[1]}")
    uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False)).run(sockets=[listening])


if __name__ == "__main__":
    main()
