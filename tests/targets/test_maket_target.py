"""Makets to a billing over OpenSSH: a day a file, names when all are whole, answers matched by the name of the file, one figure each."""

import logging
import os
import re
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.domain.problems import Misconfigured, Unavailable
from gateway.domain.readings import IntervalBlock, MeterReading, Quality, Step
from gateway.mapping import Envelope, maket_80020, maket_80021
from gateway.mapping.maket_80021 import Reply, Status
from gateway.outbound import Answer, Batch, Item, Outcome, Target, Value
from gateway.outbound.maket_80020 import Maket80020
from gateway.registry import build
from tests.sshd import Sshd, running_sshd
from tests.targets.conftest import batch, item

TAKEN, REFUSED, PENDING, UNKNOWN = Outcome.TAKEN, Outcome.REFUSED, Outcome.PENDING, Outcome.UNKNOWN
ZONE = "Europe/Moscow"
HOURS = ",".join(["0.6"] * 24)


@pytest.fixture(scope="module")
def running() -> Iterator[Sshd]:
    with running_sshd(jailed=False) as server:
        server.make("in")
        server.make("acks")
        yield server


@pytest.fixture
def sshd(running: Sshd) -> Sshd:
    """The server with empty folders."""
    for name in ("in", "acks"):
        for file in (running.folder / name).iterdir():
            file.unlink()
    return running


def settings(sshd: Sshd, **more: Any) -> dict[str, Any]:
    told = {"kind": "maket_80020", "host": sshd.host, "port": sshd.port, "user": sshd.user, "key_file": sshd.key_file}
    told |= {"host_key": sshd.host_key, "folder": sshd.path("in"), "replies": sshd.path("acks"), "zone": ZONE, "timeout": 20.0}
    return told | {"sender_inn": "5001001234", "area_inn": "1300001301", "sender_name": "АО «Сеть»"} | more


def target(sshd: Sshd, **more: Any) -> Target:
    return build(Target, settings(sshd, **more))


def hours(number: int, *days: int, register: str = "A+", written: str = HOURS, **more: Any) -> Item:
    """A reading of intervals of these days of October."""
    blocks = [IntervalBlock(register=register, step=Step.HOUR, day=date(2025, 10, day), written=written, **more) for day in days]
    value = Value(register=register, value=Decimal(1), consumption=Decimal(1), unit="kWh", volume=True, ratio_applied=True)
    return msgspec.structs.replace(item(number), values=(value,), blocks=tuple(blocks))


def inbox(sshd: Sshd) -> list[str]:
    return sorted(file.name for file in (sshd.folder / "in").iterdir())


def name(day: int, number: str = "b1") -> str:
    return f"80020_5001001234_202510{day:02}_{number}.xml"


def reply(sshd: Sshd, file: str, status: Status, *, as_: str = "", number: str = "13") -> Path:
    path = sshd.folder / "acks" / (as_ or f"80021_{file}")
    path.write_bytes(maket_80021.write(Reply(id=number, name=file, status=status), ZONE))
    return path


def asked(billing: Target, *items: Item, batch_: str = "b1") -> list[tuple[Outcome, str, str]]:
    answers = billing.ask(batch("asking", *items), {one.key: batch_ for one in items}).answers
    return [(answer.outcome, answer.reference, answer.reason) for answer in answers]


def test_a_file_a_day_that_is_read_again_and_whole_kwh_with_what_is_left_over_carried_on(sshd: Sshd, tmp_path: Path) -> None:
    (tmp_path / "codes.csv").write_text("code;point\n131150001113003;P-1\n", "utf-8")
    receipt = target(sshd, crosswalk=str(tmp_path / "codes.csv")).deliver(batch("b1", hours(1, 3, 4)))

    assert receipt.answers == (Answer(key="key-1", outcome=PENDING),)
    assert inbox(sshd) == [name(3), name(4)]
    bodies = [(sshd.folder / "in" / file).read_bytes() for file in inbox(sshd)]
    read = [one for body in bodies for one in maket_80020.Maket80020().decode(body, Envelope(zone=ZONE))]
    assert all(isinstance(one, MeterReading) and one.meter == "131150001113003" and not one.problems for one in read)
    values = [value for one in read if isinstance(one, MeterReading) for block in one.blocks for value in block.values if value is not None]
    assert (len(values), sum(values)) == (48, 29)
    assert "<comment>key-1</comment>".encode("cp1251") in bodies[0]
    target(sshd, whole=False).deliver(batch("b2", hours(1, 3)))
    assert b"<value>0.6</value>" in (sshd.folder / "in" / name(3, "b2")).read_bytes()


def test_the_figures_of_its_days_make_the_word_on_a_reading(sshd: Sshd) -> None:
    billing, one = target(sshd), hours(1, 3, 4)
    assert billing.guarantee == "B"
    billing.deliver(batch("b1", one))
    assert asked(billing, one) == [(PENDING, "", "")]
    reply(sshd, name(3), Status.ACCEPTED)
    assert asked(billing, one) == [(PENDING, "", "")]
    reply(sshd, name(4), Status.NONCOMMERCIAL, number="14")
    assert asked(billing, one) == [(TAKEN, "13, 14 noncommercial", "")]
    for status, word in ((Status.UNKNOWN, "points_unknown"), (Status.FORMAT, "format_errors"), (Status.MALFORMED, "not_well_formed")):
        path = reply(sshd, name(4), status)
        os.utime(path, (4e9 + status, 4e9 + status))
        assert asked(billing, one) == [(REFUSED, "", f"80021 {status:d} {word}: {name(4)}")]


def test_an_answer_is_matched_by_the_name_in_it_whatever_it_is_called_and_blanks_may_stand_for_underscores(sshd: Sshd) -> None:
    billing, one = target(sshd), hours(1, 3)
    billing.deliver(batch("b1", one))
    (sshd.folder / "in" / name(3)).unlink()
    reply(sshd, name(3, "another"), Status.UNKNOWN, as_=f"80021_{name(3)}")
    assert asked(billing, one) == [(PENDING, "", "")]
    reply(sshd, name(3).replace("_", " ").upper(), Status.ACCEPTED, as_="80021_77.xml")
    assert asked(billing, one) == [(TAKEN, "13", "")]


def test_what_is_no_answer_is_not_believed_and_said_once(sshd: Sshd, caplog: pytest.LogCaptureFixture) -> None:
    billing, one = target(sshd), hours(1, 3)
    billing.deliver(batch("b1", one))
    acks = sshd.folder / "acks"
    (acks / "80021_half.xml").write_bytes(maket_80021.write(Reply(id="1", name=name(3), status=Status.ACCEPTED), ZONE)[:90])
    (acks / "80021_long.xml").write_bytes(b" " * 70_000)
    (acks / "80021_bomb.xml").write_bytes(b'<!DOCTYPE a [<!ENTITY b "c">]><message class="80021">&b;</message>')
    (acks / "other.xml").write_bytes(b"<a")
    with caplog.at_level(logging.WARNING, "metergate"):
        assert [asked(billing, one), asked(billing, one)] == [[(PENDING, "", "")]] * 2
    assert [record.message for record in caplog.records if record.name == "metergate"] == ["target.acknowledgement_not_believed"] * 3
    reply(sshd, name(3), Status.ACCEPTED, as_="80021_half.xml")
    assert asked(billing, one) == [(TAKEN, "13", "")]


def test_what_a_maket_cannot_say_is_refused_and_the_others_go(sshd: Sshd) -> None:
    without = msgspec.structs.replace(hours(2), blocks=())
    value = hours(3, 3).values[0]
    secondary = msgspec.structs.replace(hours(3, 3), values=(msgspec.structs.replace(value, ratio_applied=False, consumption=Decimal(40)),))
    with_losses = msgspec.structs.replace(hours(4, 3), values=(msgspec.structs.replace(value, losses_applied=True),))
    twice = msgspec.structs.replace(hours(5, 3), point="P-1")
    short, water = hours(6, 3, written="1,2"), hours(7, 3, register="volume")
    negative, flow = hours(9, 3, written="-1" + ",1" * 23), msgspec.structs.replace(hours(10, 3, register="R+"), point="a>b")
    missing = hours(8, 3, written="1" + "," * 23, quality=(Quality.ESTIMATED, *[Quality.MISSING] * 23))

    receipt = target(sshd).deliver(batch("b1", hours(1, 3), without, secondary, with_losses, twice, short, water, negative, flow, missing))

    assert [(one.outcome, one.reason) for one in receipt.answers] == [
        (PENDING, ""),
        (REFUSED, "no_intervals"),
        (REFUSED, "ratio_missing: A+"),
        (REFUSED, "losses_contained: A+"),
        (REFUSED, "point_twice: P-1"),
        (REFUSED, "maket_unwritable: 2025-10-03: 2 values, 24 are wanted"),
        (REFUSED, "register_unwritable: volume"),
        (REFUSED, "maket_unwritable: 2025-10-03: a value below zero"),
        (REFUSED, "maket_unwritable: a>b: a flow has A+ only"),
        (PENDING, ""),
    ]
    text = (sshd.folder / "in" / name(3)).read_bytes()
    assert (text.count(b"<measuringpoint"), text.count(b'status="1"')) == (2, 24)
    assert target(sshd).deliver(batch("b2", without)).answers[0].outcome is REFUSED
    assert inbox(sshd) == [name(3)]


@pytest.mark.parametrize(
    ("request_", "when", "sent", "left", "told"),
    [
        ("open", "before", False, [], None),
        ("write", "before", False, [f"{name(3)}.part", "b1.part"], UNKNOWN),
        ("rename", "before", True, [f"{name(3)}.part", f"{name(4)}.part"], PENDING),
        ("rename", "after", True, [name(3), f"{name(4)}.part"], PENDING),
    ],
)
def test_a_session_cut_at_any_point_hands_over_all_days_or_none(
    sshd: Sshd, *, request_: str, when: str, sent: bool, left: list[str], told: Outcome | None
) -> None:
    one = hours(1, 3, 4)
    sshd.cut(request_, when)
    with pytest.raises(Unavailable) as cut:
        target(sshd).deliver(batch("b1", one))
    assert (cut.value.sent, inbox(sshd)) == (sent, left)

    billing = target(sshd)
    if told is None:
        billing.deliver(batch("b2", one))
        assert inbox(sshd) == [name(3, "b2"), name(4, "b2")]
        return
    assert [outcome for outcome, _, _ in asked(billing, one)] == [told]
    assert inbox(sshd) == ([name(3), name(4)] if told is PENDING else ["b1.part"])
    assert [outcome for outcome, _, _ in asked(billing, one)] == [told]


def test_an_attempt_takes_away_what_one_before_it_left(sshd: Sshd) -> None:
    billing = target(sshd)
    sshd.cut("write", "after")
    with pytest.raises(Unavailable):
        billing.deliver(batch("b1", hours(1, 3)))
    billing.deliver(batch("b2", hours(1, 3)))
    assert inbox(sshd) == [name(3, "b2")]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"folder": ""}, "host, user, folder and replies"),
        ({"password": "x"}, "password, key_file"),
        ({"sender_inn": "АО"}, "sender_inn"),
        ({"area_inn": ""}, "area_inn"),
        ({"reply": "80021.xml"}, "reply"),
        ({"zone": "Mars"}, "zone: 'Mars'"),
        ({"crosswalk": "nowhere.csv"}, "crosswalk: "),
        ({"maket": "80030"}, "maket"),
        ({"host_key": "x"}, "host_key"),
    ],
)
def test_wrong_settings_are_named_at_the_start(sshd: Sshd, wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(Misconfigured, match=said):
        target(sshd, **wrong)


def test_the_settings_on_the_page_work_and_all_of_them_stand_there(sshd: Sshd) -> None:
    page = (Path(__file__).parents[2] / "contracts_schema" / "maket_target.md").read_text("utf-8")
    [example] = re.findall(r"^```toml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    told = msgspec.toml.decode(example)["targets"]["UTILITY"]["billing"]
    assert isinstance(build(Target, told | {"key_file": sshd.key_file}), Maket80020)
    ours = {field for field in Maket80020.__struct_fields__ if not field.startswith("master_")}
    assert ours - told.keys() == {"password", "per_lane"}


def test_a_large_batch_shares_the_files_of_its_days(sshd: Sshd) -> None:
    billing = target(sshd, batch=100)
    assert isinstance(billing, Maket80020)
    billing.deliver(Batch(id="b1", items=tuple(hours(number, 1, 2, 3) for number in range(100))))
    assert inbox(sshd) == [name(1), name(2), name(3)]
    assert (sshd.folder / "in" / name(2)).read_bytes().count(b"<measuringpoint") == 100
