"""B11: the SFTP drop beside a real sshd, with the stock client: small files, a large one, and how soon a finished file is taken."""

import os
import statistics
import subprocess
import sys
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from gateway.store import Store, people
from tests.bench import ground
from tests.bench.row import Row, faster, limit, race
from tests.peers import until
from tests.sshd import Sshd, running_sshd

SMALL: Final = 1000
SMALL_BYTES: Final = 20_000
LARGE_MB: Final = 100
TAKEN: Final = 200
STABLE: Final = 1.0
RUNS: Final = 5 if ground.ALL else 3


class Place:
    """A server's address as the stock client wants it."""

    def __init__(self, port: int, user: str, key: Path, inbox: str) -> None:
        self.inbox = inbox
        options = ["-F", "none", "-q", "-oBatchMode=yes", "-oStrictHostKeyChecking=no", "-oUserKnownHostsFile=/dev/null"]
        self.command = ["sftp", *options, f"-oIdentityFile={key}", "-oIdentitiesOnly=yes", "-b", "-", "-P", str(port), f"{user}@127.0.0.1"]

    def batch(self, *lines: str, folder: Path) -> None:
        """Run the client to its end, which must be a good one."""
        told = "\n".join(lines) + "\n"
        subprocess.run(self.command, input=told, text=True, cwd=folder, stdout=subprocess.DEVNULL, check=True)


def run() -> list[Row]:
    """Both servers take the same files in turn."""
    here = ground.folder() / "sftp"
    (here / "small").mkdir(parents=True)
    (here / "large.part").write_bytes(os.urandom(LARGE_MB * 1_000_000))
    with running_sshd() as peer, ours(here) as (place, inbox, database):
        other = beside(peer)
        turn = iter(range(1000))

        def small(to: Place) -> None:
            fill(here / "small", next(turn))
            to.batch(f"put small/* {to.inbox}", folder=here)

        def large(to: Place) -> None:
            to.batch(f"put large.part {to.inbox}", f"rm {to.inbox}/large.part", folder=here)

        few = race({"ours": lambda: small(place), "sshd": lambda: small(other)}, runs=RUNS)
        until(lambda: not any(inbox.iterdir()), "all small ones taken", 300)
        one = race({"ours": lambda: large(place), "sshd": lambda: large(other)}, runs=RUNS)
        late = sorted(lateness(place, here, database))
    return [
        faster("B11", f"{SMALL:,} files of 20 KB", SMALL / few["ours"], SMALL / few["sshd"], unit="files/s", peer="OpenSSH sshd", goal=0.5),
        faster(
            "B11", f"one file of {LARGE_MB} MB", LARGE_MB / one["ours"], LARGE_MB / one["sshd"], unit="MB/s", peer="OpenSSH sshd", goal=0.5
        ),
        limit("B11", f"taken after the stable rule, p99 of {TAKEN}", late[int(0.99 * len(late))], unit="s", goal=2),
        limit("B11", "the same, median", statistics.median(late), unit="s"),
    ]


def fill(folder: Path, turn: int) -> None:
    """Small files that were never there before."""
    for number in range(SMALL):
        body = b'{"readings": [], "note": "%d %d"}' % (turn, number)
        (folder / f"{number}.json").write_bytes(body.ljust(SMALL_BYTES - 1) + b"\n")


@contextmanager
def ours(here: Path) -> Iterator[tuple[Place, Path, str]]:
    """Our server with a partner; its `in` as it lies on the disk, and its database."""
    database = ground.fresh("bench_sftp", ground.registry())
    subprocess.run(["/usr/bin/ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(here / "key")], check=True)
    public = b64decode((here / "key.pub").read_text("ascii").split()[1])
    store = Store(ground.server().url("owner", database), role="owner", pool=1)
    with store.transaction() as connection:
        utility = connection.exec_driver_sql("select id from utility").scalar_one()
        people.add_login(connection, utility, "bench", ["submit", "read"], "bench", public_key=public)
        credential = connection.exec_driver_sql("select id from credential where login = 'bench'").scalar_one()
    store.close()
    told: dict[str, Any] = {
        "DATABASE_URL": ground.server().url("owner", database),
        "HTTP_PORT": 0,
        "SFTP_PORT": 0,
        "SFTP_STABLE": STABLE,
        "LIMITS_FILE_BYTES": 2 * LARGE_MB * 1_000_000,
        "DATA": here / "data",
        "CONFIG": ground.folder() / "none.toml",
    }
    child = ground.Child([sys.executable, "-m", "gateway", "serve"], {f"METERGATE_{name}": str(value) for name, value in told.items()})
    try:
        child.line()
        port = int(child.line().split()[-2].rpartition(":")[2])
        yield Place(port, "bench", here / "key", "/in"), here / "data" / "sftp" / str(credential) / "in", database
    finally:
        child.process.terminate()
        child.end()


def beside(peer: Sshd) -> Place:
    """The real one, with a folder to write to."""
    peer.make("in")
    return Place(peer.port, peer.user, Path(peer.key_file), peer.path("in"))


def lateness(place: Place, here: Path, database: str) -> list[float]:
    """For each of many files: seconds from its end, less the stable rule, until it was taken."""
    fill(here / "small", 10_000)
    lines = [line for n in range(TAKEN) for line in (f"put small/{n}.json /in/late-{n}.json", "!date +%s.%N >> ends")]
    place.batch(*lines, folder=here)
    ends = [float(line) for line in (here / "ends").read_text("ascii").split()]
    query = "select name, extract(epoch from taken_at) as at from drop_file where name like 'late-%%'"
    found: dict[str, float] = {}

    def told() -> bool:
        store = Store(ground.server().url("owner", database), role="owner", pool=1)
        with store.transaction() as connection:
            found.update({row.name: float(row.at) for row in connection.exec_driver_sql(query)})
        store.close()
        return len(found) == TAKEN

    until(told, "all taken", 60)
    return [found[f"late-{n}.json"] - end - STABLE for n, end in enumerate(ends)]
