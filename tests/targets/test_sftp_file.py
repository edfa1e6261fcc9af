"""The file target against a real OpenSSH server: what is put into the inbox, what is read back, and what every fault comes to."""

import logging
import os
import socket
import subprocess
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from gateway.domain.problems import Misconfigured, Unavailable
from gateway.outbound import Answer, Batch, Item, Outcome, Target
from gateway.outbound.sftp_file import SftpFile
from gateway.registry import build
from tests.conftest import case
from tests.sshd import Sshd, running_sshd
from tests.targets.conftest import batch, item, two
from tests.targets.test_mapped_file import mapped

PENDING, UNKNOWN, TAKEN, REFUSED = Outcome.PENDING, Outcome.UNKNOWN, Outcome.TAKEN, Outcome.REFUSED


@pytest.fixture(scope="module")
def lasting_sshd() -> Iterator[Sshd]:
    with running_sshd() as running:
        running.make("in")
        running.make("acks")
        yield running


@pytest.fixture
def sshd(lasting_sshd: Sshd) -> Sshd:
    """A server with empty folders."""
    for file in lasting_sshd.folder.glob("*/*"):
        file.unlink()
    return lasting_sshd


@pytest.fixture(scope="module")
def cutting() -> Iterator[Sshd]:
    """A server whose sessions can be cut."""
    with running_sshd(jailed=False) as running:
        running.make("in")
        running.make("acks")
        yield running


def settings(sshd: Sshd, **more: Any) -> dict[str, Any]:
    return {
        "kind": "sftp_file",
        "host": sshd.host,
        "port": sshd.port,
        "user": sshd.user,
        "key_file": sshd.key_file,
        "host_key": sshd.host_key,
        "folder": sshd.path("in"),
        "acks": sshd.path("acks"),
        "timeout": 20.0,
    } | more


def target(sshd: Sshd, **more: Any) -> Target:
    return build(Target, settings(sshd, **more))


def inbox(sshd: Sshd) -> list[str]:
    return sorted(file.name for file in (sshd.folder / "in").iterdir())


def acknowledge(sshd: Sshd, name: str, *rows: str, control: str = "") -> Path:
    """Put an acknowledgement into the folder, with a right control row unless another is given."""
    taken = sum(row.split(";")[1:2] == ["OK"] for row in rows)
    file = sshd.folder / "acks" / f"{name}.ack.csv"
    file.write_bytes("".join(f"{row}\r\n" for row in [*rows, control or f"={len(rows)};{taken}"]).encode("cp1251"))
    return file


def asked(billing: Target, *items: Item, name: str = "b1") -> list[tuple[Outcome, str, str]]:
    answers = billing.ask(Batch(id="asking", items=items), {one.key: name for one in items}).answers
    assert [answer.key for answer in answers] == [one.key for one in items]
    return [(answer.outcome, answer.reference, answer.reason) for answer in answers]


RUSSIAN = {"Ключ": "key", "Договор": "agreement", "Счетчик": "meter", "Дата": "at", "Регистр": "register", "Показание": "value"}


def test_the_file_in_the_inbox_byte_for_byte(sshd: Sshd) -> None:
    billing = target(sshd, columns=RUSSIAN, codes={"A+:day": "1.8.1", "A+:night": "1.8.2"})

    answers = billing.deliver(batch("b1", two("rdg_1", "ЛС-17"), item(2))).answers

    assert answers == (Answer(key="rdg_1", outcome=PENDING), Answer(key="key-2", outcome=PENDING))
    assert inbox(sshd) == ["b1.csv"]
    assert (sshd.folder / "in" / "b1.csv").read_bytes() == (
        "Ключ;Договор;Счетчик;Дата;Регистр;Показание\r\n"
        "rdg_1;ЛС-17;№ 7-ж;2025-10-25T12:00:00+00:00;1.8.1;10,5\r\n"
        "rdg_1;ЛС-17;№ 7-ж;2025-10-25T12:00:00+00:00;1.8.2;-0,25\r\n"
        "key-2;A-100;00000002;2025-10-25T12:00:00+00:00;A+;1843,7\r\n"
        "=3;1853,95\r\n"
    ).encode("cp1251")


def test_a_mapping_writes_the_file_and_one_word_answers_a_reading(sshd: Sshd, tmp_path: Path) -> None:
    billing, good = target(sshd, name="{batch}.txt", **mapped(tmp_path)), two("rdg_1", "ЛС-17")
    billing.deliver(batch("b1", good))
    assert (sshd.folder / "in" / "b1.txt").read_bytes().startswith("Ключ;ЛС;ПУ".encode("cp866"))
    acknowledge(sshd, "b1", "rdg_1;OK;№ 5;")
    assert asked(billing, good) == [(Outcome.TAKEN, "№ 5", "")]


def test_every_field_has_its_column_and_every_setting_of_the_layout_its_effect(sshd: Sshd) -> None:
    target(sshd, name="readings_{batch}.txt").deliver(batch("b1", item(1)))
    target(sshd, header=False, control=False, delimiter="|", decimal=".", encoding="utf-8").deliver(batch("b2", two("k")))

    assert (sshd.folder / "in" / "readings_b1.txt").read_text("cp1251").split() == [
        "key;agreement;point;meter;period;at;revision;register;value;unit;previous;consumption;quality;volume",
        "key-1;A-100;P-1;00000001;2025-10;2025-10-25T12:00:00+00:00;1;A+;1843,7;kWh;1723,2;120,5;valid;0",
        "=1;1843,7",
    ]
    assert (sshd.folder / "in" / "b2.csv").read_bytes().decode("utf-8").splitlines()[0] == (
        "k|A-100||№ 7-ж|2025-10|2025-10-25T12:00:00+00:00|0|A+:day|10.5|kWh|||valid|0"
    )


def test_39_of_40_are_taken_and_one_is_refused_with_its_reason(sshd: Sshd) -> None:
    items = [item(number) for number in range(40)]
    billing = target(sshd)
    billing.deliver(Batch(id="b1", items=tuple(items)))
    (sshd.folder / "in" / "b1.csv").unlink()
    rows = [f"key-{number};OK;№ {number};" for number in range(40)]
    rows[17] = "key-17;ERROR;;счетчик снят; акт 12"
    acknowledge(sshd, "b1", *rows)

    receipt = billing.ask(Batch(id="b2", items=tuple(items)), {one.key: "b1" for one in items})

    taken = [answer for answer in receipt.answers if answer.outcome is TAKEN]
    assert [answer.reference for answer in taken] == [f"№ {number}" for number in range(40) if number != 17]
    assert receipt.answers[17] == Answer(key="key-17", outcome=REFUSED, reason="счетчик снят; акт 12")
    assert "счетчик снят; акт 12" in receipt.raw.decode()


def test_a_lying_acknowledgement_is_not_believed_and_said_once(sshd: Sshd, caplog: pytest.LogCaptureFixture) -> None:
    acknowledge(sshd, "b1", "key-1;OK;1;", control="=2;2")
    billing = target(sshd)

    with caplog.at_level(logging.WARNING, "metergate"):
        assert [asked(billing, item(1)), asked(billing, item(1))] == [[(PENDING, "", "")]] * 2

    assert [record.message for record in caplog.records if record.name == "metergate"] == ["target.acknowledgement_not_believed"]
    acknowledge(sshd, "b1", "key-1;OK;1;")
    assert asked(billing, item(1)) == [(TAKEN, "1", "")]


def test_a_file_refused_whole_is_refused_item_by_item(sshd: Sshd) -> None:
    acknowledge(sshd, "b1", "b1.csv;ERROR;;control row differs")

    assert asked(target(sshd), item(1), two("k")) == [(REFUSED, "", "control row differs")] * 2


def test_an_acknowledgement_without_its_header_or_last_line_end_and_in_billings_own_words(sshd: Sshd) -> None:
    billing = target(sshd, words={"принято": "taken", "отказ": "refused", "в работе": "pending"}, ack="{name}_kvit.txt", columns=RUSSIAN)
    rows = "Ключ;Статус\nkey-1;Принято\nkey-2;отказ;;нет\nkey-3;В РАБОТЕ\n=3;1"
    (sshd.folder / "acks" / "b1_kvit.txt").write_bytes(rows.encode("cp1251"))

    assert asked(billing, item(1), item(2), item(3)) == [(TAKEN, "", ""), (REFUSED, "", "нет"), (PENDING, "", "")]


def test_an_acknowledgement_is_read_again_only_when_it_changed(sshd: Sshd) -> None:
    billing = target(sshd)
    file = acknowledge(sshd, "b1", "key-1;OK;1;")
    stamp = file.stat().st_mtime
    assert asked(billing, item(1)) == [(TAKEN, "1", "")]

    acknowledge(sshd, "b1", "key-1;OK;2;")
    os.utime(file, (stamp, stamp))
    assert asked(billing, item(1)) == [(TAKEN, "1", "")]
    assert asked(target(sshd), item(1)) == [(TAKEN, "2", "")]

    os.utime(file, (stamp + 5, stamp + 5))
    assert asked(billing, item(1)) == [(TAKEN, "2", "")]


def test_an_acknowledgement_of_any_length_is_not_read(sshd: Sshd) -> None:
    acknowledge(sshd, "b1", *(f"key-{number};OK;1;" for number in range(100)))

    assert asked(target(sshd, ack_bytes=1000), item(1)) == [(PENDING, "", "")]


def test_what_lies_in_the_inbox_or_was_taken_from_it_is_pending(sshd: Sshd) -> None:
    billing = target(sshd)
    billing.deliver(batch("b1", item(1)))
    assert asked(billing, item(1)) == [(PENDING, "", "")]

    (sshd.folder / "in" / "b1.csv").unlink()
    assert asked(billing, item(1)) == [(PENDING, "", "")]
    assert billing.ask(batch("b2", item(9)), {}).answers == ()


def test_a_part_that_a_killed_upload_left_is_taken_away_and_its_items_are_unknown(sshd: Sshd) -> None:
    (sshd.folder / "in" / "b1.csv.part").write_bytes(b"key;")
    (sshd.folder / "in" / "b2.csv.part").write_bytes(b"key;")
    (sshd.folder / "in" / "b2.csv").write_bytes(b"key;")
    billing = target(sshd)

    told = billing.ask(Batch(id="b3", items=(item(1), item(2))), {"key-1": "b1", "key-2": "b2"}).answers

    assert [answer.outcome for answer in told] == [UNKNOWN, PENDING]
    assert inbox(sshd) == ["b2.csv", "b2.csv.part"]
    assert asked(billing, item(1)) == [(PENDING, "", "")]


@pytest.mark.parametrize(
    ("request_", "when", "sent", "left", "told"),
    [
        ("write", "before", False, ["b1.csv.part"], UNKNOWN),
        ("rename", "before", True, ["b1.csv.part"], UNKNOWN),
        ("rename", "after", True, ["b1.csv"], PENDING),
        ("rename", "never", True, ["b1.csv.part"], UNKNOWN),
    ],
)
def test_a_session_cut_at_any_point_is_asked_about_and_nothing_doubled(
    cutting: Sshd, *, request_: str, when: str, sent: bool, left: list[str], told: Outcome
) -> None:
    for file in (cutting.folder / "in").iterdir():
        file.unlink()
    cutting.cut(request_, when)
    started = monotonic()

    with pytest.raises(Unavailable) as cut:
        target(cutting, timeout=4.0 if when == "never" else 20.0).deliver(batch("b1", item(1)))

    assert (cut.value.sent, inbox(cutting)) == (sent, left)
    assert monotonic() - started < 10.0
    billing = target(cutting)
    assert [outcome for outcome, _, _ in asked(billing, item(1))] == [told]
    if told is UNKNOWN:
        billing.deliver(batch("b2", item(1)))
    assert len(inbox(cutting)) == 1
    assert not inbox(cutting)[0].endswith(".part")


def test_a_part_left_by_a_cut_that_was_before_the_name_is_taken_away_by_the_next_attempt(cutting: Sshd) -> None:
    for file in (cutting.folder / "in").iterdir():
        file.unlink()
    billing = target(cutting)
    cutting.cut("write", "after")
    with pytest.raises(Unavailable):
        billing.deliver(batch("b1", item(1)))

    billing.deliver(batch("b2", item(1)))

    assert inbox(cutting) == ["b2.csv"]


def test_a_full_disk_is_a_matter_of_time_and_nothing_is_handed_over(cutting: Sshd) -> None:
    for file in (cutting.folder / "in").iterdir():
        file.unlink()
    (cutting.folder / "in" / "b1.csv.part").symlink_to("/dev/full")

    with pytest.raises(Unavailable) as full:
        target(cutting).deliver(batch("b1", item(1)))

    assert not full.value.sent
    assert "b1.csv" not in inbox(cutting)


def test_a_server_without_posix_rename_gets_the_plain_one() -> None:
    with running_sshd(denied="posix-rename") as running:
        running.make("in")
        running.make("acks")

        target(running).deliver(batch("b1", item(1)))

        assert inbox(running) == ["b1.csv"]


def test_a_server_that_lets_nobody_rename_is_the_operators() -> None:
    with running_sshd(denied="posix-rename,rename") as running:
        running.make("in")
        running.make("acks")
        billing = target(running)
        if running.jailed:
            with pytest.raises(Misconfigured, match="Permission denied"):
                billing.deliver(batch("b1", item(1)))
            assert inbox(running) == ["b1.csv.part"]


def test_another_host_key_is_the_operators_and_nothing_is_sent() -> None:
    with running_sshd() as running:
        running.make("in")
        running.make("acks")
        billing = target(running)
        running.stop()
        running.new_key("host")
        running.start()

        with pytest.raises(Misconfigured, match="another host key"):
            billing.deliver(batch("b1", item(1)))
        with pytest.raises(Misconfigured, match="another host key"):
            billing.ask(batch("b2", item(1)), {"key-1": "b1"})

        assert inbox(running) == []
        assert "Accepted publickey" not in running.log
        target(running).deliver(batch("b1", item(1)))
        assert inbox(running) == ["b1.csv"]


def test_a_wrong_password_and_a_wrong_key_are_the_operators(sshd: Sshd, tmp_path: Path) -> None:
    wrong = tmp_path / "key"
    subprocess.run(["/usr/bin/ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", str(wrong)], check=True)

    for how in ({"key_file": str(wrong)}, {"key_file": "", "password": "s3cret"}, {"user": "stranger"}):
        with pytest.raises(Misconfigured, match="uthentication") as refused:
            target(sshd, **how).deliver(batch("b1", item(1)))
        assert "s3cret" not in str(refused.value)
    assert inbox(sshd) == []


def test_a_key_behind_a_passphrase(sshd: Sshd, tmp_path: Path) -> None:
    locked = tmp_path / "key"
    locked.write_bytes(Path(sshd.key_file).read_bytes())
    locked.chmod(0o600)
    subprocess.run(["/usr/bin/ssh-keygen", "-q", "-a", "1", "-p", "-P", "", "-N", "pass phrase", "-f", str(locked)], check=True)

    target(sshd, key_file=str(locked), passphrase="pass phrase").deliver(batch("b1", item(1)))

    with pytest.raises(Misconfigured, match="not with this passphrase"):
        target(sshd, key_file=str(locked), passphrase="other")


def test_a_missing_folder_and_a_missing_right_are_the_operators(sshd: Sshd) -> None:
    with pytest.raises(Misconfigured, match="nowhere: No such file"):
        target(sshd, folder=sshd.path("nowhere")).deliver(batch("b1", item(1)))
    with pytest.raises(Misconfigured, match="nowhere: No such file"):
        target(sshd, acks=sshd.path("nowhere")).deliver(batch("b1", item(1)))
    (sshd.folder / "in").chmod(0o555)
    try:
        if sshd.jailed:
            with pytest.raises(Misconfigured, match=r"b1\.csv: Permission denied"):
                target(sshd).deliver(batch("b1", item(1)))
    finally:
        (sshd.folder / "in").chmod(0o755)
    assert inbox(sshd) == []


def test_nobody_there_and_somebody_who_says_nothing_are_matters_of_time(sshd: Sshd, caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1]
        started = monotonic()
        with pytest.raises(Unavailable, match=r"not done within 0\.5 s") as silent:
            target(sshd, port=port, host_key=sshd.host_key.replace(str(sshd.port), str(port)), timeout=0.5).deliver(batch("b1", item(1)))
        assert monotonic() - started < 5.0
    with pytest.raises(Unavailable) as away:
        target(sshd, port=port).deliver(batch("b1", item(1)))

    assert (silent.value.sent, away.value.sent) == (False, False)
    assert caplog.records == []


def test_a_large_batch_is_one_file(sshd: Sshd) -> None:
    n = case(500, 10_000)
    billing = target(sshd)

    billing.deliver(Batch(id="large", items=tuple(item(number) for number in range(n))))

    lines = (sshd.folder / "in" / "large.csv").read_text("cp1251").splitlines()
    assert (len(lines), lines[-1]) == (n + 2, f"={n};{Decimal('1843.7') * n}".replace(".", ","))
    assert isinstance(billing, SftpFile)
    assert billing.guarantee == "B"
