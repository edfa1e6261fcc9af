"""The whole line of makets: 80020 from a sender, 80020 to the billing, 80021 back, and what the sender sees of it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.mapping import formats
from gateway.postgres import Server
from gateway.worker import Worker
from tests.conftest import fresh_database
from tests.formats.make_maket import HOURS, channel, message, periods, point
from tests.peers import Sandbox, running_sandbox, until
from tests.running import Gateway, Utility, running_gateway
from tests.targets.test_sftp_line import WORK


class Line:
    """A gateway, and a billing that takes makets of the points 1, 2 and 4 of one utility."""

    def __init__(self, gateway: Gateway, sandbox: Sandbox, utility: Utility) -> None:
        self.gateway = gateway
        self.sandbox = sandbox
        self.utility = utility
        self._clock = timedelta()

    def work(self, later: float = 0.0) -> None:
        """What a worker would do so many seconds later; the clock never goes back."""
        self._clock += timedelta(seconds=later)
        settings = self.gateway.settings
        Worker(self.gateway.store, settings, formats(settings.limits), name=f"at {self._clock}", skew=self._clock).run_until_idle()

    def killed_at(self, step: str) -> int:
        """The exit code of a worker that dies at this step."""
        settings = self.gateway.settings
        lines = ["[database]", f"url = {json.dumps(settings.database.url)}", f"worker_url = {json.dumps(settings.database.worker_url)}"]
        billing = settings.targets[self.utility.code]["billing"].items()
        lines += [f"[targets.{self.utility.code}.billing]", *(f"{name} = {json.dumps(value)}" for name, value in billing)]
        config = self.sandbox.folder / "worker.toml"
        config.write_text("\n".join(lines), "utf-8")
        command = [sys.executable, "-c", WORK, str(config), str(self._clock.total_seconds())]
        environment = os.environ | {"METERGATE_STEP": f"{step}:KILL"}
        return subprocess.run(command, env=environment, cwd=Path(__file__).parents[2], check=False).returncode

    def upload(self, day: int, **points: object) -> str:
        """Send the hours of a day, the same in each hour of a point; the submission's id."""
        parts = [point(code.removeprefix("p"), channel("01", periods([value] * 24, HOURS))) for code, value in points.items()]
        body = message(*parts, day=f"{self.utility.period.replace('-', '')}{day:02}")
        answer = self.utility.upload(body, "80020.xml")
        assert answer.status_code == 202, answer.text
        return str(answer.json()["submission"])

    def readings(self, submission: str) -> dict[str, dict[str, Any]]:
        return {row["meter"]: row for row in self.utility.look(submission)["readings"]}

    def statuses(self, submission: str) -> dict[str, str]:
        return {meter: row["status"] for meter, row in self.readings(submission).items()}

    def sent(self, day: str) -> list[bytes]:
        """The files of a day that the billing was given, the oldest first."""
        found = (self.sandbox.folder / "drop" / "done").glob(f"*_{self.utility.period.replace('-', '')}{day}_*")
        return [file.read_bytes() for file in sorted(found, key=lambda file: file.name)]

    @property
    def done(self) -> list[str]:
        """The days of the files that the billing has answered and put away, with how many there are."""
        return sorted(file.name.split("_")[2][6:] for file in (self.sandbox.folder / "drop" / "done").iterdir())

    def has_done(self, days: list[str]) -> bool:
        """Whether these are the days of all files that the billing has answered."""
        return self.done == days

    def volumes(self, place: str) -> list[int]:
        """What was billed at a point, word by word."""
        rows = self.gateway.rows(
            "select volume from settlement where utility_id = %(u)s and point = %(p)s and stage = 'billed' order by version",
            u=self.utility.id,
            p=place,
        )
        return [int(row.volume) for row in rows]


@pytest.fixture
def line(server: Server, tmp_path: Path) -> Iterator[Line]:
    for database in fresh_database(server):
        urls = (database.url("owner"), database.url("app"), database.url("worker"))
        with running_gateway(*urls, tmp_path) as gateway:
            utility = gateway.utility()
            utility.meters("1", "2", "3", "4")
            account: dict[str, Any] = {
                "name": "hours",
                "token": "token",
                "drop": str(tmp_path / "drop"),
                "settle_url": f"{gateway.url}/v1/settlements",
            }
            account |= {"settle_key": utility.key, "points": {f"A-1-{number}": "A-1" for number in (1, 2, 4)}}
            with running_sandbox(tmp_path, accounts=[account], sftp_port=0, drop_scan=0.02) as sandbox:
                assert sandbox.process is not None
                assert sandbox.process.stdout is not None
                own = sandbox.process.stdout.readline().removeprefix("sandbox sftp on ").strip()
                billing = {
                    "kind": "maket_80020",
                    "host": "127.0.0.1",
                    "port": int(own.partition(" ")[0].rpartition(":")[2]),
                    "user": "hours",
                    "password": "token",
                    "host_key": own,
                    "folder": "/in",
                    "replies": "/acks",
                    "zone": "Europe/Moscow",
                    "sender_inn": "5001001234",
                    "area_inn": "1300001301",
                }
                gateway.settings = msgspec.structs.replace(gateway.settings, targets={utility.code: {"billing": billing}})
                yield Line(gateway, sandbox, utility)


def test_hours_go_out_as_they_came_in_and_the_figure_comes_back_to_their_sender(line: Line) -> None:
    first = line.upload(1, p1=2, p2=3, p3=4)
    line.work()
    assert line.statuses(first)["3"] == "sent"
    until(lambda: line.done == ["01"] * 3)
    line.work(61)
    until(lambda: line.statuses(first) == {"1": "billed", "2": "billed", "3": "rejected"})
    [problem] = [one for one in line.readings(first)["3"]["problems"] if one["severity"] == "error"]
    assert problem["code"] == "refused_by_billing"
    assert "80021 2 points_unknown: 80020_5001001234_" in problem["values"]["reason"]
    assert (line.volumes("A-1-1"), line.volumes("A-1-2")) == ([48], [72])
    assert line.sandbox.effects() == dict.fromkeys(line.sandbox.effects(), 1)

    # What billing took of a period it is not given again; what it is given anew is a day more, or a day that changed.
    second = line.upload(2, p1=1)
    line.work()
    until(lambda: line.done == ["01"] * 3 + ["02"])
    line.work(61)
    until(lambda: line.statuses(second) == {"1": "billed"})
    changed = line.upload(1, p1=5)
    line.work()
    until(lambda: line.done == ["01"] * 4 + ["02"])
    line.work(61)
    until(lambda: line.statuses(changed) == {"1": "billed"})
    assert line.volumes("A-1-1") == [48, 72, 144]


def test_of_a_day_that_changed_in_one_channel_every_channel_goes_again(line: Line) -> None:
    line.utility.meters("4", registers=("A+", "A-"))
    both = [channel(code, periods([2] * 24, HOURS)) for code in ("01", "02")]
    day = f"{line.utility.period.replace('-', '')}03"
    for files, parts in (["03"], both), (["03", "03"], [both[0], channel("02", periods([1] * 24, HOURS))]):
        assert line.utility.upload(message(point("4", *parts), day=day), "80020.xml").status_code == 202
        line.work()
        until(partial(line.has_done, files))
        line.work(61)
    assert [(body.count(b"<value>2</value>"), body.count(b"<value>1</value>")) for body in line.sent("03")] == [(48, 0), (24, 24)]


def test_days_of_a_reading_that_another_replaced_before_it_went_go_with_that(line: Line) -> None:
    line.upload(1, p1=2)
    line.upload(2, p1=2)
    dials = line.utility.submit(line.utility.body({"2": "150"})).json()["submission"]
    line.work()
    until(lambda: line.done == ["01", "02"])
    line.work(61)
    until(lambda: line.volumes("A-1-1")[-1:] == [96])
    [row] = line.readings(dials).values()
    assert row["status"] == "rejected"
    assert "no_intervals" in str(row["problems"])


@pytest.mark.parametrize("step", ["deliver.sending", "deliver.sent"])
def test_a_worker_killed_on_its_way_is_asked_about_by_the_next_and_each_day_counts_once(line: Line, step: str) -> None:
    line.upload(1, p1=2)
    submission = line.upload(2, p1=2)
    assert line.killed_at(step) == -signal.SIGKILL
    line.work(61)
    line.work(61)
    if step == "deliver.sending":  # billing was given nothing and nobody can tell: it waits until a person is asked
        assert (line.done, line.statuses(submission)) == ([], {"1": "sent"})
        return
    until(lambda: line.done == ["01", "02"])
    line.work(61)
    until(lambda: line.statuses(submission) == {"1": "billed"})
    assert list(line.sandbox.effects().values()) == [1, 1]


def test_a_billing_that_puts_off_or_cannot_read_answers_when_it_can(line: Line) -> None:
    line.sandbox.control("later", account="hours", meters=["A-1-4"])
    submission = line.upload(1, p4='<value status="1">7</value>')
    line.work()
    line.work(61)
    assert line.statuses(submission) == {"4": "sent"}
    line.sandbox.control("up")
    until(lambda: line.done == ["01"])
    line.work(61)
    until(lambda: line.statuses(submission) == {"4": "billed"})
    rows = line.gateway.rows("select reference from delivery_closed where utility_id = %(u)s", u=line.utility.id)
    assert rows[0].reference.endswith(" noncommercial")

    (line.sandbox.folder / "drop" / "in" / "half.xml").write_bytes(b"<message class='80020'>")
    (line.sandbox.folder / "drop" / "in" / "other.xml").write_bytes(b"<message class='80030'/>")
    acks = line.sandbox.folder / "drop" / "acks"
    until(lambda: (acks / "80021_half.xml").exists() and (acks / "80021_other.xml").exists())
    figures = [(acks / f"80021_{name}.xml").read_bytes().partition(b'status="')[2][:1] for name in ("half", "other")]
    assert figures == [b"4", b"3"]
