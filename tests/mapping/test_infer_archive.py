"""Archives of heat meters with words of their makers: what is proposed for them, and what that reads."""

from decimal import Decimal

from gateway.domain.mappings import read_mapping
from gateway.domain.readings import MeterReading, Step
from gateway.mapping import Envelope
from gateway.mapping.mapped.infer import Proposal, infer
from gateway.mapping.mapped.table import Mapped
from gateway.settings import Limits
from tests.formats.read_mapped import rows

HEAD = "Зав. номер;Момент;Темп. подачи, °C;Темп. обратки, °C;Масса подачи, т;Масса обратки, т;Энергия, ГДж;Работа, ч;Давл. подачи, кгс/см2"
DAYS = [f"777;0{day}.10.2026;72,{day};45,2;37,7;37,6;4,1868;24;6" for day in range(1, 6)]


def proposed(*lines: str) -> Proposal:
    return infer(rows(*lines), Limits(), "archive.csv", zone="Europe/Kyiv")


def read(proposal: Proposal, *lines: str) -> dict[str, Decimal | None]:
    """The first value of each register of the first meter, by the document as it is written."""
    format_ = Mapped(mapping=read_mapping(proposal.toml().encode()))
    first = next(one for one in format_.decode(rows(*lines), Envelope(zone="Europe/Kyiv")) if isinstance(one, MeterReading))
    assert not first.problems
    return {block.register: block.values[0] for block in first.blocks if block.step is Step.DAY}


def test_each_register_is_told_by_its_unit_and_pipe() -> None:
    found = proposed("Архив суточный", HEAD, *DAYS)
    assert found.mapping is not None
    assert (found.kind, found.mapping.layout, found.problems, found.questions, found.unread) == ("mapping", "archive", (), (), ())
    assert read(found, HEAD, *DAYS) == {
        "t1": Decimal("72.1"),
        "t2": Decimal("45.2"),
        "M1": Decimal("37.7"),
        "M2": Decimal("37.6"),
        "heat": Decimal(1),
        "T.normal": Decimal(24),
        "P1": Decimal("0.588399"),
    }


def test_the_unit_in_a_header_is_no_word_of_it() -> None:
    found = proposed(HEAD, *DAYS)
    assert read(found, HEAD.replace("кгс/см2", "МПа"), *DAYS)["P1"] == Decimal(6)


def test_a_table_that_is_read_as_it_is_needs_no_mapping_unless_one_reads_more() -> None:
    known = "Прибор;Дата;Q, Гкал;t1, °C;t2, °C"
    lines = [f"777;0{day}.10.2026;1,5;72;45" for day in range(1, 6)]
    assert proposed(known, *lines) == Proposal("heat_archive", None, container="heat_archive", file_name="archive.csv", rows=3)

    noted = proposed(f"{known};Примечание", *(f"{line};зима" for line in lines))
    assert (noted.kind, noted.unread) == ("heat_archive", ("«Примечание»",))
    assert "Примечание" in noted.toml()

    more = proposed(f"{known};Wтв, Гкал;Объём подающий, м3".replace("Q, Гкал;", ""), *(f"{line};6" for line in lines))
    assert more.kind == "mapping"
    assert read(more, f"{known};Wтв, Гкал;Объём подающий, м3".replace("Q, Гкал;", ""), *(f"{line};6" for line in lines)).keys() == {
        "t1",
        "t2",
        "heat",
        "V1",
    }


def test_what_no_word_decides_is_asked_and_nothing_is_guessed() -> None:
    found = proposed("Прибор;День;Температура, °C;Масса подачи, т;Масса прямая, т;Темп. подачи, °C;Прочее", *["7;01.10.2026;1;2;3;4;5"] * 5)
    assert found.mapping is not None
    assert [value.register for value in found.mapping.values] == ["M1", "t1"]
    assert any("Масса прямая" in question.text for question in found.questions)
    assert {"«Температура, °C»", "«Масса прямая, т» (a second M1)", "«Прочее»"} <= set(found.unread)


def test_a_title_may_say_whose_the_archive_is() -> None:
    head = HEAD.replace("Зав. номер;", "")
    lines = [line.removeprefix("777;") for line in DAYS]
    found = proposed("Суточный архив. Тепловычислитель ВКТ-7 зав.№ 12345", head, *lines)
    assert found.questions == ()
    format_ = Mapped(mapping=read_mapping(found.toml().encode()))
    [one] = format_.decode(rows("Вычислитель заводской номер 12345/7", head, *lines), Envelope(zone="Europe/Kyiv"))
    assert isinstance(one, MeterReading)
    assert one.meter == "12345/7"
