"""The whole line to a billing that works by files: posted, put into its inbox, acknowledged, billed; cut off, lost, and asked about."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import cycle, islice, product
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.domain.problems import Unavailable
from gateway.mapping import formats
from gateway.outbound import Batch, Outcome, Target
from gateway.postgres import Server
from gateway.registry import build
from gateway.worker import Worker
from tests.conftest import case, fresh_database
from tests.peers import Sandbox, running_sandbox, until
from tests.running import Gateway, Utility, running_gateway
from tests.sshd import Sshd, running_sshd
from tests.targets.conftest import item

DAY = 86400.0
STEPS = ("deliver.sent", "deliver.claimed", "deliver.recorded")
WORK = """
import sys
from datetime import timedelta
from pathlib import Path
from gateway.mapping import formats
from gateway.settings import load
from gateway.store import Store
from gateway.worker import Worker

settings = load(Path(sys.argv[1]), {})
store = Store(settings.database.worker_url, role="worker", pool=2)
Worker(store, settings, formats(settings.limits), name="dying", skew=timedelta(seconds=float(sys.argv[2]))).run_until_idle()
"""


class Line:
    """A gateway, a billing, and utilities: `plain` delivers to the billing's own server, `cut` through an OpenSSH that can be cut."""

    def __init__(self, gateway: Gateway, sandbox: Sandbox, sshd: Sshd, plain: Utility, cut: Utility) -> None:
        self.gateway = gateway
        self.sandbox = sandbox
        self.sshd = sshd
        self.plain = plain
        self.cut = cut
        self._clock = timedelta()
        settings = gateway.settings
        self._config = sandbox.folder / "worker.toml"
        lines = ["[database]", f"url = {json.dumps(settings.database.url)}", f"worker_url = {json.dumps(settings.database.worker_url)}"]
        for code, named in settings.targets.items():
            lines += [f"[targets.{code}.billing]", *(f"{name} = {json.dumps(value)}" for name, value in named["billing"].items())]
        self._config.write_text("\n".join(lines), "utf-8")

    def work(self, later: float = 0.0) -> None:
        """What a worker would do so many seconds later; the clock never goes back."""
        self._clock += timedelta(seconds=later)
        settings = self.gateway.settings
        Worker(self.gateway.store, settings, formats(settings.limits), name=f"at {self._clock}", skew=self._clock).run_until_idle()

    def killed_at(self, step: str) -> int:
        """The exit code of a worker that dies at this step."""
        command = [sys.executable, "-c", WORK, str(self._config), str(self._clock.total_seconds())]
        environment = os.environ | {"METERGATE_STEP": f"{step}:KILL"}
        return subprocess.run(command, env=environment, cwd=Path(__file__).parents[2], check=False).returncode

    def done(self, utility: Utility) -> int:
        """How many files of a utility the billing has answered and put away."""
        place = self.sandbox.folder / "drop" if utility is self.plain else self.sshd.folder
        return len(list((place / "done").iterdir()))

    def effects(self, utility: Utility) -> list[int]:
        """How often each of a utility's readings counted at the billing."""
        keys = {entry.item.key for entry in self.sandbox.rows(utility.code)}
        return [count for key, count in self.sandbox.effects().items() if key in keys]


@pytest.fixture(scope="module")
def line(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    folder = tmp_path_factory.mktemp("line")
    for database in fresh_database(server):
        urls = (database.url("owner"), database.url("app"), database.url("worker"))
        with running_gateway(*urls, folder) as gateway, running_sshd(jailed=False) as sshd:
            plain, cut = gateway.utility(), gateway.utility()
            accounts = [
                {"name": utility.code, "token": f"token-{utility.code}", "drop": str(drop), "keys": False, "settle_url": url}
                | ({"settle_key": utility.key} if url else {})
                for utility, drop, url in ((plain, folder / "drop", ""), (cut, sshd.folder, f"{gateway.url}/v1/settlements"))
            ]
            for utility in (plain, cut):
                utility.meters(*"1234567", registers=("A+:day", "A+:night"))
            with running_sandbox(folder, accounts=accounts, sftp_port=0, drop_scan=0.02) as sandbox:
                assert sandbox.process is not None
                assert sandbox.process.stdout is not None
                own = sandbox.process.stdout.readline().removeprefix("sandbox sftp on ").strip()
                port = int(own.partition(" ")[0].rpartition(":")[2])
                common = {"kind": "sftp_file", "host": "127.0.0.1"}
                targets: dict[str, dict[str, Any]] = {
                    plain.code: common
                    | {
                        "port": port,
                        "user": plain.code,
                        "password": f"token-{plain.code}",
                        "host_key": own,
                        "folder": "/in",
                        "acks": "/acks",
                    },
                    cut.code: common
                    | {"port": sshd.port, "user": sshd.user, "key_file": sshd.key_file, "host_key": sshd.host_key}
                    | {"folder": sshd.path("in"), "acks": sshd.path("acks")},
                }
                wanted = {code: {"billing": settings} for code, settings in targets.items()}
                gateway.settings = msgspec.structs.replace(gateway.settings, targets=wanted)
                yield Line(gateway, sandbox, sshd, plain, cut)


def post(utility: Utility, value: str, *meters: str) -> str:
    """Post a reading of two registers for each meter; the submission's id."""
    registers = [{"register": f"A+:{zone}", "value": value} for zone in ("day", "night")]
    body = {"readings": [{"meter": meter, "period": utility.period, "registers": registers} for meter in meters]}
    answer = utility.submit(msgspec.json.encode(body)).json()
    assert answer["status"] == "accepted", answer
    return str(answer["submission"])


def statuses(utility: Utility, submission: str) -> list[str]:
    return [reading["status"] for reading in utility.look(submission)["readings"]]


def test_queued_sent_acknowledged_with_one_effect_each_and_a_refusal_with_its_reason(line: Line) -> None:
    line.sandbox.control("refuse", account=line.plain.code, meters=["3"], reason="meter was replaced")
    submission = post(line.plain, "150", "1", "2", "3")
    assert statuses(line.plain, submission) == ["queued"] * 3

    line.work()
    assert statuses(line.plain, submission) == ["sent"] * 3
    until(lambda: line.done(line.plain) == 1)
    line.work()
    assert statuses(line.plain, submission) == ["sent"] * 3

    line.work(61)
    assert statuses(line.plain, submission) == ["acknowledged", "acknowledged", "rejected"]
    assert "meter was replaced" in str(line.plain.look(submission)["readings"][2]["problems"])
    assert line.effects(line.plain) == [1, 1]
    line.sandbox.control("up")


@pytest.mark.parametrize(("when", "meter"), [("before", "1"), ("after", "2")])
def test_a_session_cut_at_the_rename_is_asked_about_counts_once_and_is_billed(line: Line, when: str, meter: str) -> None:
    answered, counted = line.done(line.cut), line.effects(line.cut)
    line.sandbox.control("down", account=line.cut.code)
    line.sshd.cut("rename", when)
    submission = post(line.cut, "150", meter)

    line.work()
    assert statuses(line.cut, submission) == ["sent"]
    assert [file.suffix for file in (line.sshd.folder / "in").iterdir()] == [".part" if when == "before" else ".csv"]
    line.work(61)
    assert [file.suffix for file in (line.sshd.folder / "in").iterdir()] == [".csv"]
    assert statuses(line.cut, submission) == ["sent"]
    line.sandbox.control("up")
    until(lambda: line.done(line.cut) == answered + 1)
    line.work(301)

    until(lambda: statuses(line.cut, submission) == ["billed"])
    assert line.effects(line.cut) == [*counted, 1]
    assert list((line.sshd.folder / "in").iterdir()) == []
    line.work(301)
    assert line.done(line.cut) == answered + 1


@pytest.mark.parametrize(("step", "meter"), list(zip(STEPS[: case(1, 3)], "456", strict=False)))
def test_a_worker_killed_on_its_way_is_asked_about_by_the_next(line: Line, step: str, meter: str) -> None:
    answered, counted = line.done(line.plain), line.effects(line.plain)
    submission = post(line.plain, "150", meter)

    assert line.killed_at(step) == -signal.SIGKILL
    for _ in range(3):
        line.work(61)
    until(lambda: line.done(line.plain) == answered + 1)
    line.work(301)

    assert statuses(line.plain, submission) == ["acknowledged"]
    assert line.effects(line.plain) == [*counted, 1]
    assert line.done(line.plain) == answered + 1


def test_an_acknowledgement_that_never_comes_puts_the_reading_in_doubt_when_it_is_overdue(line: Line) -> None:
    line.sandbox.control("lose", account=line.plain.code)
    counted = line.effects(line.plain)
    lost = post(line.plain, "170", "1")
    line.work()
    until(lambda: len(line.effects(line.plain)) == len(counted) + 1)
    unsent = post(line.plain, "170", "7")
    assert line.killed_at("deliver.sending") == -signal.SIGKILL
    line.work(DAY / 2)
    assert (statuses(line.plain, lost), statuses(line.plain, unsent)) == (["sent"], ["sent"])

    line.work(DAY / 2 + 61)

    # That a worker died before its first byte and that billing took the file and keeps silent look the same: no second file for either.
    for _ in range(2):
        assert (statuses(line.plain, lost), statuses(line.plain, unsent)) == (["in_doubt"], ["in_doubt"])
        line.work(3 * DAY)
    assert line.effects(line.plain) == [*counted, 1]
    line.sandbox.control("up")


def test_cuts_at_any_request_lose_and_double_nothing(line: Line, proof: Callable[[str, int, str], None]) -> None:
    rounds = case(2, 100)
    billing = build(Target, line.gateway.settings.targets[line.cut.code]["billing"])
    cuts = [("rename", "after"), ("write", "before"), *product(("open", "write", "rename"), ("before", "after"))]
    counted = line.effects(line.cut)
    for number, cut in enumerate(islice(cycle(cuts), rounds)):
        line.sshd.cut(*cut)
        one, name = item(number, key=f"cut-{number}"), f"cut-{number}"
        outcome = Outcome.UNKNOWN
        for again in range(3):
            try:
                if outcome is Outcome.UNKNOWN:
                    name = f"cut-{number}-{again}"
                    billing.deliver(Batch(id=name, items=(one,)))
            except Unavailable as error:
                if not error.sent:
                    continue
            until(lambda: not [*line.sshd.folder.glob("in/*.csv"), *line.sshd.folder.glob("taken/*.csv")])
            (answer,) = billing.ask(Batch(id="asking", items=(one,)), {one.key: name}).answers
            outcome = answer.outcome
        assert outcome is Outcome.TAKEN
    assert line.effects(line.cut) == counted + [1] * rounds
    proof("uploads to a billing by files cut at a request of OpenSSH: readings lost, doubled", rounds, "0, 0")
