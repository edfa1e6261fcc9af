"""What the two pages for partners show is true: their examples are sent to a real sandbox."""

import re
from pathlib import Path

import httpx
import msgspec

from gateway.domain.settlement import Settlement
from gateway.outbound import Batch, Item
from gateway.outbound.wire import body
from gateway.sandbox.config import load
from gateway.sandbox.steering import Do, Order
from tests.peers import PLAIN, TOKEN, Sandbox

PAGES = Path(__file__).parents[2] / "contracts_schema"


def blocks(page: str, kind: str = "") -> list[str]:
    """The fenced blocks of a kind, in order."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", (PAGES / page).read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return [text for name, text in found if name == kind]


def test_the_call_on_the_page_gets_the_answer_on_the_page(sandbox: Sandbox) -> None:
    call, answer = (msgspec.json.decode(block) for block in blocks("http_json.md", "json"))

    told = httpx.post(
        f"{sandbox.url}/readings", json=call, headers={"Authorization": f"Bearer {TOKEN}", "Idempotency-Key": call["batch"]}, verify=PLAIN
    )

    assert told.json() == answer


def test_the_call_on_the_page_is_what_our_targets_send() -> None:
    call = msgspec.json.decode(blocks("http_json.md", "json")[0])
    batch = Batch(id=call["batch"], items=msgspec.convert(call["items"], tuple[Item, ...]))

    assert msgspec.json.decode(body(batch.id, batch.items)) == call


def test_the_settlement_on_the_page_is_one_of_ours() -> None:
    (page,) = (msgspec.json.decode(block) for block in blocks("sandbox.md", "json"))
    (settlement,) = msgspec.convert(page["settlements"], list[Settlement])

    assert msgspec.json.decode(msgspec.json.encode(settlement)) == page["settlements"][0]


def test_the_settings_on_the_page_can_be_loaded(tmp_path: Path) -> None:
    (config,) = blocks("sandbox.md", "toml")
    (tmp_path / "sandbox.toml").write_text(config, "utf-8")

    assert load(tmp_path / "sandbox.toml", [], {}).accounts[0].refuse_meters == ("00000013",)


def test_every_order_is_on_the_page() -> None:
    lines = [line for block in blocks("sandbox.md") for line in block.splitlines() if line.startswith('{"do"')]

    assert {msgspec.json.decode(line[: line.index("}") + 1], type=Order).do for line in lines} == set(Do)
