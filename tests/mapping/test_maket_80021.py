"""The maket 80021 as it is written and read, and which figure stands for what."""

from collections.abc import Sequence
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.problems import Rejected
from gateway.inbound.drop import names
from gateway.mapping.maket_80021 import Reply, Status, read, status_of, write
from gateway.settings import Limits

FOREIGN = (
    '<?xml version="1.0" encoding="windows-1251"?><message class="80021" version="1" id="13"><email><id/>'
    "<received>20060309125818</received><from>a@b</from><subject>макет</subject></email>"
    '<file zip="0"><name>80020_600004_20060308_38.xml</name><date>20060308</date></file><reply status="{}"/></message>'
)
TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Zs", "Zl", "Zp"), exclude_characters="\ufffe\uffff"), max_size=12
)
WHEN = st.integers(700_000_000, 4_000_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


@given(TEXT, TEXT, st.sampled_from(Status), st.none() | WHEN, st.none() | st.dates(date(1991, 1, 1), date(2099, 1, 1)), st.booleans())
def test_what_is_written_is_read_back(
    id_: str,
    name: str,
    status: Status,
    received: datetime | None,
    day: date | None,
    archive: bool,  # noqa: FBT001 - hypothesis gives it by place
) -> None:
    reply = Reply(id=id_, name=name, status=status, received=received, day=day, archive=archive)
    assert read(write(reply, "UTC"), "UTC", Limits()) == reply


@pytest.mark.parametrize("status", Status)
def test_a_reply_of_others_is_read(status: Status) -> None:
    reply = read(FOREIGN.format(status.value).encode("cp1251"), "Europe/Moscow", Limits())
    assert (reply.id, reply.name, reply.status, reply.day) == ("13", "80020_600004_20060308_38.xml", status, date(2006, 3, 8))
    assert reply.received == datetime(2006, 3, 9, 9, 58, 18, tzinfo=UTC)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (FOREIGN.format("5").encode("cp1251"), "maket_reply_invalid"),
        (FOREIGN.format("").encode("cp1251"), "maket_reply_invalid"),
        (b'<message class="80021"/>', "maket_reply_invalid"),
        (b'<message class="80020"/>', "maket_class_unknown"),
        (b"<reply/>", "maket_class_unknown"),
        (b"<message", "xml_malformed"),
        (b'<!DOCTYPE message><message class="80021"/>', "xml_doctype_forbidden"),
    ],
)
def test_what_is_no_reply_is_refused(body: bytes, code: str) -> None:
    with pytest.raises(Rejected) as refused:
        read(body, "UTC", Limits())
    assert [problem.code for problem in refused.value.problems] == [code]


def test_what_is_not_told_or_no_time_is_left_out() -> None:
    body = b'<message class="80021"><email><received>yesterday</received></email><file/><reply status=" 0 "/></message>'
    assert read(body, "UTC", Limits()) == Reply(id="", name="", status=Status.ACCEPTED)


@pytest.mark.parametrize(
    ("found", "status"),
    [
        ([], Status.ACCEPTED),
        ([("interval_missing", False), ("duplicate_reading", False)], Status.ACCEPTED),
        ([("maket_noncommercial", False), ("interval_flat", False)], Status.NONCOMMERCIAL),
        ([("maket_channel_unknown", False), ("maket_noncommercial", False)], Status.UNKNOWN),
        ([("meter_unknown", True)], Status.UNKNOWN),
        ([("meter_unknown", True), ("not_a_number", True)], Status.FORMAT),
        ([("maket_misplaced", False)], Status.FORMAT),
        ([("window_closed", True)], Status.FORMAT),
        ([("", True)], Status.FORMAT),
        ([("xml_malformed", True), ("meter_unknown", True)], Status.MALFORMED),
    ],
)
def test_the_highest_figure_that_applies(found: Sequence[tuple[str, bool]], status: Status) -> None:
    assert status_of(found) is status


def test_the_name_of_a_reply_is_that_of_its_file() -> None:
    assert names.reply(b"80020_1_2.xml") == b"80021_80020_1_2.xml"
    assert names.reply(b"A.XML") == b"80021_A.xml"
    assert names.reply(b"month.zip") == b"80021_month.zip.xml"
    long = {names.reply(letter * 255) for letter in (b"x", b"y")} | {names.reply("ё".encode() * 127)}
    assert len(long) == 3
    assert all(len(name) <= names.LONGEST and name.decode().startswith("80021_") and name.endswith(b".xml") for name in long)
