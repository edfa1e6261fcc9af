"""A great many files at once: only what is new is looked at, and the memory stays small."""

import os
import re
import time
from collections.abc import Callable
from pathlib import Path

from gateway.inbound.drop import folders
from gateway.inbound.drop.watch import Watch
from gateway.store import Store, people
from tests.cli.conftest import Running, at, starter
from tests.conftest import Database, case
from tests.peers import until

Record = Callable[[str, int, str], None]


def peak(running: Running) -> int:
    """The most memory the process ever held, in MiB."""
    [most] = re.findall(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{running.process.pid}/status").read_text("ascii"))
    return int(most) // 1024


def test_many_files_cost_little(database: Database, tmp_path: Path, proof: Record) -> None:
    n = case(300, 100_000)
    store = Store(database.url(), role="owner", pool=1)
    with store.transaction() as connection:
        utility = people.ensure_utility(connection, "city")
        people.add_login(connection, utility, "contractor", ["submit", "read"], "contractor")
        people.save_document(connection, utility, "profile", "household", profile(), "test")
        credential = connection.exec_driver_sql("select id from credential").scalar_one()
    inbox = tmp_path / "data" / "sftp" / str(credential) / "in"
    inbox.mkdir(parents=True)
    for number in range(n):
        (inbox / f"{number}.json").write_bytes(b'{"readings": [], "note": %d}' % number)
    told = at(database) | {"METERGATE_SFTP_PORT": "0", "METERGATE_HTTP_PORT": "0", "METERGATE_SFTP_STABLE": "0"}
    with starter(tmp_path, installed=True) as begin:
        running = begin("serve", "--data", tmp_path / "data", **told).listening()
        began = time.monotonic()
        until(lambda: len(os.listdir(inbox)) == 0, "all taken", n / 20 + 30)  # noqa: PTH208 - no objects for so many
        took, memory = time.monotonic() - began, peak(running)
    with store.transaction() as connection:
        assert connection.exec_driver_sql("select count(*) from drop_file").scalar_one() == n
    store.close()
    assert memory < 200
    proof("small files in one drop", n, f"{n / took:,.0f} files/s, peak memory {memory} MiB")


def profile() -> bytes:
    """A shipped rulebook."""
    from gateway import profiles

    return profiles.shipped()["household"]


def test_a_round_looks_only_at_what_is_new(tmp_path: Path) -> None:
    n = case(3000, 100_000)
    with folders.opened(tmp_path, 1) as drop:
        inbox = tmp_path / "1" / "in"
        for number in range(n):
            (inbox / f"{number}").touch()
        watch = Watch(stable=5.0, scan=0.0)
        first = timed(lambda: watch.ready(drop.inbox, 0.0, 10))
        assert len(watch.files) == n
        time.sleep(0.1)
        watch.ready(drop.inbox, 1.0, 10)
        again = min(timed(lambda: watch.ready(drop.inbox, 2.0, 10)) for _ in range(5))
        assert again < first / 20
        (inbox / "new").touch()
        watch.ready(drop.inbox, 1e6, 10)  # long after, however long the listing took
        assert b"new" in watch.files
        ready = watch.ready(drop.inbox, 1e6 + 7.0, 10)
        assert len(ready) == 10
        (inbox / ready[0][0].decode()).unlink()
        watch.ready(drop.inbox, 2e6, 0)
        assert ready[0][0] not in watch.files


def timed(work: Callable[[], object]) -> float:
    """Seconds of a call."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
