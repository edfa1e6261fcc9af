"""B13: a DBF register of payments in CP866, its records to the cells of a table, beside dbfread on the same file."""

import time
from datetime import date, timedelta
from decimal import Decimal
from functools import partial
from typing import Final

from gateway.mapping.dbf import Field, read_dbf
from gateway.mapping.dbf_writer import write_dbf
from gateway.settings import Limits
from tests.bench import ground
from tests.bench.row import RUNS, Row, faster, limit, rounds

RECORDS: Final = 50_000
FIELDS: Final = (
    Field("LS", "C", 12),
    Field("FIO", "C", 40),
    Field("ADRES", "C", 60),
    Field("PERIOD", "C", 7),
    Field("DATA", "D", 8),
    Field("POKAZ", "N", 12, 3),
    Field("SUMMA", "N", 10, 2),
    Field("LGOTA", "L", 1),
)
_DAY: Final = date(2026, 10, 1)
_LIMITS: Final = Limits()


def body() -> bytes:
    """A register of payments."""
    rows = [
        (
            f"{90_034_000 + number:010}",
            "Дроздова Анна Сергеевна",
            f"ул. Ново-Садовая, д. {number % 300}, кв. {number % 97}",
            "10.2026",
            _DAY + timedelta(days=number % 31),
            Decimal(number * 1_001) / 1000,
            Decimal(number * 17) / 100,
            number % 3 == 0,
        )
        for number in range(RECORDS)
    ]
    return write_dbf(FIELDS, rows, "cp866")


def ours(file: bytes) -> float:
    """Records a second."""
    began = time.perf_counter()
    found = read_dbf(file, _LIMITS)
    if len(found.rows) != RECORDS + 1 or found.problems:
        raise RuntimeError("not all were read")
    return RECORDS / (time.perf_counter() - began)


def run() -> list[Row]:
    """Both sides in turn, dbfread in the environment that has it."""
    file = body()
    path = ground.folder() / "payments.dbf"
    path.write_bytes(file)
    contenders = {"ours": partial(ours, file)}
    child = None
    if ground.PEERS is not None:
        child = ground.Child([ground.PEERS, "-m", "tests.bench.peer_dbf", str(path)])
        child.line()
        contenders["dbfread"] = partial(_asked, child)
    rate = rounds(contenders, runs=2 * RUNS + 1)
    what = f"DBF of {RECORDS:,} records of {len(FIELDS)} fields to a table of cells"
    if child is None:
        return [limit("B13", what, 1e6 / rate["ours"], unit="us/record")]
    child.end()
    return [faster("B13", what, rate["ours"], rate["dbfread"], unit="records/s", peer="dbfread 2.0.7", goal=3)]


def _asked(child: ground.Child) -> float:
    child.tell("go")
    return float(child.line())
