"""The status page over HTTP: what it shows, how it is narrowed, and in which words."""

import io
import re
import uuid
from decimal import Decimal
from html import unescape
from typing import Any

import httpx
import openpyxl
import pytest

from gateway.inbound.web import guard
from gateway.inbound.web.front import PAGE
from gateway.store import trace
from tests.channels.browse import listed, page, shown
from tests.channels.test_intervals_line import electric, register, sheet
from tests.peers import PLAIN
from tests.running import Gateway, Utility

NOBODYS = uuid.UUID("6b081b8d-6dd1-4697-9dbf-a6339f510368")


def workbook(company: Utility, *values: str | int) -> bytes:
    """The integral workbook of agreement A-1 with these values filled in, meter by meter."""
    blank = company.call("GET", "/v1/templates/integral_workbook", params={"agreement": "A-1", "period": company.period})
    book = openpyxl.load_workbook(io.BytesIO(blank.content))
    sheet = book.worksheets[0]
    [place] = [cell for row in sheet.iter_rows() for cell in row if cell.value == "Current reading"]
    for number, value in enumerate(values, start=1):
        sheet.cell(place.row + number, place.column).value = value
    filled = io.BytesIO()
    book.save(filled)
    return filled.getvalue()


@pytest.fixture
def sent(gateway: Gateway, company: Utility) -> dict[str, Any]:
    """A submission of two good readings and a strange meter, as it stands after billing has taken the good ones."""
    made = company.submit(company.body({"1": "150", "2": "1250.5", "99": "1"})).json()
    gateway.work()
    return company.look(made["submission"])


# --- the list


def test_the_list_shows_submissions_of_every_utility_newest_first(gateway: Gateway, company: Utility) -> None:
    other = gateway.utility("contractor_heat")
    gateway.rows("update utility set title = 'Теплосбыт' where id = %(id)s", id=other.id)
    other.meters("7", registers=("heat",))
    first = company.submit(company.body({"1": "150", "99": "1"})).json()["submission"]
    second = other.upload(other.body({"7": "150"}).replace(b'"A+"', b'"heat"'), "архив.json").json()["submission"]
    gateway.work()
    answer = page(gateway, "/")
    assert listed(answer)[:2] == [second, first]
    text = shown(answer)
    for word in (
        "Теплосбыт",
        company.code,
        "portal Через API",
        "архив.json",
        "Обработано частично, 1 из 2",
        "1 из 2",
        "Загружено",
        "UTC+8",
    ):
        assert word in text


def test_the_list_is_paged_by_a_cursor(gateway: Gateway, company: Utility) -> None:
    with company.client() as client:
        made = [client.post("/v1/readings", content=company.body({"1": str(150 + n)})).json()["submission"] for n in range(PAGE + 2)]
    first = page(gateway, f"/?utility={company.code}")
    assert listed(first) == made[: -PAGE - 1 : -1]
    [older] = re.findall(r'<a href="([^"]+)" rel="next"', first.text)
    second = page(gateway, unescape(older))
    assert listed(second) == [made[1], made[0]]
    assert 'rel="next"' not in second.text


def test_the_list_is_narrowed(gateway: Gateway, company: Utility) -> None:
    good = company.submit(company.body({"1": "150"})).json()["submission"]
    bad = company.submit(company.body({"555%_x": "1"})).json()["submission"]
    file = company.upload(company.body({"2": "150"}), "Ноябрь_100%.json").json()["submission"]
    gateway.work()

    def found(**query: str) -> list[str]:
        return listed(page(gateway, "/", params={"utility": company.code} | query))

    assert found() == [file, bad, good]
    assert found(status="rejected") == [bad]
    assert found(channel="api") == [file, bad, good]
    assert found(channel="sftp") == []
    assert found(text="ноябрь") == [file]
    assert found(text="55%_") == [bad]
    assert found(text="%") == [file, bad]
    assert found(text="_") == [file, bad]
    assert found(text="0%.J\0s") == [file]
    assert found(status="'; drop table submission; --", text="\\") == []
    assert found(utility="nobody") == []


def test_an_empty_list_says_so(gateway: Gateway) -> None:
    assert "Nothing found." in shown(page(gateway, "/?utility=nobody", "en"))


def test_a_search_goes_on_behind_what_one_page_looks_through(gateway: Gateway, company: Utility) -> None:
    made = [company.submit(company.body({meter: str(150 + n)})).json()["submission"] for n, meter in enumerate("31222")]
    sought = trace.Sought(utility=company.code, text="3")
    with gateway.store.transaction() as connection:
        found, following = trace.newest(connection, sought, searched=3)
        assert (found, following and f"sub_{following.hex}") == ([], made[2])
        found, following = trace.newest(connection, sought, before=following, searched=3)
        assert ([f"sub_{one.submission.id.hex}" for one in found], following) == ([made[0]], None)


# --- one submission


def test_a_submission_is_shown_whole(gateway: Gateway, sent: dict[str, Any]) -> None:
    answer = page(gateway, f"/submissions/{sent['submission']}")
    text = shown(answer)
    for word in (
        "Обработано частично, 2 из 3",
        "Принято 2 из 3, на проверке 0, отклонено 1",
        sent["submission"],
        sent["sha256"],
        "А+ 100 → 150 расход 50 кВт·ч",
        "1 250,5",
        "Ошибка. Прибор учёта «99» не найден",
        "Проверьте номер прибора и договор.",
        "readings[2]",
        "Показаний 2: Отправлено в биллинг → Принято биллингом",
    ):
        assert word in text
    assert 'title="acknowledged">Принято биллингом<' in answer.text
    assert 'title="rejected">Отклонено<' in answer.text
    assert len(re.findall(r'<tr id="rdg_', answer.text)) == 3
    assert "problems.xlsx" not in answer.text
    only = page(gateway, f"/submissions/{sent['submission']}?rows=problems")
    assert len(re.findall(r'<tr id="rdg_', only.text)) == 1


def test_the_problems_of_the_whole_come_first(gateway: Gateway, company: Utility) -> None:
    made = company.upload(b'{"readings": [', "broken.json").json()["submission"]
    gateway.work()
    text = shown(page(gateway, f"/submissions/{made}", "en"))
    assert "Remarks on the whole submission Error." in text
    assert "Rejected" in text


def test_a_file_that_waits_says_that_it_is_kept(gateway: Gateway, company: Utility) -> None:
    made = company.upload(company.body({"1": "150"}), "a.json").json()["submission"]
    answer = page(gateway, f"/submissions/{made}", "en")
    assert "The file is received and kept, and is being read now" in shown(answer)
    assert "data-waits" in answer.text
    gateway.work()


def test_many_rows_come_in_pages(gateway: Gateway, company: Utility) -> None:
    made = company.submit(company.body({str(n): "1" for n in range(1000, 1205)})).json()["submission"]
    first = page(gateway, f"/submissions/{made}", "en")
    second = page(gateway, f"/submissions/{made}?page=2", "en")
    beyond = page(gateway, f"/submissions/{made}?page=99&rows=problems", "en")
    assert [len(re.findall(r'<tr id="rdg_', one.text)) for one in (first, second, beyond)] == [200, 5, 5]
    assert "1 of 2" in shown(first)


def test_the_original_comes_back_byte_by_byte_to_be_saved(gateway: Gateway, company: Utility) -> None:
    body = company.body({"1": "150"})
    made = company.upload(body, "Показания «ноябрь».json").json()["submission"]
    answer = page(gateway, f"/submissions/{made}/file")
    assert answer.content == body
    assert answer.headers["content-type"] == "application/octet-stream"
    disposition = answer.headers["content-disposition"]
    assert disposition.startswith('attachment; filename="')
    assert disposition.endswith(
        "filename*=UTF-8''%D0%9F%D0%BE%D0%BA%D0%B0%D0%B7%D0%B0%D0%BD%D0%B8%D1%8F%20%C2%AB%D0%BD%D0%BE%D1%8F%D0%B1%D1%80%D1%8C%C2%BB.json"
    )
    bare = company.submit(company.body({"1": "151"})).json()["submission"]
    assert f"{bare}.json" in page(gateway, f"/submissions/{bare}/file").headers["content-disposition"]
    gateway.work()


def test_the_workbook_comes_back_marked(gateway: Gateway, company: Utility) -> None:
    made = company.upload(workbook(company, 150, "abc", 160), "ноябрь.xlsx", agreement="A-1", period=company.period).json()["submission"]
    gateway.work()
    answer = page(gateway, f"/submissions/{made}")
    assert f'href="/submissions/{made}/problems.xlsx"' in answer.text
    assert "Integral readings!" in shown(answer)
    file = page(gateway, f"/submissions/{made}/problems.xlsx")
    assert file.status_code == 200
    assert "problems.xlsx" in file.headers["content-disposition"]
    told = " ".join(
        str(cell.value) for sheet in openpyxl.load_workbook(io.BytesIO(file.content)) for row in sheet.iter_rows() for cell in row
    )
    assert "«abc» не является числом." in told


def test_what_is_no_table_has_no_marked_file(gateway: Gateway, sent: dict[str, Any]) -> None:
    assert page(gateway, f"/submissions/{sent['submission']}/problems.xlsx").status_code == 404


def test_gv_3_both_consumptions_and_their_difference_stand_together(gateway: Gateway, company: Utility) -> None:
    register(company, [electric(company, last=Decimal(12441), losses=Decimal("0.05"))])
    company.submit(company.body({"20300109": "012442"}))
    body = sheet(company.period, {"B2": "137 130,48"})
    made = company.upload(body, "часы.xlsx", meter="20300109", ratio_applied="true", losses_applied="true").json()["submission"]
    gateway.work()
    answer = page(gateway, f"/submissions/{made}")
    assert "Расход 12 600,00 Расход интерв. 137 130,48 Дельта −124 530,48" in shown(answer)
    assert "С учётом потерь да" in shown(answer)
    [one] = re.findall(r'<tr id="(rdg_[0-9a-f]+)"', answer.text)
    traced = shown(page(gateway, f"/readings/{one}", "en"))
    assert "Consumption 12,600.00 Interval cons. 137,130.48 Delta −124,530.48" in traced
    assert "volume of the period" in traced


# --- the trace of one reading


def test_a_reading_is_traced_from_its_cell_to_its_bill(gateway: Gateway, company: Utility, sent: dict[str, Any]) -> None:
    one = sent["readings"][0]["reading"]
    told: dict[str, Any] = {"version": 1, "unit": "kWh", "reference": "BILL-17", "amount": "250.50"}
    assert company.settle(company.word(one, "calculated", **told), company.word(one, **told)).status_code == 200
    unread = company.word(one, "billed", meter="1", quantity="A-", readings=[], method="calculated", volume="777")
    assert company.settle(unread).status_code == 200
    text = shown(page(gateway, f"/readings/{one}"))
    for word in (
        "Путь показания 1",
        "Выставлено в счёте",
        "readings[0].registers[0].value",
        "достоверное",
        "Замечаний нет.",
        f"При получении был открыт только период {company.period}",
        "Момент показания: конец периода.",
        "billing",
        "Принято",
        "показаний в пакете: 2",
        "Рассчитано А+ 50 кВт·ч 250,50 1 по прибору BILL-17",
        "Выставлено в счёте А+ 50 кВт·ч 250,50 1 по прибору BILL-17",
        "Период рассчитан без показания А- 777 кВт·ч",
        "расчётным способом",
        "Показания сохранены → Принято биллингом",
        "Рассчитано → Выставлено в счёте",
    ):
        assert word in text
    assert "Почему ещё не отправлено?" not in text


def test_a_refused_reading_shows_why_and_that_it_goes_nowhere(gateway: Gateway, sent: dict[str, Any]) -> None:
    text = shown(page(gateway, f"/readings/{sent['readings'][2]['reading']}", "en"))
    assert "Meter “99”" in text or "99" in text
    assert "It is not sent to billing." in text
    assert "Billing has not said anything yet." in text


def test_a_correction_and_what_it_corrects_name_each_other(gateway: Gateway, company: Utility) -> None:
    old = company.submit(company.body({"1": "150"})).json()["readings"][0]["reading"]
    new = company.submit(company.body({"1": "160"})).json()["readings"][0]["reading"]
    before, after = (page(gateway, f"/readings/{one}", "uk") for one in (old, new))
    assert "Замінено новішим показанням: версія 1" in shown(before)
    assert f'href="/readings/{new}"' in before.text
    assert "Виправляє попереднє показання: версія 0" in shown(after)
    assert f'href="/readings/{old}"' in after.text
    again = company.submit(company.body({"1": "160"}, at="2026-01-01T00:00:00Z")).json()["readings"][0]
    assert again["same_as"] in (None, new)
    gateway.work()


def test_the_product_behind_a_consumption_is_shown(gateway: Gateway, company: Utility) -> None:
    company.meters("20300109", agreement="A-9", last="12441", ratio="12000")
    gateway.rows(
        "update point_terms t set losses = 0.05 from meter m where m.usage_point_id = t.usage_point_id and m.serial = '20300109' "
        "and m.utility_id = %(u)s",
        u=company.id,
    )
    one = company.submit(company.body({"20300109": "12442"})).json()["readings"][0]["reading"]
    assert "12 600,00 кВт·ч (12 442 − 12 441) × 12 000 × (1 + 5 %)" in shown(page(gateway, f"/readings/{one}")).replace("\u202f", " ")
    gateway.work()


@pytest.mark.parametrize(
    "path", ["/submissions/sub_zz", f"/submissions/sub_{NOBODYS.hex}", "/readings/rdg_", f"/readings/{NOBODYS}", "/?before=x"]
)
@pytest.mark.parametrize(("language", "words"), [("ru", "Ничего не найдено"), ("uk", "Нічого не знайдено"), ("en", "Nothing was found")])
def test_what_is_not_there_is_said_on_a_page(gateway: Gateway, path: str, language: str, words: str) -> None:
    answer = page(gateway, path, language)
    assert answer.status_code == 404
    assert f'<html lang="{language}">' in answer.text
    assert words in unescape(answer.text)
    assert answer.headers["content-security-policy"] == guard.HEADERS["Content-Security-Policy"]


# --- languages


def test_the_address_decides_the_language_and_is_remembered(gateway: Gateway) -> None:
    assert '<html lang="uk">' in page(gateway, "/", "uk-UA,uk;q=0.9").text
    assert '<html lang="ru">' in page(gateway, "/", "de").text
    assert '<html lang="ru">' in page(gateway, "/?lang=%3Cxx", "ru").text
    with httpx.Client(base_url=gateway.url, headers={"Accept-Language": "ru"}, verify=PLAIN) as client:
        assert client.get(gateway.page.result()).status_code == 303
        first = client.get("/?lang=en")
        assert '<html lang="en">' in first.text
        cookie = first.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=lax" in cookie
        assert '<html lang="en">' in client.get("/").text
        assert "set-cookie" not in client.get("/").headers
        assert '<html lang="uk">' in client.get("/?lang=uk").text


def test_the_switch_keeps_what_the_list_is_narrowed_to(gateway: Gateway) -> None:
    assert 'href="?utility=x&amp;text=%D0%B0%26%22&amp;lang=uk"' in page(gateway, "/", params={"utility": "x", "text": 'а&"'}).text


# --- how it looks


def luminance(colour: str) -> float:
    """How light a colour is (WCAG 2.2)."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_every_text_can_be_read_on_its_ground(gateway: Gateway, theme: int) -> None:
    rules = re.findall(r":root \{(.*?)\}", page(gateway, "/static/page.css").text, re.DOTALL)
    colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", rules[theme]))
    pairs = [(ink, ground) for ink in ("ink", "soft", "link") for ground in ("paper", "sheet")]
    pairs += [(tone, f"{tone}-back") for tone in ("good", "wait", "bad", "past")] + [("bad", "sheet"), ("wait", "sheet"), ("sheet", "link")]
    for ink, ground in pairs:
        light, dark = sorted((luminance(colours[ink]), luminance(colours[ground])), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, (ink, ground)
