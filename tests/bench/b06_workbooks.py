"""B6: workbooks and makets of hours from bytes to accepted rows, all rules on; beside the bare way: floats, a staged COPY, no check."""

import io
import struct
import time
import zipfile
from calendar import monthrange
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import count
from zoneinfo import ZoneInfo

import openpyxl
import psycopg
from lxml import etree
from python_calamine import CalamineWorkbook

from gateway import pipeline, profiles
from gateway.app import freeze
from gateway.demo.invented import any_day
from gateway.domain.supply import Line
from gateway.mapping import Envelope, formats
from gateway.pipeline import Post, new_entry
from gateway.settings import Limits, Settings
from gateway.store import Store, feed, people
from gateway.worker import Worker
from tests.bench import ground
from tests.bench.row import Row, faster, rounds
from tests.formats.make_maket import HOURS, channel, message, periods, point

Days = Callable[[bytes], Iterator[tuple[str, date, list[float]]]]
SHEETS = 208
PROFILE = "legal_entity"
ZONE = "Europe/Moscow"
FIRST = datetime.now(UTC).astimezone(ZoneInfo(ZONE)).date().replace(day=1)
DAYS = monthrange(FIRST.year, FIRST.month)[1]
VALUES = SHEETS * DAYS * 24


@cache
def workbook() -> bytes:
    """A sheet a meter, an hour a row, a day a column."""
    book = openpyxl.Workbook(write_only=True)
    for number in range(SHEETS):
        sheet = book.create_sheet(f"M{number:05d}")
        sheet.append(["Время", *(FIRST + timedelta(days=day) for day in range(DAYS))])
        for hour in range(24):
            sheet.append([f"{hour:02}-{hour + 1:02}", *(round(((number + hour) * 31 + day) % 977 * 0.137, 3) for day in range(DAYS))])
    packed = io.BytesIO()
    book.save(packed)
    return packed.getvalue()


@cache
def archive() -> bytes:
    """The same points and hours, a maket a day."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as made:
        for number in range(DAYS):
            day = FIRST + timedelta(days=number)
            points = (
                point(f"M{code:05d}", channel("01", periods([((code + hour) * 31 + number) % 977 for hour in range(24)], HOURS)))
                for code in range(SHEETS)
            )
            made.writestr(f"80020_7800000000_{day:%Y%m%d}_{number}.xml", message(*points, day=f"{day:%Y%m%d}"))
    return packed.getvalue()


@cache
def registry() -> str:
    """A database whose utility has the meters of the workbook."""
    name = ground.fresh("b06_registry", ground.registry())
    store = Store(ground.server().url("owner", name), role="owner", pool=1)
    lines = [Line(agreement="90034", point=f"P{n}", meter=f"M{n:05d}", register="A+", digits=6) for n in range(SHEETS)]
    with store.transaction() as connection:
        utility = people.ensure_utility(connection, "bench")
        people.save_document(connection, utility, "profile", PROFILE, any_day(profiles.shipped()[PROFILE]), "bench")
        feed.import_lines(connection, utility, PROFILE, lines)
    store.close()
    ground.tidy(name, "agreement", "usage_point", "point_terms", "meter", "register")
    return name


def run() -> list[Row]:
    """A workbook, then a month of makets."""
    what = f"xlsx of {SHEETS} sheets of 24 x {DAYS}, bytes to accepted rows, all rules on"
    makets = f"zip of {DAYS} makets 80020 of {SHEETS} points and 24 hours, bytes to accepted rows, all rules on"
    return [
        compared(what, workbook(), _days, peer="calamine + COPY, no checks"),
        compared(makets, archive(), _maket_days, peer="lxml iterparse + COPY, no checks"),
    ]


def compared(what: str, body: bytes, days: Days, *, peer: str) -> Row:
    """Both in turns, each into an empty store."""
    turn, theirs_name = count(), ground.empty("b06_theirs")

    def ours() -> float:
        name = ground.fresh(f"b06_{next(turn)}", registry())
        store = Store(ground.server().url("worker", name), role="worker", pool=2)
        worker = Worker(store, Settings(), formats(Limits()), name="bench")
        with store.transaction() as connection:
            sender = people.sender_of(connection, ground.KEY)
        if sender is None:
            raise RuntimeError("nobody has the bench's key")
        began = time.perf_counter()
        entry = new_entry(sender, Envelope(zone=ZONE), body, channel="bench")
        pipeline.receive(store, [Post(entry=entry, found=[], say=lambda _: b"")], translated=False)
        worker.translate_one()
        took = time.perf_counter() - began
        store.close()
        ground.must_be(SHEETS, name, "select count(*) from meter_reading where status = 'queued'")
        ground.must_be(VALUES, name, "select sum(cardinality(values)) from interval_block")
        return VALUES / took

    def theirs() -> float:
        with psycopg.connect(ground.server().url("owner", theirs_name)) as connection:
            connection.execute("drop table if exists d")
            connection.execute("create table d (channel text, day date, vals float8[] not null, primary key (channel, day))")
            connection.commit()
            began = time.perf_counter()
            _load(connection, days(body))
            return VALUES / (time.perf_counter() - began)

    ours()  # starts the child that reads workbooks
    freeze()  # as every process of the product does when it has started
    rates = rounds({"ours": ours, "theirs": theirs})
    return faster("B6", what, rates["ours"], rates["theirs"], unit="values/s", peer=peer, goal=0.6)


def _days(body: bytes) -> Iterator[tuple[str, date, list[float]]]:
    book = CalamineWorkbook.from_filelike(io.BytesIO(body))
    for name in book.sheet_names:
        head, *rows = book.get_sheet_by_name(name).to_python()
        columns = zip(head, *rows, strict=True)
        next(columns)
        for day, *values in columns:
            yield name, day, list(map(float, values))


def _maket_days(body: bytes) -> Iterator[tuple[str, date, list[float]]]:
    with zipfile.ZipFile(io.BytesIO(body)) as packed:
        for name in packed.namelist():
            day = datetime.strptime(name.split("_")[2], "%Y%m%d").date()  # noqa: DTZ007 - a day, not an instant
            for _, point in etree.iterparse(io.BytesIO(packed.read(name)), tag="measuringpoint"):
                yield str(point.get("code")), day, [float(value.text or 0) for value in point.iter("value")]
                point.clear()


def _load(connection: psycopg.Connection, days: Iterable[tuple[str, date, list[float]]]) -> None:
    epoch, pack = date(2000, 1, 1), struct.Struct(">" + "id" * 24).pack
    connection.execute("create temporary table s (like d) on commit drop")
    with connection.cursor() as cursor, cursor.copy("copy s from stdin (format binary)") as copy:
        parts = [b"PGCOPY\n\xff\r\n\0" + struct.pack(">ii", 0, 0)]
        for name, day, values in days:
            array = struct.pack(">iiiii", 1, 0, 701, 24, 1) + pack(*(part for value in values for part in (8, value)))
            key = name.encode()
            parts.append(struct.pack(">hi", 3, len(key)) + key + struct.pack(">iii", 4, (day - epoch).days, len(array)) + array)
            if len(parts) == 500:
                copy.write(b"".join(parts))
                parts.clear()
        copy.write(b"".join(parts) + b"\xff\xff")
    connection.execute("insert into d select * from s on conflict (channel, day) do update set vals = excluded.vals")
    connection.commit()
