"""The status page in Chromium: two widths, three languages, live, and nothing that is not ours."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page, Request, expect

from tests.channels.browse import let_in
from tests.peers import Sandbox
from tests.running import Gateway, Utility

WIDE, NARROW, HIGH = 1280, 380, 900
HOSTILE = "<img src=x onerror=alert(1)>\u2067" + "x" * 150 + ".json"

pytestmark = pytest.mark.xdist_group("browser")  # one browser, in one worker


def heat(company: Utility, values: dict[str, str]) -> bytes:
    """Canonical JSON of heat meters."""
    return company.body(values).replace(b'"A+"', b'"heat"')


@contextmanager
def visited(browser: Browser, gateway: Gateway, width: int = WIDE, *, known: bool = True, **options: Any) -> Iterator[Page]:
    """A browser window that must not complain, ask for anything elsewhere or open a dialog. `known`: it came in before."""
    context = browser.new_context(base_url=gateway.url, viewport={"width": width, "height": HIGH}, **options)
    if known:
        name, _, value = let_in(gateway)["Cookie"].partition("=")
        context.add_cookies([{"name": name, "value": value, "url": gateway.url, "httpOnly": True, "sameSite": "Strict"}])
    page = context.new_page()
    wrong: list[str] = []

    def complaint(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            wrong.append(message.text)

    def stranger(request: Request) -> None:
        if not request.url.startswith(f"{gateway.url}/"):
            wrong.append(request.url)

    def opened(dialog: Dialog) -> None:
        wrong.append(dialog.message)
        dialog.dismiss()

    page.on("console", complaint)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", stranger)
    page.on("dialog", opened)
    try:
        yield page
    finally:
        context.close()
    assert wrong == []


@pytest.fixture(scope="module")
def forty(gateway: Gateway, company: Utility, billing: Sandbox) -> str:
    """A file of forty meters with one wrong, delivered; beside it a file of a hostile name."""
    values = {str(number): str(100 + number) for number in range(1, 41)} | {"13": "12"}
    made = company.upload(heat(company, values), "архив.json").json()["submission"]
    company.upload(heat(company, {"x" * 90: "1", "<b>1": "1"}), HOSTILE)
    gateway.work()
    assert billing.rows()
    return str(made)


@pytest.mark.parametrize(
    ("language", "verdict"),
    [("ru", "Обработано частично, 39 из 40"), ("uk", "Опрацьовано частково, 39 з 40"), ("en", "Partly processed, 39 of 40")],
    ids=["ru", "uk", "en"],
)
def test_every_page_fits_and_says_it_in_the_language_asked_for(
    browser: Browser, gateway: Gateway, forty: str, language: str, verdict: str
) -> None:
    scheme = "dark" if language == "uk" else "light"
    with visited(browser, gateway, locale=language, color_scheme=scheme) as page:
        page.goto("/")
        expect(page.locator(f"#{forty} .state").first).to_have_text(verdict)
        fits(page, language)
        page.locator(f"#{forty} a").first.click()
        expect(page.locator(".verdict .state")).to_have_text(verdict)
        assert page.locator("table.rows tbody tr").count() == 40
        fits(page, language)
        assert not head_is_seen(page)
        page.set_viewport_size({"width": WIDE, "height": HIGH})
        assert head_is_seen(page)
        page.locator("tr.tone-bad th a").click()
        expect(page.locator(".problem").first).to_be_visible()
        fits(page, language)


def fits(page: Page, language: str) -> None:
    """Nothing runs out of the window sideways, be it wide or narrow, and the page says which language it is in."""
    for width in (WIDE, NARROW):
        page.set_viewport_size({"width": width, "height": HIGH})
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert page.locator("html").get_attribute("lang") == language


def head_is_seen(page: Page) -> bool:
    """Whether the columns of the table have their names above them."""
    return bool(page.locator("table.rows thead").evaluate("head => head.getBoundingClientRect().height > 2"))


def test_the_address_with_the_token_lets_in_and_the_token_goes_nowhere(browser: Browser, gateway: Gateway, forty: str) -> None:
    asked: list[Request] = []
    address = gateway.page.result()
    token = address.partition("?token=")[2]

    def note(request: Request) -> None:
        asked.append(request)

    with visited(browser, gateway, known=False, locale="en") as page:
        page.on("request", note)
        page.goto(address)
        assert page.url == f"{gateway.url}/"
        page.locator(f"#{forty} a").first.click()
        expect(page.locator("#pulse")).to_have_text("Updates itself")
        assert page.evaluate("document.cookie + document.referrer") == ""
        assert asked[0].url == address
        assert not [one.url for one in asked[1:] if token in one.url]
        # What the click cut short never had its final headers, only those it began with.
        assert not [one.url for one in asked if one.failure is None and "referer" in one.all_headers()]


@pytest.mark.usefixtures("forty")
def test_a_hostile_name_is_only_a_name(browser: Browser, gateway: Gateway) -> None:
    with visited(browser, gateway, NARROW, locale="en") as page:
        page.goto("/?text=onerror")
        link = page.locator("table.list tbody a")
        expect(link).to_contain_text("<img src=x onerror=alert(1)>")
        link.click()
        expect(page.locator("h1")).to_contain_text("<img src=x onerror=alert(1)>")
        assert page.locator("img").count() == 1  # our mark
        fits(page, "en")


@pytest.mark.usefixtures("billing")
def test_a_row_turns_from_queued_to_billed_while_the_page_is_open(browser: Browser, gateway: Gateway, company: Utility) -> None:
    made = company.submit(heat(company, {"1": "250", "2": "251"})).json()
    rows = [row["reading"] for row in made["readings"]]
    with visited(browser, gateway, locale="ru") as page:
        page.add_init_script("addEventListener('DOMContentLoaded', () => { window.kept = document.querySelector('table.rows'); })")
        page.goto(f"/submissions/{made['submission']}")
        state = page.locator(f"#{rows[0]} .state")
        assert state.get_attribute("title") == "queued"
        page.locator(f"#{rows[1]} a").first.focus()
        gateway.work()
        expect(page.locator(f"#{rows[0]} .state[title=billed]")).to_have_text("Выставлено в счёте", timeout=10_000)
        expect(page.locator(f"#{rows[1]} .state[title=billed]")).to_be_visible(timeout=10_000)
        expect(page.locator("#pulse")).to_have_text("Обновляется сама")
        assert page.evaluate("document.querySelector('table.rows') === window.kept")
        assert page.evaluate("document.activeElement.closest('tr').id") == rows[1]
        page.goto(f"/readings/{rows[0]}")
        page.locator("summary").first.click()
        expect(page.locator("pre").first).to_contain_text("taken")


def test_a_new_submission_comes_into_the_open_list(browser: Browser, gateway: Gateway, company: Utility, forty: str) -> None:
    with visited(browser, gateway, locale="en") as page:
        page.goto(f"/?utility={company.code}")
        expect(page.locator("#pulse")).to_have_text("Updates itself")
        made = company.submit(heat(company, {"3": "350"})).json()["submission"]
        expect(page.locator(f"table.list tbody tr:first-child#{made}")).to_be_visible(timeout=10_000)
        expect(page.locator(f"#{forty}")).to_be_visible()


@pytest.mark.usefixtures("billing")
def test_without_script_a_reload_does_the_same(browser: Browser, gateway: Gateway, company: Utility) -> None:
    made = company.submit(heat(company, {"4": "450"})).json()
    with visited(browser, gateway, locale="en", java_script_enabled=False) as page:
        page.goto(f"/submissions/{made['submission']}")
        assert page.locator("tbody .state").get_attribute("title") == "queued"
        gateway.work()
        page.reload()
        assert page.locator("tbody .state").get_attribute("title") in ("acknowledged", "calculated", "billed")
        page.get_by_role("link", name="Українська").click()
        assert page.locator("html").get_attribute("lang") == "uk"


def test_the_keyboard_goes_past_the_head_and_sees_where_it_is(browser: Browser, gateway: Gateway) -> None:
    with visited(browser, gateway, locale="en") as page:
        page.goto("/")
        page.keyboard.press("Tab")
        focused = page.locator(":focus")
        expect(focused).to_have_text("Skip to content")
        assert focused.evaluate("one => getComputedStyle(one).outlineStyle") == "solid"
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "main"
