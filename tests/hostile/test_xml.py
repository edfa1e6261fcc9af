"""Hostile XML at the SOAP door: refused with its code within the time and memory promised, no connection out, never a 5xx of ours."""

import gc
import random
import resource
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from time import monotonic

import httpx
import pytest

from gateway.domain.problems import Rejected
from gateway.inbound.soap.reading import STRANGER
from gateway.mapping.markup import parse_untrusted
from gateway.postgres import Server
from gateway.settings import Limits
from tests.conftest import ROOT, case, fresh_database
from tests.hostile.xml import ENVELOPE, GATE, VALUES, row
from tests.running import Gateway, Utility, running_gateway
from tests.soap import call, codes, envelope, plain, read, status

NEXT = count(200)


class Trap:
    """A listener at the only address the payloads name; whoever connects is counted."""

    def __init__(self) -> None:
        self.visits = 0
        self._door = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._door.getsockname()[1]}"
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while True:
            try:
                connection, _ = self._door.accept()
            except OSError:
                return
            self.visits += 1
            connection.close()

    def close(self) -> None:
        self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()


@pytest.fixture(scope="module")
def trap() -> Iterator[Trap]:
    made = Trap()
    yield made
    made.close()


@pytest.fixture(scope="module")
def gateway(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder: Path = tmp_path_factory.mktemp("hostile_xml")
    for database in fresh_database(server):
        with running_gateway(database.url("owner"), database.url("app"), database.url("worker"), folder) as running:
            yield running


@pytest.fixture(scope="module")
def utility(gateway: Gateway) -> Utility:
    made = gateway.utility("legal_entity")
    made.meters("1")
    return made


@pytest.fixture(autouse=True)
def _nobody_called_out_and_the_next_good_request_is_served(trap: Trap, utility: Utility) -> Iterator[None]:
    yield
    assert trap.visits == 0
    good = call(utility.gateway.url, row(f"{next(NEXT)}").replace("{key}", utility.key).encode(), 12)
    assert (good.status_code, plain(read(good))["Status"]) == (200, ["accepted"])


def filled(made: str | bytes, trap: Trap, key: str = "") -> bytes:
    raw = made.encode("utf-8", "surrogatepass") if isinstance(made, str) else made
    return raw.replace(b"{at}", trap.url.encode()).replace(b"{key}", key.encode())


def sent(utility: Utility, body: bytes, **headers: str) -> tuple[httpx.Response, float]:
    began = monotonic()
    answer = call(utility.gateway.url, body, 12, Content_Type="application/soap+xml", **headers)
    return answer, monotonic() - began


def asked_of_a_stranger(body: bytes, code: str) -> tuple[list[str], int]:
    """The code and the status for one whose key is not in the HTTP header."""
    if len(body) > STRANGER:
        return ["soap_key_wanted"], 400
    return [code], 413 if code == "xml_too_large" else 400


@pytest.mark.parametrize("name", sorted(GATE))
def test_the_gate_refuses_it_whoever_sends(utility: Utility, trap: Trap, name: str) -> None:
    make, code = GATE[name]
    body = filled(make(), trap, "stranger")
    answer, took = sent(utility, body)
    assert (codes(answer), answer.status_code) == asked_of_a_stranger(body, code)
    assert took < 10
    assert len(answer.content) < 3000
    if len(body) > STRANGER:
        answer, took = sent(utility, body, Authorization=f"Bearer {utility.key}")
        assert (codes(answer), answer.status_code) == ([code], 413 if code == "xml_too_large" else 400)
        assert took < 10


@pytest.mark.parametrize("name", sorted(ENVELOPE))
def test_the_envelope_and_the_contract_refuse_it(gateway: Gateway, utility: Utility, trap: Trap, name: str) -> None:
    make, code = ENVELOPE[name]
    answer, took = sent(utility, filled(make(), trap, utility.key), Authorization=f"Bearer {utility.key}")
    assert set(codes(answer)) == {code}
    assert answer.status_code == (500 if code in ("soap_version_mismatch", "soap_not_understood") else 400), "by SOAP 1.2's table"
    assert took < 10
    assert "Receiver" not in answer.text
    assert [one.n for one in gateway.rows("select count(*) as n from submission where channel = 'soap' and total > 1")] == [0]


@pytest.mark.parametrize("name", sorted(VALUES))
def test_a_value_is_read_whole_or_refused(utility: Utility, trap: Trap, name: str) -> None:
    written, code = VALUES[name]
    answer, _ = sent(utility, filled(row(written), trap, utility.key))
    [reading] = plain(read(answer))["Reading"]
    if code:
        assert [problem["Code"] for problem in reading["Problem"]] == [[code]]
        assert len(answer.content) < 3000
    else:
        assert [value["Value"] for value in reading["Value"]] == [["150"]]


@pytest.mark.parametrize("action", ["urn:metergate:soap:1:SubmitReadings", "DropTables", "x" * 100_000 + "é", "{at}"])
def test_a_spoofed_action_never_chooses_the_operation(utility: Utility, action: str) -> None:
    body = envelope(status("sub_1"), key=utility.key)
    answer = call(utility.gateway.url, body, 11, SOAPAction=action[:20_000].encode("ascii", "ignore").decode())
    assert codes(answer) == ["soap_action_mismatch"]


MEASURE = """
import resource, sys
from gateway.domain.problems import Rejected
from gateway.mapping.markup import parse_untrusted
from gateway.settings import Limits
from tests.hostile.xml import GATE
limit = 512 * 1024 * 1024
resource.setrlimit(resource.RLIMIT_AS, (limit * 3 // 2, limit * 3 // 2))  # and what Python maps beside it
for name, (make, code) in GATE.items():
    made = make()
    body = made.encode("utf-8", "surrogatepass") if isinstance(made, str) else made
    try:
        parse_untrusted(body, Limits(), size=Limits().soap_bytes, forbid=("instruction",))
        sys.exit(f"{name}: taken")
    except Rejected as refused:
        if [problem.code for problem in refused.problems] != [code]:
            sys.exit(f"{name}: {refused}")
print(next(int(line.split()[1]) // 1024 for line in open("/proc/self/status") if line.startswith("VmHWM")))  # a fork hands on ru_maxrss
"""


def test_all_of_it_fits_into_the_memory_promised_without_a_network(proof: Callable[[str, int, str], None]) -> None:
    """In a process of its own: with no network at all where the machine allows that, else with the trap alone."""
    unshare = shutil.which("unshare")
    alone = [unshare, "-n"] if unshare and subprocess.run([unshare, "-n", "true"], capture_output=True, check=False).returncode == 0 else []
    done = subprocess.run([*alone, sys.executable, "-c", MEASURE], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(done.stdout) < 512
    proof("hostile XML refused, peak memory of all", len(GATE), f"{done.stdout.strip()} MiB{', no network' if alone else ''}")


def test_random_damage_is_refused_or_read_and_nothing_else(proof: Callable[[str, int, str], None]) -> None:
    chance, good = random.Random(20261126), row("150").encode()  # noqa: S311 - no secret is made of it
    parts = [b"<", b">", b"&", b'"', b"<!DOCTYPE a>", b"<![CDATA[", b"]]>", b"<?x?>", b"\0", b"\xff", b"&#x0;", b"<!--", b"xmlns=''", b"{"]
    size, taken, broken = case(2_000, 100_000), 0, 0
    gc.collect()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(size):
        body = bytearray(good)
        for _ in range(chance.randrange(1, 4)):
            place = chance.randrange(len(body))
            body[place : place + chance.randrange(3)] = chance.choice(parts)
        try:
            parse_untrusted(bytes(body), Limits(), forbid=("instruction",))
            taken += 1
        except Rejected as refused:
            broken += len(refused.problems)
    assert taken + broken == size
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000
    proof("damaged XML at the gate", size, f"{taken} still well-formed, the rest refused with a code")
