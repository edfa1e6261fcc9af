"""Archives of heat meters by a partner's own document: his words, units, codes and zone."""

from datetime import date
from decimal import Decimal

import pytest

from gateway.domain.problems import Misconfigured, Rejected
from gateway.domain.readings import MeterReading, Step
from gateway.mapping import Envelope, formats
from gateway.mapping.mapped.shipped import names, shipped
from gateway.settings import Limits
from tests.conftest import ROOT
from tests.formats.read_mapped import KYIV, decoded, mapped, rows, wrong

MAKER = """
layout = "archive"
passed = ["avg"]
prefixes = ["канал 1"]
[columns]
meter = ["Вычислитель"]
circuit = ["Канал"]
kind = ["Запись"]
day = ["Метка"]
heat_last = ["W накопл"]
[kinds]
P1D = ["D"]
dial = ["Z"]
[[values]]
register = "heat"
column = ["W"]
unit = "GJ"
[[values]]
register = "M1"
column = ["Расход прямой"]
[[values]]
register = "t1"
column = ["Тпрям"]
"""
HEAD = "Вычислитель;Канал;Запись;Метка;W;Канал 1 расход прямой, кг;Тпрям"


def test_a_makers_words_units_and_kinds_of_row_are_a_document() -> None:
    body = rows(HEAD, "8;1;D;01.10.2026;4,1868;1500;72,5", "8;1;D;02.10.2026;8,3736;500;-1", "avg;;;;6;1;2", "8;1;Z;02.10.2026;4186,8;;")
    [one] = decoded(mapped(MAKER), body)

    assert {(block.register, block.step, block.day): block.values[:2] for block in one.blocks} == {
        ("heat", Step.DAY, date(2026, 10, 1)): (Decimal(1), Decimal(2)),
        ("M1", Step.DAY, date(2026, 10, 1)): (Decimal("1.5"), Decimal("0.5")),
        ("t1", Step.DAY, date(2026, 10, 1)): (Decimal("72.5"), Decimal(-1)),
    }
    assert [(reading.register, reading.value) for reading in one.readings] == [("heat", Decimal("1000.0"))]
    assert wrong(mapped(MAKER), rows(HEAD, "8;1;сутки;01.10.2026;1;1;1")) == [("archive_kind_unknown", "line 2, column 3")]


def test_a_unit_in_the_header_outranks_the_documents() -> None:
    [one] = decoded(mapped(MAKER), rows(HEAD.replace("W;", "W, Гкал;"), "8;1;D;01.10.2026;4;1;1"))
    assert one.blocks[0].values[0] == Decimal(4)


def test_a_partners_codes_zone_and_what_is_applied_hold_here_too() -> None:
    document = MAKER.replace('layout = "archive"', 'layout = "archive"\nzone_name = "Asia/Irkutsk"') + "[applied]\nlosses = true\n"
    body = rows(HEAD, "В-8;1;D;01.10.2026;1;1;1", "В-9;1;D;01.10.2026;1;1;1")
    known, strange = decoded(mapped(document, "code;meter;agreement\nв-8;0071;А-1\n", only=True), body, Envelope(zone="Europe/Kyiv"))

    assert (known.meter, known.agreement, known.problems) == ("0071", "А-1", ())
    assert all(block.losses_applied and not block.ratio_applied for block in known.blocks)
    assert [(problem.code, problem.where) for problem in strange.problems] == [("crosswalk_unknown", "line 3, column 1")]


def test_a_file_that_nobody_names_is_known_by_the_documents_words() -> None:
    body = rows(HEAD, "8;1;D;01.10.2026;1;1;1")
    assert mapped(MAKER).sniff(body, "x.csv")
    assert not any(format_.sniff(body, "x.csv") for format_ in formats(Limits()).values())
    with pytest.raises(Rejected) as refused:
        decoded(mapped(MAKER), rows("Прибор;Дата;Q", "8;01.10.2026;1"))
    assert refused.value.problems[0].code == "header_not_found"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('day = ["Метка"]', "", "day"),
        ('kind = ["Запись"]', 'value = ["Запись"]', "value"),
        ('meter = ["Вычислитель"]', "meter = 1", "words"),
        ('unit = "GJ"', 'unit = "kg"', "kg"),
        ('register = "t1"', 'register = "M1"', "once"),
        ('register = "t1"', 'register = "t1@2"', "once"),
        ('register = "t1"', 'register = "t9"', "t9"),
        ('register = "t1"', 'register = "t1"\nvolume = true', "once"),
        ("passed =", 'register = "heat"\npassed =', "register"),
        ('layout = "archive"', 'layout = "register"', "archive"),
    ],
)
def test_a_document_that_contradicts_itself_is_refused(old: str, new: str, said: str) -> None:
    with pytest.raises(Misconfigured, match=said):
        mapped(MAKER.replace(old, new))


def test_every_shipped_document_is_a_kind_of_file_of_its_name() -> None:
    known = formats(Limits())
    assert names() == ("heat_archive", "integral_workbook", "readings_register")
    assert all(shipped(name).name == name and name in known for name in names())


def test_every_kind_of_file_has_a_page() -> None:
    pages = {page.stem for page in (ROOT / "contracts_schema/formats").glob("*.md")}
    assert formats(Limits()).keys() <= pages


def test_the_example_of_the_register_is_read_as_its_page_says() -> None:
    page = (ROOT / "contracts_schema/formats/readings_register.md").read_text("utf-8")
    example = page.partition("```csv\n")[2].partition("```")[0]
    register = formats(Limits())["readings_register"]
    assert register.sniff(example.encode("cp1251"), "")
    found = [one for one in register.decode(example.encode("cp1251"), KYIV) if isinstance(one, MeterReading)]
    assert [(one.agreement, one.meter, one.period) for one in found] == [("0012345", "Щ-17", "2026-10"), ("0012346", "0071", "2026-10")]
    assert [(reading.register, str(reading.value)) for one in found for reading in one.readings] == [
        ("volume", "103.25"),
        ("A+:day", "4210"),
        ("A+:night", "1805.5"),
    ]
