"""Tables read by a mapping document: every key of it, and everything that is wrong at once with its place."""

from datetime import date, datetime, time
from decimal import Decimal

import pytest

from gateway.domain.problems import Misconfigured, Rejected
from gateway.domain.units import convert
from gateway.mapping import Envelope
from gateway.settings import Limits
from tests.formats.read_mapped import HOURS, PLAIN, WORDY, blocks, book, decoded, mapped, rows, told, wrong


class TestHeader:
    def test_a_header_over_two_rows_is_read_as_it_looks(self) -> None:
        document = '[columns]\nmeter = ["Счетчик"]\n[[values]]\ncolumn = ["Показания День"]\nregister = "A+:day"\n'
        document += '[[values]]\ncolumn = ["Показания Ночь"]\nregister = "A+:night"\n'
        lines = [["Ведомость"], ["Счетчик", "Показания", None, "Расход"], [None, "День", "Ночь", "День"], ["0071", 1.5, 2, 99]]
        body = book(("Лист1", lines), merged=("A2:A3", "B2:C2"))

        assert told(mapped(document), body) == [("0071", "A+:day", "1.5"), ("0071", "A+:night", "2")]

    def test_a_word_is_told_without_its_unit_case_blanks_and_alike_letters(self) -> None:
        assert told(mapped(PLAIN), rows("CЧЕТЧИК №;показание , кВт·ч", "01;5")) == [("01", "A+", "5")]

    def test_columns_below_their_names_may_be_numbered(self) -> None:
        lines = [["Договор", "Счетчик", "Показание"], [1, 2, 3], ["А-1", "0007", 15]]
        assert told(mapped(PLAIN), book(("Лист1", lines))) == [("0007", "A+", "15")]

    def test_a_header_repeated_on_each_page_is_no_data(self) -> None:
        assert told(mapped(PLAIN), rows("Счетчик;Показание", "1;5", "Счетчик;Показание", "2;6")) == [("1", "A+", "5"), ("2", "A+", "6")]

    def test_a_delimiter_within_a_field_of_a_text_refuses_the_meters_of_its_row(self) -> None:
        lines = ["Адрес;Счетчик;Показание", "ул. Мира; 5;777;10,5", "ул. Мира 6;778;11;", "Итого;;;21,5"]
        assert wrong(mapped(PLAIN), rows(*lines)) == [("csv_structure", "line 2, column 4")]
        assert wrong(mapped(PLAIN), book(("Лист1", [["Счетчик", "Показание"], ["1", 5, "переписан"]]))) == []
        hours = ["7;01.10.2026;0:00;1;5", *(f"7;01.10.2026;{hour}:00;2" for hour in range(1, 24))]
        assert wrong(mapped(HOURS), rows("Счетчик;Дата;Время;Расход", *hours)) == [("csv_structure", "line 2, column 5")]

    def test_columns_without_a_header_go_by_their_numbers(self) -> None:
        document = 'register = "volume"\n[file]\nheader = false\nencoding = "cp866"\ndelimiter = "|"\n[columns]\nmeter = 2\nvalue = 3\n'
        body = rows("Иванов|0012|1,5", "Петров|0013|2", encoding="cp866")

        assert told(mapped(document), body) == [("0012", "volume", "1.5"), ("0013", "volume", "2")]
        assert not mapped(document).sniff(body, "a.txt"), "what has no header must be named"

    @pytest.mark.parametrize(
        ("header", "lacks"),
        [("Счетчик;Дата", ["Показание"]), ("Показание;Дата", ["Счетчик"])],
    )
    def test_what_a_header_lacks_is_named(self, header: str, lacks: list[str]) -> None:
        document = PLAIN + 'day = ["Дата"]\n'
        with pytest.raises(Rejected) as refused:
            decoded(mapped(document), rows(header, "1;2"))
        assert [(one.code, one.values["column"]) for one in refused.value.problems] == [("column_missing", name) for name in lacks]

    def test_a_table_of_something_else_has_no_header(self) -> None:
        assert wrong(mapped(PLAIN), rows("a;b", "1;2")) == [("header_not_found", "line 1, column 1")]

    def test_a_register_told_once_needs_no_column(self) -> None:
        document = 'register = "volume"\n' + WORDY
        assert told(mapped(document), rows("Счетчик;Показание", "1;5")) == [("1", "volume", "5")]
        assert wrong(mapped(WORDY), rows("Счетчик;Показание", "1;5")) == [("column_missing", "line 1, column 1")]

    @pytest.mark.parametrize(
        ("header", "row", "repeats"),
        [
            ("Счетчик;Показание;Показание", "1;10;20", [3]),
            ("Счетчик;Показание;Счетчик;Показание, кВт·ч", "1;10;2;30", [3, 4]),
            ("Счетчик;Показание;Показание", "1;10;10", []),
            ("Счетчик;Показание;Показание", "1;10;", []),
        ],
    )
    def test_a_second_column_of_values_is_never_lost_in_silence(self, header: str, row: str, repeats: list[int]) -> None:
        found = wrong(mapped(PLAIN), rows(header, row, "9;9"))
        assert found == [("column_repeated", f"line 1, column {column}") for column in repeats]

    def test_a_value_whose_own_meter_is_not_named_is_not_given_to_the_one_that_is_told_beside(self) -> None:
        document = '[[values]]\ncolumn = ["ХВС"]\nregister = "volume"\nmeter = ["Прибор ХВС"]\n'
        body = rows("Прибор ХВС;ХВС", "1;5", ";6")
        assert wrong(mapped(document), body, Envelope(zone="Europe/Kyiv", meter="77")) == [("meter_missing", "line 3, column 1")]

    def test_values_may_share_the_column_of_their_meter(self) -> None:
        document = "".join(
            f'[[values]]\ncolumn = ["{column}"]\nregister = "{register}"\nmeter = ["{meter}"]\n'
            for column, register, meter in (("День", "A+:day", "ЭЭ"), ("Ночь", "A+:night", "ЭЭ"), ("Вода", "volume", "ХВС"))
        )
        assert told(mapped(document), rows("ЭЭ;День;Ночь;ХВС;Вода", "1;5;6;2;7")) == [
            ("1", "A+:day", "5"),
            ("1", "A+:night", "6"),
            ("2", "volume", "7"),
        ]


class TestSheets:
    def test_a_sheet_that_the_document_names_is_not_left_out_in_silence(self) -> None:
        body = book(("Январь", [["Счетчик", "Показание"], ["1", 5]]), ("Февраль", [["Счетчик", "Показние"], ["2", 6]]))
        assert wrong(mapped(PLAIN + '[file]\nsheets = ["Январь", "Февраль", "Март"]\n'), body) == [("header_not_found", "Февраль!A1")]

    def test_every_sheet_that_is_shown_and_has_the_header_is_read(self) -> None:
        head = ["Счетчик", "Показание"]
        sheets = (
            ("Январь", [head, ["1", 5]]),
            ("Справка", [["как заполнять"]]),
            ("Февраль", [head, ["2", 6]]),
            ("Старое", [head, ["3", 7]]),
        )
        body = book(*sheets, hidden=["Старое"])

        assert told(mapped(PLAIN), body) == [("1", "A+", "5"), ("2", "A+", "6")]
        assert told(mapped(PLAIN + '[file]\nsheets = ["Старое"]\n'), body) == [("3", "A+", "7")]
        assert mapped(PLAIN).sniff(body, "a.xlsx")

    def test_zones_on_sheets_of_their_own_are_one_reading(self) -> None:
        head = ["Счетчик", "Вид", "Зона", "Показание"]
        body = book(("День", [head, ["1", "ЭЭ", "День", 5]]), ("Ночь", [head, ["1", "ЭЭ", "Ночь", 6]]))

        assert len(decoded(mapped(WORDY), body)) == 1
        assert told(mapped(WORDY), body) == [("1", "A+:day", "5"), ("1", "A+:night", "6")]

    def test_a_sheet_may_be_the_meters(self) -> None:
        document = HOURS.replace('meter = ["Счетчик"]\n', "")
        head = ["Дата", "Время", "Расход"]
        body = book(*((name, [head, [date(2026, 10, 1), time(0), 3], [date(2026, 10, 1), time(1), 4]]) for name in ("0071", "0072")))

        assert {meter for meter, _, _ in blocks(mapped(document), body)} == {"0071", "0072"}


class TestValues:
    @pytest.mark.parametrize(
        ("unit", "register", "written", "read"),
        [
            ("MWh", "A+", "1,25", "1250"),
            ("Wh", "A+", "1500", "1.5"),
            ("Mvarh", "R+", "0.001", "1"),
            ("l", "volume", "1234", "1.234"),
            ("Gcal", "heat", "1.5", "1.5"),
            ("GJ", "heat", "41,868", "10"),
            ("GJ", "heat", "1", "0.238846"),
            ("GJ", "heat", "0,000002", "0"),
        ],
    )
    def test_a_unit_is_converted_exactly_or_to_six_places(self, unit: str, register: str, written: str, read: str) -> None:
        document = PLAIN.replace('"A+"', f'"{register}"\nunit = "{unit}"')
        assert told(mapped(document), rows("Счетчик;Показание", f"1;{written}")) == [("1", register, read)]

    @pytest.mark.parametrize(
        ("keys", "header", "where"),
        [
            ('register = "A+"', "Показание, кВт·ч", ""),
            ('register = "A+"', "Показание, МВт·ч", "line 1, column 2"),
            ('register = "A+"\nunit = "MWh"', "Показание (МВт*ч)", ""),
            ('register = "A+"\nunit = "MWh"', "Показание, кВт·ч", "line 1, column 2"),
            ('register = "volume"', "Показание, л", "line 1, column 2"),
            ('register = "volume"', "Показание, шт", ""),
        ],
    )
    def test_a_unit_that_changed_refuses_the_file(self, keys: str, header: str, where: str) -> None:
        document = PLAIN.replace('register = "A+"', keys)
        assert wrong(mapped(document), rows(f"Счетчик;{header}", "1;5")) == ([("unit_differs", where)] if where else [])

    def test_a_unit_beside_what_rows_say_must_need_no_conversion(self) -> None:
        lines = ("Счетчик;Вид;Показание, МВт·ч", "1;ЭЭ;5")
        assert wrong(mapped(WORDY), rows(*lines)) == [("unit_differs", "line 1, column 3")]
        assert told(mapped('unit = "MWh"\n' + WORDY), rows(*lines)) == [("1", "A+", "5000")]

    def test_a_value_halfway_goes_to_the_even_side(self) -> None:
        halves = [Decimal("4.1868") * Decimal(f"{n}.0000005") for n in (1, 2)]
        assert [convert(half, "GJ", "Gcal") for half in halves] == [Decimal("1.0000005"), Decimal("2.0000005")], (
            "what leaves no rest stays exact"
        )
        assert convert(Decimal(2), "GJ", "Gcal") == Decimal("0.477692")

    def test_each_column_of_values_has_its_register_and_unit(self) -> None:
        document = '[columns]\npoint = ["EIC"]\nperiod = ["Месяц"]\n[[values]]\ncolumn = ["А+"]\nregister = "A+"\nunit = "MWh"\n'
        document += '[[values]]\ncolumn = 4\nregister = "R+"\nvolume = true\n'
        [one] = decoded(mapped(document), rows("EIC;А+, МВт·ч;Месяц;РЭ", "62Z0000000000017;0,5;10.2026;3"))

        assert (one.point, one.period) == ("62Z0000000000017", "2026-10")
        assert [(reading.register, f"{reading.value:f}", reading.volume) for reading in one.readings] == [
            ("A+", "500", False),
            ("R+", "3", True),
        ]

    def test_words_of_a_row_say_its_register(self) -> None:
        body = rows("Счетчик;Вид;Зона;Показание", "1;активная;День;5", "1;ЭЭ;ночь;6", "2;ХВС;;7", "3;ЭЭ;сутки;8")
        assert told(mapped(WORDY), body) == [("1", "A+:day", "5"), ("1", "A+:night", "6"), ("2", "volume", "7"), ("3", "A+", "8")]

    def test_a_zone_alone_is_one_of_the_register_that_is_told(self) -> None:
        document = WORDY.replace('quantity = ["Вид"]\n', "").replace("[columns]", 'register = "A+"\n[columns]')
        assert told(mapped(document), rows("Счетчик;Зона;Показание", "1;Т1;5", "1;Ночь;6")) == [
            ("1", "A+:day", "5"),
            ("1", "A+:night", "6"),
        ]

    def test_a_register_by_its_published_code_or_the_partners(self) -> None:
        document = PLAIN.replace('register = "A+"', "") + 'register = ["Регистр"]\n'
        crosswalk = "code;register\n1-0:1.8.0;A+\n"
        body = rows("Счетчик;Регистр;Показание", "1;1-0:1.8.0;5", "1;A-;6")
        assert told(mapped(document, crosswalk), body) == [("1", "A+", "5"), ("1", "A-", "6")]

    def test_a_reading_carries_what_it_was_before_and_what_is_applied(self) -> None:
        document = PLAIN + 'previous = ["Было"]\nday = ["Дата"]\nagreement = ["Договор"]\nlocation = ["ЭО"]\n[applied]\nratio = true\n'
        body = rows("Договор;ЭО;Счетчик;Было;Показание;Дата", "А-1;17;0005;10,5;12;31.10.2026")
        [one] = decoded(mapped(document), body)
        [reading] = one.readings

        assert (one.agreement, one.location, one.meter, one.where) == ("А-1", "17", "0005", "line 2, column 3")
        assert (reading.previous, reading.ratio_applied, reading.losses_applied, reading.where) == (
            Decimal("10.5"),
            True,
            False,
            "line 2, column 5",
        )
        assert one.at == datetime.fromisoformat("2026-10-31T12:00:00+02:00")
        with pytest.raises(Misconfigured, match="previous"):
            mapped('[columns]\nprevious = 1\n[[values]]\ncolumn = 2\nregister = "A+"\n[[values]]\ncolumn = 3\nregister = "R+"\n')

    @pytest.mark.parametrize(("period_from", "period"), [("told", "2026-11"), ("day", "2026-10"), ("before", "2026-09")])
    def test_the_period_is_told_or_the_days(self, period_from: str, period: str) -> None:
        document = f'period_from = "{period_from}"\n{PLAIN}day = ["Дата"]\n'
        body = rows("Счетчик;Показание;Дата", "1;5;02.10.2026")
        [one] = decoded(mapped(document), body, Envelope(zone="Europe/Kyiv", period="2026-11"))
        assert one.period == period

    @pytest.mark.parametrize(
        ("written", "at"),
        [
            ("31.10.2026", "2026-10-31T12:00:00+02:00"),
            ("31.10.2026 07:00", "2026-10-31T07:00:00+02:00"),
            ("31.10.2026 07:15", "2026-10-31T07:15:00+02:00"),
            ("2026-10-20T10:15:30", "2026-10-20T10:15:00+03:00"),
        ],
    )
    def test_a_reading_may_be_told_to_the_minute(self, written: str, at: str) -> None:
        document = 'period_from = "day"\n' + PLAIN + 'day = ["Дата"]\n'
        [one] = decoded(mapped(document), rows("Счетчик;Показание;Дата", f"1;5;{written}"))
        assert (one.at, one.period, one.problems) == (datetime.fromisoformat(at), "2026-10", ())

        sheet = book(("Лист1", [["Счетчик", "Показание", "Дата"], ["1", 5, datetime.fromisoformat(at).replace(tzinfo=None)]]))
        [one] = decoded(mapped(document), sheet)
        assert (one.at, one.problems) == (datetime.fromisoformat(at), ())

    @pytest.mark.parametrize("written", ["2026-10", "10.2026", "октябрь 2026", "жовтень 2026", "1026", "01.10.2026"])
    def test_a_period_is_written_in_many_ways(self, written: str) -> None:
        [one] = decoded(mapped(PLAIN + 'period = ["Период"]\n'), rows("Счетчик;Показание;Период", f"1;5;{written}"))
        assert one.period == "2026-10"


class TestRows:
    def test_totals_empty_rows_and_rows_without_a_value_are_passed(self) -> None:
        body = rows("Счетчик;Показание", "1;5", ";", "2;", "ИТОГО:;5", "Разом по району;5", "3;6")
        assert told(mapped(PLAIN), body) == [("1", "A+", "5"), ("3", "A+", "6")]
        assert told(mapped('passed = ["3"]\n' + PLAIN), rows("Счетчик;Показание", "1;5", "3;6")) == [("1", "A+", "5")]

    @pytest.mark.parametrize(
        ("row", "code", "written", "counted"),
        [
            ("=2;11", "", "", ""),
            ("= 2 ;11,0", "", "", ""),
            ("=3;11", "control_row_differs", "3", "2"),
            ("=2;12", "control_row_differs", "12", "11"),
            ("=2;x", "not_a_number", "", ""),
            ("3;0", "control_row_missing", "", ""),
        ],
    )
    def test_a_control_row_is_true_or_the_file_is_refused(self, row: str, code: str, written: str, counted: str) -> None:
        format_ = mapped(PLAIN + "[control]\nsums = {value = 2}\n")
        body = rows("Счетчик;Показание", "1;5", "2;6", row)
        if not code:
            assert told(format_, body) == [("1", "A+", "5"), ("2", "A+", "6")]
            return
        with pytest.raises(Rejected) as refused:
            decoded(format_, body)
        [problem] = refused.value.problems
        assert (problem.code, problem.values.get("written", ""), problem.values.get("counted", "")) == (code, written, counted)

    def test_the_cell_that_keeps_a_sum_from_being_true_is_told_with_it(self) -> None:
        format_ = mapped(PLAIN + "[control]\nsums = {value = 2}\n")
        assert wrong(format_, rows("Счетчик;Показание", "1;5", "2;1O", "=2;15")) == [
            ("control_row_differs", "line 4, column 2"),
            ("not_a_number", "line 3, column 2"),
        ]

    def test_a_control_row_may_be_left_out_where_it_is_not_needed(self) -> None:
        format_ = mapped(PLAIN + "[control]\ncount = 0\nneeded = false\nsums = {value = 2}\n")
        assert told(format_, rows("Счетчик;Показание", "1;5")) == [("1", "A+", "5")]
        assert wrong(format_, rows("Счетчик;Показание", "1;5", "=;6")) == [("control_row_differs", "line 3, column 2")]

    def test_a_partners_codes_are_ours_by_the_crosswalk(self) -> None:
        crosswalk = "code;meter;point;agreement\nЩ-7;0071;;А-1\nщ 8;;62Z17;\n"
        body = rows("Счетчик;Показание", "щ-7;5", "Щ 8;6", "Щ-9;7")
        found = decoded(mapped(PLAIN, crosswalk), body)

        assert [(one.meter, one.point, one.agreement) for one in found] == [("0071", "", "А-1"), ("", "62Z17", ""), ("Щ-9", "", "")]
        assert wrong(mapped(PLAIN, crosswalk, only=True), body) == [("crosswalk_unknown", "line 4, column 1")]

    def test_everything_that_is_wrong_is_told_at_once_with_its_place(self) -> None:
        document = WORDY.replace("[columns]", '[columns]\nperiod = ["Период"]\nday = ["Дата"]\nrow_key = ["Ключ"]')
        body = rows(
            "Счетчик;Вид;Зона;Показание;Период;Дата;Ключ",
            "1;ЭЭ;День;1x;2026-10;;a",
            "2;Газ;;5;2026-10;;b",
            "3;ЭЭ;утро;5;2026-10;;c",
            ";ЭЭ;;5;2026-10;;d",
            "5;ЭЭ;;5;октябрь;;e",
            "6;ЭЭ;;5;2026-10;31.13.2026;f",
            "7;ЭЭ;;5;2026-10;;a",
            "8;ЭЭ;;5;2026-10;;h",
            "8;ЭЭ;;6;2026-10;;i",
        )
        assert wrong(mapped(document), body) == [
            ("not_a_number", "line 2, column 4"),
            ("register_unknown", "line 3, column 2"),
            ("register_unknown", "line 4, column 3"),
            ("meter_missing", "line 5, column 1"),
            ("period_invalid", "line 6, column 5"),
            ("moment_invalid", "line 7, column 6"),
            ("row_repeated", "line 8, column 7"),
            ("register_repeated", "line 10, column 4"),
        ]

    def test_cells_that_cannot_be_trusted_refuse_their_meter_alone(self) -> None:
        document = HOURS.replace('layout = "series"', "").replace("[columns]", '[columns]\nperiod = ["Период"]')
        head = ["Счетчик", "Дата", "Время", "Расход", "Период"]
        lines = [
            head,
            ["1", date(2026, 10, 1), time(1), 5, "2026-10"],
            ["2", date(2026, 10, 1), "=A1", 6, "=A1"],
            ["3", date(2026, 10, 1), time(1), 7, "2026-10"],
        ]
        found = decoded(mapped(document), book(("Лист1", lines)))

        assert [[problem.where for problem in one.problems] for one in found] == [[], ["Лист1!C3", "Лист1!E3"], []]

    def test_too_many_problems_refuse_the_file(self) -> None:
        body = rows("Счетчик;Показание", *(f"{n};x" for n in range(10)))
        format_ = mapped(PLAIN)
        limited = type(format_)(mapping=format_.mapping, limits=Limits(file_problems=3))
        assert [code for code, _ in wrong(limited, body)] == ["not_a_number"] * 3 + ["too_many_problems"]
