"""The sandbox billing itself: its journal over crashes, its settlements over restarts, its orders, its door."""

import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.domain.problems import Unavailable
from gateway.outbound import Batch, Outcome
from gateway.outbound.http_json import HttpJson
from gateway.sandbox.config import SandboxFailed, account, load
from gateway.sandbox.journal import doubles
from tests.peers import CONTROL, PLAIN, START, TOKEN, Listener, Sandbox, refused_url, running_sandbox, until
from tests.targets.conftest import batch, item


def target(sandbox: Sandbox, attempts: int = 1) -> HttpJson:
    return HttpJson(url=sandbox.url, token=TOKEN, timeout=10.0, attempts=attempts)


def post(sandbox: Sandbox, body: Any, token: str = TOKEN, key: str = "b1") -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": key}
    return httpx.post(
        f"{sandbox.url}/readings", headers=headers, **({"content": body} if isinstance(body, bytes) else {"json": body}), verify=PLAIN
    )


def row(**fields: Any) -> dict[str, Any]:
    value = {"register": "A+", "value": "12.5", "unit": "kWh"}
    at = "2025-10-25T12:00:00Z"
    return {
        "key": "k",
        "agreement": "A",
        "point": "",
        "meter": "1",
        "period": "2025-10",
        "at": at,
        "revision": 1,
        "values": [value],
    } | fields


def test_a_kill_in_the_middle_of_batches_loses_nothing_and_doubles_nothing(sandbox: Sandbox) -> None:
    batches = [Batch(id=f"b{number}", items=tuple(item(number * 50 + row) for row in range(50))) for number in range(40)]
    answered: list[str] = []
    billing = target(sandbox)

    def send() -> None:
        for one in batches:
            try:
                answered.append(billing.deliver(one).answers[0].reference)
            except Unavailable:
                return

    sender = threading.Thread(target=send)
    sender.start()
    until(lambda: len(answered) >= 5)
    sandbox.kill()
    sender.join()
    assert 5 <= len(answered) < 40
    with sandbox.journal.open("ab") as journal:
        journal.write(b'{"kind":"received","account":"water","batch":"b99","rows":[{"ite')
    sandbox.start()

    again = [billing.deliver(one).answers[0].reference for one in batches]

    assert again[: len(answered)] == answered
    assert sandbox.effects() == {f"key-{number}": 1 for number in range(2000)}
    assert doubles(sandbox.journal) == {}


def test_a_journal_damaged_in_the_middle_is_not_taken_for_a_crash(sandbox: Sandbox) -> None:
    for number in range(3):
        target(sandbox).deliver(batch(f"b{number}", item(number)))
    sandbox.stop()
    content = sandbox.journal.read_bytes()
    sandbox.journal.write_bytes(content.replace(b'"key-1"', b"key-1", 1))

    with pytest.raises(AssertionError, match="damaged after byte"):
        sandbox.start()
    assert len(sandbox.journal.read_bytes()) == len(content) - 2


def test_two_sandboxes_do_not_share_a_journal(idle: Sandbox) -> None:
    config = idle.folder / "sandbox.toml"
    second = subprocess.run(
        [sys.executable, "-c", START, str(config)], capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2]
    )

    assert second.returncode == 1
    assert "another sandbox keeps this journal" in second.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_when_asked_also_while_it_stalls(sandbox: Sandbox, number: int) -> None:
    sandbox.control("stall", seconds=60, times=1)
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(target(sandbox).deliver, batch("b1"))
        until(lambda: httpx.get(f"{sandbox.url}/control", headers={"Authorization": f"Bearer {CONTROL}"}, verify=PLAIN).json() == [])

        assert sandbox.stop(number) == 0
        assert isinstance(waiting.exception(), Unavailable)


def settling(url: str) -> tuple[dict[str, Any], ...]:
    return ({"name": "water", "token": TOKEN, "settle_url": url, "settle_key": "settle-secret"},)


def test_what_was_taken_is_calculated_and_then_billed(tmp_path: Path) -> None:
    with Listener() as listener, running_sandbox(tmp_path, accounts=settling(listener.url), price="4.5") as sandbox:
        (answer,) = target(sandbox).deliver(batch("b1", item(1))).answers
        until(lambda: len(listener.settlements) == 2)
        heads, _ = listener.posts[0]

        calculated, billed = listener.settlements

    assert heads["authorization"] == "Bearer settle-secret"
    assert calculated.pop("at") <= billed.pop("at")
    assert calculated == {
        "agreement": "A-100",
        "period": "2025-10",
        "quantity": "A+",
        "volume": "120.5",
        "unit": "kWh",
        "stage": "calculated",
        "version": 1,
        "point": "P-1",
        "meter": "00000001",
        "method": "meter",
        "reference": answer.reference,
        "readings": ["key-1"],
    }
    assert billed == calculated | {"stage": "billed", "amount": "542.25"}


def test_a_correction_is_the_next_version_also_after_a_restart(tmp_path: Path) -> None:
    with Listener() as listener, running_sandbox(tmp_path, accounts=settling(listener.url)) as sandbox:
        target(sandbox).deliver(batch("b1", item(1)))
        target(sandbox).deliver(batch("b2", item(1, key="again", revision=2, consumption="100")))
        sandbox.kill()
        sandbox.start()
        target(sandbox).deliver(batch("b3", item(1, key="thrice", revision=3, consumption="90")))

        def billed() -> list[tuple[int, str]]:
            return [(one["version"], one["volume"]) for one in listener.settlements if one["stage"] == "billed"]

        until(lambda: set(billed()) == {(1, "120.5"), (2, "100"), (3, "90")})


def test_refused_rows_are_never_settled(tmp_path: Path) -> None:
    with Listener() as listener, running_sandbox(tmp_path, accounts=settling(listener.url)) as sandbox:
        target(sandbox).deliver(batch("b1", item(1, consumption="-1"), item(2)))
        until(lambda: len(listener.settlements) == 2)

        assert {one["readings"][0] for one in listener.settlements} == {"key-2"}


def test_settlements_are_repeated_until_taken_in_calls_of_500(tmp_path: Path) -> None:
    with Listener([500, 302, 404]) as listener, running_sandbox(tmp_path, accounts=settling(listener.url)) as sandbox:
        target(sandbox).deliver(Batch(id="b1", items=tuple(item(number) for number in range(700))))
        until(lambda: len(listener.settlements) == 1400)
        calls = [len(body["settlements"]) for _, body in listener.posts]

    assert calls[:4] == [500] * 4
    assert sorted(calls[3:]) == [200, 200, 500, 500]


def test_settlements_survive_a_kill_and_find_a_listener_that_was_away(tmp_path: Path) -> None:
    away = refused_url()
    with running_sandbox(tmp_path, accounts=settling(f"{away}/v1/settlements")) as sandbox:
        target(sandbox).deliver(batch("b1"))
        sandbox.kill()
        sandbox.start()
        with Listener(port=int(away.rpartition(":")[2])) as listener:
            until(lambda: len(listener.settlements) == 6)
            sandbox.stop()
            sandbox.start()
            target(sandbox).deliver(batch("b2", item(9)))
            until(lambda: {one["readings"][0] for one in listener.settlements if one["stage"] == "billed"} >= {"key-0", "key-9"})

            told = [(one["readings"][0], one["stage"]) for one in listener.settlements]

    assert len(told) == len(set(told)) == 8
    assert "settle-secret" not in sandbox.log


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "batch_malformed"),
        (b"[" * 100_000, "batch_malformed"),
        (b'{"batch":"b1","items":[\xff]}', "batch_malformed"),
        ({"batch": "b1", "items": []}, "batch_malformed"),
        ({"batch": "b1", "items": [row(at="2025-10-25T12:00:00")]}, "batch_malformed"),
        *(
            ({"batch": "b1", "items": [row(values=[{"register": "A+", "unit": "", "value": number}])]}, "batch_malformed")
            for number in ("NaN", "1_000", "1E+9", "1,5", "١", "12\n", "", 12.5)
        ),
        ({"batch": "b2", "items": [row()]}, "idempotency_key_is_not_the_batch"),
        ({"batch": "b1", "items": [row(), row(meter="2")]}, "key_twice_in_a_batch"),
    ],
)
def test_a_malformed_call_is_turned_away_whole_with_a_reason(idle: Sandbox, body: Any, reason: str) -> None:
    answer = post(idle, body)

    assert answer.status_code == 400
    assert answer.json()["reason"].startswith(reason)


def test_reasons_of_its_own_are_told_row_by_row(sandbox: Sandbox) -> None:
    answer = post(sandbox, {"batch": "b1", "items": [row(key="a", agreement=""), row(key="b", values=[]), row(key="c")]})

    assert [one.get("reason", "taken") for one in answer.json()["results"]] == ["agreement_missing", "no_values", "taken"]


def test_a_refusal_is_remembered_like_an_effect(sandbox: Sandbox) -> None:
    sandbox.control("refuse_all", reason="closed", times=1)

    first = target(sandbox).deliver(batch("b1", item(1))).answers

    assert (first[0].outcome, first[0].reason) == (Outcome.REFUSED, "closed")
    assert target(sandbox).deliver(batch("b1", item(1))).answers == first


def test_a_key_can_be_asked_for_by_its_account_only(tmp_path: Path) -> None:
    accounts: list[dict[str, Any]] = [{"name": "water", "token": TOKEN, "refuse_meters": ["00000002"]}, {"name": "heat", "token": "other"}]
    with running_sandbox(tmp_path, accounts=accounts) as sandbox:

        def held(token: str, key: str = "key-1") -> httpx.Response:
            return httpx.get(f"{sandbox.url}/readings/{key}", headers={"Authorization": f"Bearer {token}"}, verify=PLAIN)

        assert held(TOKEN).status_code == 404
        target(sandbox).deliver(batch("b1", item(1), item(2)))

        assert held(TOKEN).json() == {"key": "key-1", "outcome": "taken", "reference": "BILL-000001"}
        assert held(TOKEN, "key-2").json() == {"key": "key-2", "outcome": "refused", "reason": "meter_refused"}
        assert (held("other").status_code, held("wrong").status_code) == (404, 401)
        post(sandbox, {"batch": "b1", "items": [row(key="key-1")]}, token="other")
        assert held("other").json()["reference"] == "BILL-000002"
        assert [entry.item.key for entry in sandbox.rows("heat")] == ["key-1"]


@pytest.mark.parametrize("path", ["/control", "/journal"])
@pytest.mark.parametrize("token", ["", TOKEN, "wrong"])
def test_orders_and_journal_want_the_control_token(idle: Sandbox, path: str, token: str) -> None:
    assert httpx.get(f"{idle.url}{path}", headers={"Authorization": f"Bearer {token}".strip()}, verify=PLAIN).status_code == 401


def test_without_a_control_token_nobody_steers(tmp_path: Path) -> None:
    with running_sandbox(tmp_path, control_token="") as sandbox:
        assert httpx.post(f"{sandbox.url}/control", json={"do": "up"}, headers={"Authorization": "Bearer"}, verify=PLAIN).status_code == 401
        assert httpx.get(f"{sandbox.url}/journal", verify=PLAIN).status_code == 401


def test_the_journal_can_be_asked_for(sandbox: Sandbox) -> None:
    target(sandbox).deliver(batch("b1", item(1)))

    answer = httpx.get(f"{sandbox.url}/journal", params={"account": "water"}, headers={"Authorization": f"Bearer {CONTROL}"}, verify=PLAIN)

    (found,) = answer.json()["rows"]
    assert (found["key"], found["meter"], found["outcome"], found["version"]) == ("key-1", "00000001", "taken", 1)


def test_orders_hold_for_their_calls_and_their_account_and_up_ends_them(sandbox: Sandbox) -> None:
    sandbox.control("fail", status=500, times=2)
    sandbox.control("down", account="heat")

    assert [post(sandbox, {"batch": "b1", "items": [row()]}).status_code for _ in range(3)] == [500, 500, 200]
    assert [order["do"] for order in sandbox.control("stall", seconds=9)] == ["down", "stall"]
    assert [order["do"] for order in sandbox.control("up", account="heat")] == ["stall"]
    assert sandbox.control("up") == []


@pytest.mark.parametrize("order", [{"do": "dance"}, {"do": "fail", "status": 200}, {"do": "fail", "tmes": 1}, {}])
def test_an_order_nobody_knows_is_refused(idle: Sandbox, order: dict[str, Any]) -> None:
    answer = httpx.post(f"{idle.url}/control", json=order, headers={"Authorization": f"Bearer {CONTROL}"}, verify=PLAIN)

    assert answer.status_code == 400


def refuse(make: Callable[[], object]) -> str:
    with pytest.raises(SandboxFailed) as refused:
        make()
    return str(refused.value)


def test_settings_come_from_file_and_command_line_and_secrets_from_beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_text("from-file\n", "utf-8")
    monkeypatch.setenv("SETTLE_KEY", "from-variable")
    config = tmp_path / "sandbox.toml"
    config.write_text(f'port = 1\n[[accounts]]\nname = "a"\ntoken = "@{tmp_path}/secret"\nsettle_key = "$SETTLE_KEY"\n', "utf-8")

    settings = load(config, ["b:t:http://host:80/v1/settlements:k"], {"port": 2, "host": None})

    assert (settings.port, settings.host) == (2, "127.0.0.1")
    assert [(one.token, one.settle_key) for one in settings.accounts] == [("from-file", "from-variable"), ("t", "k")]
    assert settings.accounts[1].settle_url == "http://host:80/v1/settlements"
    assert "from-" not in repr(settings)


def test_wrong_settings_are_named_without_secrets(tmp_path: Path) -> None:
    config = tmp_path / "sandbox.toml"
    config.write_text('[[accounts]]\nname = "a"\ntoken = "s3cret"\nsettle_urn = "x"\n', "utf-8")

    said = [
        refuse(lambda: load(config, [], {})),
        refuse(lambda: load(tmp_path / "none.toml", [], {})),
        refuse(lambda: load(None, ["a:s3cret:http://x"], {})),
        refuse(lambda: load(None, ["a:s3cret", "b:s3cret"], {})),
        refuse(lambda: account("a:$UNSET_VARIABLE:ftp://x:k")),
    ]

    assert "settle_urn" in said[0]
    assert "s3cret" not in "".join(said)


def test_a_port_in_use_is_said(idle: Sandbox, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(AssertionError, match="in use"):
        Sandbox(other, int(idle.url.rpartition(":")[2]), idle.accounts, {}).start()


def test_a_connection_is_kept_between_calls(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []
    connect = socket.create_connection

    def count(*where: Any, **how: Any) -> socket.socket:
        made.append(where)
        return connect(*where, **how)

    monkeypatch.setattr(socket, "create_connection", count)
    billing = target(sandbox)

    for number in range(5):
        billing.deliver(batch(f"b{number}", item(number)))

    assert len(made) == 1
