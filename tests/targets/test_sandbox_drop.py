"""The sandbox billing by files: its SFTP server, what it takes and turns away, its orders, and what a kill at any point leaves."""

import re
import shutil
import stat
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import paramiko
import pytest

from gateway.domain.problems import Misconfigured
from gateway.outbound import Batch, Item, Outcome, Target
from gateway.registry import build
from gateway.sandbox.config import SandboxFailed, load
from gateway.sandbox.sftp import host_key
from tests.conftest import case
from tests.peers import PLAIN, TOKEN, Sandbox, running_sandbox, until
from tests.targets.conftest import batch, item, two

HEAD = "key;agreement;meter;period;at;register;value"
AT = "2025-10;2025-10-25T12:00:00Z"
REFERENCE = re.compile(r"BILL-\d{6}")


class Billing:
    """A sandbox with two drops, of `water` and of `heat`, whose keys are not honoured."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.learn()

    def learn(self) -> None:
        """Read the line that names port and key, which follows the line of the HTTP door."""
        line = self.sandbox.process.stdout.readline() if self.sandbox.process and self.sandbox.process.stdout else ""
        self.host_key = line.removeprefix("sandbox sftp on ").strip()
        self.sandbox.settings["sftp_port"] = self.port = int(self.host_key.partition(" ")[0].rpartition(":")[2])

    def restart(self) -> None:
        """Start it again on the same ports."""
        self.sandbox.start()
        self.learn()

    def target(self, **more: Any) -> Target:
        settings = {"kind": "sftp_file", "host": "127.0.0.1", "port": self.port, "host_key": self.host_key, "timeout": 20.0}
        return build(Target, settings | {"user": "water", "password": TOKEN, "folder": "/in", "acks": "/acks"} | more)

    def place(self, *names: str, account: str = "water") -> Path:
        return self.sandbox.folder.joinpath(account, *names)

    def put(self, name: str, *rows: str, head: str = HEAD, control: str = "", account: str = "water") -> None:
        """Put a file into an inbox as a careful sender does, with a right control row unless another is given."""
        total = sum(int(row.split(";")[-1]) for row in rows) if not control else 0
        content = "".join(f"{line}\r\n" for line in [head, *rows, control or f"={len(rows)};{total}"])
        part = self.place("in", f"{name}.csv.part", account=account)
        part.write_bytes(content.encode("cp1251", "surrogateescape"))
        part.rename(part.with_suffix(""))

    def answer(self, name: str, account: str = "water") -> list[str]:
        """The rows of an acknowledgement without their reference, when it is there and the file is put away; the header aside."""
        ack, done = self.place("acks", f"{name}.ack.csv", account=account), self.place("done", f"{name}.csv", account=account)
        until(lambda: ack.exists() and done.exists(), name)
        return REFERENCE.sub("BILL", ack.read_text("cp1251")).splitlines()[1:]

    def lies(self, name: str, account: str = "water") -> list[str]:
        """In which folders a file of this name lies, or its acknowledgement."""
        return sorted(str(file.relative_to(self.place(account=account))) for file in self.place(account=account).glob(f"*/{name}.*"))

    def effects(self, key: str) -> dict[str, int]:
        """How often keys that begin so had an effect."""
        return {name: count for name, count in self.sandbox.effects().items() if name.startswith(key)}


@contextmanager
def running_billing(folder: Path) -> Iterator[Billing]:
    accounts: Sequence[dict[str, Any]] = [
        {"name": "water", "token": TOKEN, "drop": str(folder / "water")},
        {"name": "heat", "token": "token-of-heat", "drop": str(folder / "heat"), "keys": False},
    ]
    with running_sandbox(folder, accounts=accounts, sftp_port=0, drop_scan=0.02) as sandbox:
        yield Billing(sandbox)


@pytest.fixture(scope="module")
def lasting_billing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Billing]:
    with running_billing(tmp_path_factory.mktemp("billing")) as running:
        yield running


@pytest.fixture
def billing(lasting_billing: Billing) -> Billing:
    """A billing shared by tests that use names of their own, without orders."""
    lasting_billing.sandbox.control("up")
    return lasting_billing


@pytest.fixture
def name() -> str:
    """A name for the files and keys of one test."""
    return f"n{uuid.uuid4().hex[:8]}"


def row(key: str, meter: str = "1", value: str = "5") -> str:
    return f"{key};A-1;{meter};{AT};A+;{value}"


def outcomes(target: Target, name: str, *items: Item) -> list[tuple[Outcome, str, str]]:
    answers = target.ask(Batch(id="asking", items=items), {one.key: name for one in items}).answers
    return [(answer.outcome, REFERENCE.sub("BILL", answer.reference), answer.reason) for answer in answers]


def test_what_is_handed_over_by_sftp_is_judged_and_acknowledged_row_by_row(billing: Billing, name: str) -> None:
    billing.sandbox.control("refuse", meters=["00000017"], reason="meter; was replaced")
    items = [item(number, key=f"{name}-{number}") for number in range(39)] + [two(f"{name}-39")]
    target = billing.target()

    target.deliver(Batch(id=name, items=tuple(items)))
    billing.answer(name)
    told = outcomes(target, name, *items)

    assert told[17] == (Outcome.REFUSED, "", "meter, was replaced")
    assert told[:17] + told[18:] == [(Outcome.TAKEN, "BILL", "")] * 39
    assert billing.effects(name) == {f"{name}-{number}": 1 for number in range(40) if number != 17}
    (entry,) = [entry for entry in billing.sandbox.rows("water") if entry.item.key == f"{name}-39"]
    assert [(value.register, value.value) for value in entry.item.values] == [("A+:day", "10.5"), ("A+:night", "-0.25")]
    assert entry.item.meter == "№ 7-ж"
    assert billing.lies(name) == [f"acks/{name}.ack.csv", f"done/{name}.csv"]


def test_an_account_sees_its_drop_and_nothing_else(billing: Billing) -> None:
    (billing.sandbox.folder / "secret").write_text("secret", "utf-8")
    with paramiko.Transport(("127.0.0.1", billing.port)) as line:
        line.connect(username="water", password=TOKEN)
        files = line.open_sftp_client()
        assert files is not None
        assert sorted(files.listdir("/")) == ["acks", "done", "in", "taken"]
        for path in ("/../secret", "../../etc/passwd", str(billing.place())):
            with pytest.raises(FileNotFoundError):
                files.stat(path)
        with pytest.raises(PermissionError):
            files.symlink("/etc/passwd", "/in/passwd.csv")
        files.close()

    for how in ({"password": "wrong"}, {"user": "stranger"}, {"user": "heat"}):
        with pytest.raises(Misconfigured, match="Authentication failed"):
            billing.target(**how).deliver(batch("b1"))
    assert billing.lies("b1") == []
    assert TOKEN not in billing.sandbox.log


def test_parts_links_and_other_files_are_let_be(billing: Billing, name: str, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"x")
    billing.place("in", f"{name}.linked.csv").symlink_to(tmp_path / "elsewhere")
    for other in (f"{name}.csv.part", f"{name}.txt", f".{name}.csv"):
        billing.place("in", other).write_bytes(b"x")

    billing.put(f"{name}-whole", row(name))

    assert billing.answer(f"{name}-whole") == [f"{name};OK;BILL;", "=1;1"]
    assert billing.lies(name) == [f"in/{name}.csv.part", f"in/{name}.linked.csv", f"in/{name}.txt"]


@pytest.mark.parametrize(
    ("head", "rows", "control", "reason"),
    [
        (HEAD, [row("bad")], "=2;5", "control_row_differs"),
        (HEAD, [row("bad")], "=1;6", "control_row_differs"),
        (HEAD, [row("bad"), row("bad2", value="abc")], "=2;5", "control_row_differs"),
        (HEAD, [row("bad")], row("bad3"), "control_row_missing"),
        (HEAD.replace("at", "when"), [row("bad")], "=1;5", "column_missing: at"),
        (HEAD, [row("bad"), "short;row"], "=2;5", "row_of_another_length"),
        (HEAD, [row("")], "=1;5", "key_missing"),
        (HEAD, ["\udc98"], "=1;5", "not_cp1251"),
    ],
)
def test_a_file_that_does_not_add_up_is_turned_away_whole(
    billing: Billing, name: str, head: str, rows: list[str], control: str, reason: str
) -> None:
    billing.put(name, *rows, head=head, control=control)

    assert billing.answer(name) == [f"{name}.csv;ERROR;;{reason}", "=1;0"]
    assert billing.effects("bad") == {}


def test_an_empty_file_is_turned_away_whole(billing: Billing, name: str) -> None:
    billing.place("in", f"{name}.csv").write_bytes(b"")

    assert billing.answer(name) == [f"{name}.csv;ERROR;;column_missing: agreement", "=1;0"]


def test_a_wrong_row_refuses_its_key_and_no_other(billing: Billing, name: str) -> None:
    good, night, moved = (f"{name}-{which}" for which in ("good", "night", "moved"))
    rows = [row(good), row(night), f"{night};A-1;1;2025-10;yesterday;A+;5", row(moved), f"{moved};A-2;1;{AT};A+;5"]

    billing.put(name, *rows)

    told = [line.split(";") for line in billing.answer(name)]
    assert [(key, status) for key, status, *_ in told[:-1]] == [(good, "OK"), *[(night, "ERROR")] * 2, *[(moved, "ERROR")] * 2]
    assert [reason.partition(":")[0] for *_, reason in told[1:-1]] == ["row_malformed"] * 4
    assert billing.effects(name) == {good: 1}


def test_a_file_in_the_way_is_said_once_and_holds_up_no_other(billing: Billing, name: str) -> None:
    billing.place("done", f"{name}.csv", "full").mkdir(parents=True)
    billing.put(name, row(name))
    until(lambda: f"{name}.csv" in billing.sandbox.log)
    billing.put(f"{name}-2", row(f"{name}-2"))

    billing.answer(f"{name}-2")
    shutil.rmtree(billing.place("done", f"{name}.csv"))

    assert billing.answer(name) == [f"{name};OK;BILL;", "=1;1"]
    assert billing.effects(name) == {name: 1, f"{name}-2": 1}
    assert billing.sandbox.log.count(f"{name}.csv'\n") <= 2


def test_russian_columns_decimal_commas_and_amounts_of_a_period(billing: Billing, name: str) -> None:
    head = "Ключ;Договор;Счетчик;Период;Дата;Регистр;Показание;Объем"
    billing.put(name, f"{name};'=ЛС;7;{AT};volume;12,50;1", head=head, control="=1;12,5")

    billing.answer(name)

    (entry,) = [entry for entry in billing.sandbox.rows("water") if entry.item.key == name]
    assert (entry.item.agreement, entry.item.values[0].consumption) == ("=ЛС", "12.50")


def test_while_it_is_down_the_folder_is_not_looked_at(billing: Billing, name: str) -> None:
    target, one = billing.target(), item(1, key=name)
    billing.sandbox.control("down")
    target.deliver(batch(name, one))

    assert outcomes(target, name, one) == [(Outcome.PENDING, "", "")]
    assert billing.lies(name) == [f"in/{name}.csv"]
    billing.sandbox.control("up")
    billing.answer(name)
    assert outcomes(target, name, one) == [(Outcome.TAKEN, "BILL", "")]


def test_what_is_put_off_is_unknown_and_may_come_again(billing: Billing, name: str) -> None:
    target, one = billing.target(), item(1, key=name)
    billing.sandbox.control("later", times=1)
    target.deliver(batch(name, one))
    billing.answer(name)

    assert outcomes(target, name, one) == [(Outcome.UNKNOWN, "", "asked_to_wait")]
    target.deliver(batch(f"{name}-2", one))
    billing.answer(f"{name}-2")
    assert outcomes(target, f"{name}-2", one) == [(Outcome.TAKEN, "BILL", "")]
    assert billing.effects(name) == {name: 1}


@pytest.mark.parametrize("order", ["lose", "garbage"])
def test_an_answer_withheld_or_halved_comes_whole_when_the_order_ends(billing: Billing, name: str, order: str) -> None:
    target, one, other = billing.target(), item(1, key=name), item(2, key=f"{name}-2")
    billing.sandbox.control(order, times=1)
    target.deliver(batch(name, one))
    until(lambda: f"taken/{name}.csv" in billing.lies(name))
    target.deliver(batch(f"{name}-2", other))
    billing.answer(f"{name}-2")

    assert billing.effects(name) == {name: 1, f"{name}-2": 1}
    assert outcomes(target, name, one) == [(Outcome.PENDING, "", "")]
    assert billing.place("acks", f"{name}.ack.csv").exists() == (order == "garbage")

    billing.sandbox.control("up")
    billing.answer(name)
    assert outcomes(target, name, one) == [(Outcome.TAKEN, "BILL", "")]
    assert billing.effects(name) == {name: 1, f"{name}-2": 1}


def test_a_key_sent_twice_counts_once_only_where_keys_are_honoured(billing: Billing, name: str) -> None:
    for account, token, times in (("water", TOKEN, 1), ("heat", "token-of-heat", 2)):
        for file in (f"{name}-1", f"{name}-2"):
            billing.put(file, row(f"{name}-{account}"), account=account)
            billing.answer(file, account)
        values = [{"register": "A+", "value": "1", "unit": "kWh"}]
        call = {"agreement": "A", "point": "", "meter": "1", "period": "2025-10", "at": "2025-10-25T12:00:00Z", "revision": 0}
        for call_name in ("c1", "c2"):
            heads = {"Authorization": f"Bearer {token}", "Idempotency-Key": call_name}
            body = {"batch": call_name, "items": [call | {"key": f"{name}-{account}-http", "values": values}]}
            assert (
                httpx.post(f"{billing.sandbox.url}/readings", json=body, headers=heads, verify=PLAIN).json()["results"][0]["outcome"]
                == "taken"
            )

        assert billing.effects(f"{name}-{account}") == {f"{name}-{account}": times, f"{name}-{account}-http": times}


def test_a_kill_at_any_point_judges_nothing_twice_and_keeps_the_host_key(tmp_path: Path) -> None:
    points = ("journal", "moved", "acknowledging", "acknowledged", "stalled")
    with running_billing(tmp_path) as billing:
        before = billing.host_key
        answers: dict[tuple[str, str], list[str]] = {}
        for account in ("water", "heat"):
            for point in points[:-1]:
                billing.put(point, row(f"{account}-{point}"), row(f"{account}-{point}-2", value="6"), account=account)
            answers |= {(account, point): billing.answer(point, account) for point in points[:-1]}
        billing.sandbox.control("stall", seconds=600)
        for account in ("water", "heat"):
            billing.put("stalled", row(f"{account}-stalled"), account=account)
            answers[account, "stalled"] = [f"{account}-stalled;OK;BILL;", "=1;1"]
        billing.sandbox.kill()
        for account, point in answers:
            undo(billing, account, point)

        billing.restart()

        assert {(account, point): billing.answer(point, account) for account, point in answers} == answers
        for account, point in answers:
            assert billing.lies(point, account) == [f"acks/{point}.ack.csv", f"done/{point}.csv"]
        assert len(billing.sandbox.effects()) == 18
        assert set(billing.sandbox.effects().values()) == {1}
        assert billing.host_key == before
    assert before.partition(" ")[2] == host_key(tmp_path / "sandbox.journal.host_key")
    assert stat.S_IMODE((tmp_path / "sandbox.journal.host_key").stat().st_mode) == 0o600


def undo(billing: Billing, account: str, point: str) -> None:
    """Put a file back to where a kill at this point would have left it."""
    if point == "stalled":
        return
    ack = billing.place("acks", f"{point}.ack.csv", account=account)
    where = "in" if point == "journal" else "taken"
    shutil.move(billing.place("done", f"{point}.csv", account=account), billing.place(where, f"{point}.csv", account=account))
    if point != "acknowledged":
        ack.unlink()
    if point == "acknowledging":
        ack.with_name(f"{ack.name}.part").write_bytes(b"k;OK")


def test_kills_at_any_moment_double_nothing_though_no_key_is_honoured(tmp_path: Path, proof: Callable[[str, int, str], None]) -> None:
    rounds, files = case(1, 30), 20
    with running_billing(tmp_path) as billing:
        done = billing.place("done", account="heat")
        for round_ in range(rounds):
            for number in range(files):
                billing.put(f"r{round_}-{number}", *(row(f"{round_}-{number}-{one}") for one in range(20)), account="heat")
            until(partial(more_than, done, files * round_ + round_ % files))
            billing.sandbox.kill()
            billing.restart()
        until(partial(more_than, done, rounds * files - 1))
        counted = billing.sandbox.effects()
    assert len(counted) == rounds * files * 20
    assert set(counted.values()) == {1}
    proof("sandbox by files killed in the middle of its work, no key honoured: rows judged twice", rounds, "0")


def more_than(folder: Path, count: int) -> bool:
    return len(list(folder.iterdir())) > count


def test_wrong_settings_of_drops_are_named(tmp_path: Path) -> None:
    two_of_them = "".join(f'[[accounts]]\nname = "{name}"\ntoken = "{name}"\ndrop = "drop"\n' for name in "ab")
    for text, said in ((two_of_them, "share a drop"), ("drop_scan = 0.0\n", "drop_scan")):
        (tmp_path / "sandbox.toml").write_text(text, "utf-8")
        with pytest.raises(SandboxFailed, match=said):
            load(tmp_path / "sandbox.toml", [], {})
    (tmp_path / "broken").write_text("no key", "utf-8")
    with pytest.raises(SandboxFailed, match="broken"):
        host_key(tmp_path / "broken")
