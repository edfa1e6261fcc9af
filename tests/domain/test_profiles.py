"""The five shipped rulebooks, and what is refused in a document."""

import re
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec
import pytest

from gateway import texts
from gateway.domain.calendars import Calendar
from gateway.domain.problems import Misconfigured, Severity
from gateway.domain.profile import Profile, read_profile
from gateway.domain.rules import RULES
from gateway.domain.windows import CutOff, DueDay, MonthEnd, Range
from gateway.profiles import calendars, shipped
from tests.domain.build import PROFILES

ZONES = {
    "consumer_ua": "Europe/Kyiv",
    "contractor_heat": "Asia/Irkutsk",
    "household": "Asia/Irkutsk",
    "legal_entity": "Europe/Moscow",
    "water": "Europe/Samara",
}


def test_five_utilities_are_shipped() -> None:
    assert {name: profile.zone for name, profile in PROFILES.items()} == ZONES
    assert all(profile.name == name for name, profile in PROFILES.items())
    assert {name: profile.window for name, profile in PROFILES.items()} == {
        "consumer_ua": MonthEnd(day=1),
        "contractor_heat": Range(from_month=0, from_day=1, to_month=1, to_day=21),
        "household": CutOff(day=25),
        "legal_entity": Range(from_month=0, from_day=1, to_month=1, to_day=21),
        "water": DueDay(day=6, month=0, lead_days=3, count_due_day=True),
    }
    assert all(profile.calendar in {"", *calendars()} for profile in PROFILES.values())
    assert {name for name, profile in PROFILES.items() if profile.reading.per_period == "many"} == {"household"}
    assert "integral_workbook" in PROFILES["legal_entity"].formats


def test_severities_are_of_rules() -> None:
    rules = {rule.__name__ for rule in RULES}
    assert {code for profile in PROFILES.values() for code in profile.severity} <= rules


@pytest.mark.parametrize(
    ("name", "word", "said"),
    [
        ("contractor_heat", "submission.received", "Загружено"),
        ("contractor_heat", "status.sent", "Загружено"),
        ("contractor_heat", "status.acknowledged", "Обработано"),
        ("contractor_heat", "status.dead", "Ошибка"),
        ("household", "status.calculated", "Рассчитано"),
        ("legal_entity", "entry.open", "Ожидание"),
        ("legal_entity", "submission.accepted", "Показания сохранены"),
        ("water", "status.billed", "Выставлено в счёте"),
    ],
)
def test_states_have_the_names_of_the_manual(name: str, word: str, said: str) -> None:
    assert PROFILES[name].word(word, "ru") == said


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_no_word_promises_what_billing_has_not_said(name: str) -> None:
    profile = PROFILES[name]
    later = {profile.word(f"status.{state}", profile.language) for state in ("calculated", "billed")}
    sooner = {profile.word(f"status.{state}", profile.language) for state in ("accepted", "queued", "sent", "acknowledged")}
    assert not later & sooner


def test_other_languages_keep_our_words() -> None:
    assert PROFILES["contractor_heat"].word("status.dead", "en") == texts.word("status.dead", "en")
    assert PROFILES["legal_entity"].word("count.partly", "ru", accepted=1, total=2) == "Обработано частично, 1 из 2"


HOUSEHOLD = shipped()["household"].decode()


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        ('title = "', 'titel = "', "titel"),
        ("[reading]", "[reading]\ntogehter = true", "$.reading"),
        ("[window]", "[window]\nto_day = 3", "$.window"),
        ('kind = "cut_off"', 'kind = "soft"', "$.window.kind"),
        ("day = 25", "day = 32", "$.window.day"),
        ('kind = "cut_off"\nday = 25', 'kind = "range"\nto_month = -1', "$.window"),
        ("[reading]", '[windows.drain]\nkind = "due_day"\n\n[reading]', "windows"),
        ('at = "arrival"', 'at = "noon"', "$.reading.at"),
        ("hold = 0", "hold = -1", "$.reading.hold"),
        ('zone = "Asia/Irkutsk"', 'zone = "Asia/Atlantis"', "zone"),
        ('zone = "Asia/Irkutsk"', 'zone = "../../etc/passwd"', "zone"),
        ('zone = "Asia/Irkutsk"', 'zone = ""', "zone"),
        ('name = "household"', 'name = "House hold"', "$.name"),
        ('services = ["electricity"', 'services = ["steam"', "$.services[0]"),
        ('reading_decreased = "error"', 'reading_decreased = "fatal"', "$.severity"),
        ("reading_decreased", "reading_descreased", "reading_descreased"),
        ('"status.calculated"', '"status.computed"', "status.computed"),
        ('"status.calculated"', '"problem.not_found"', "problem.not_found"),
        ('language = "ru"', 'language = "de"', "$.language"),
        ("[reading]", "[reading", "profile"),
    ],
)
def test_a_wrong_key_is_named_with_its_path(old: str, new: str, path: str) -> None:
    assert old in HOUSEHOLD
    with pytest.raises(Misconfigured) as refused:
        read_profile(HOUSEHOLD.replace(old, new).encode())
    assert path in str(refused.value)


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(Misconfigured):
        read_profile(b"\xff\xfe")


PAGE = (Path(__file__).parents[2] / "contracts_schema/profiles.md").read_text("utf-8")


def tables(head: str) -> set[str]:
    """The first column of every table on the page whose first column is called so."""
    found: set[str] = set()
    for table in re.findall(r"(?:^\|.*\n)+", PAGE, re.MULTILINE):
        first, _, *rows = [line.split("|")[1].strip() for line in table.splitlines()]
        if first == head:
            found |= {row.strip("`") for row in rows}
    return found


def keys(struct: Any, prefix: str = "") -> set[str]:
    return {f"{prefix}{name}" for name in struct.__struct_fields__}


def test_the_page_names_every_key_and_no_other() -> None:
    types = get_type_hints(Profile)
    parts = {name: kind for name, kind in types.items() if isinstance(kind, type) and issubclass(kind, msgspec.Struct)}
    assert set(parts) >= {"reading", "plausible"}
    below = {key for name, kind in parts.items() for key in keys(kind, f"{name}.")}
    windows = {key for window in get_args(types["window"]) for key in keys(window)}
    assert tables("key") == keys(Profile) | below | windows | keys(Calendar)
    assert tables("`kind`") == {window.__struct_config__.tag for window in get_args(types["window"])}


def test_the_example_on_the_page_is_a_profile() -> None:
    [example] = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    profile = read_profile(example.encode())
    required = {field.name for field in msgspec.structs.fields(Profile) if field.required}
    assert required == {"name", "title", "manual", "zone", "language", "services", "linking", "window", "reading"}
    assert set(profile.windows) == {"heat"}


def test_the_page_names_every_rule_with_its_weight() -> None:
    assert tables("rule") == {rule.__name__ for rule in RULES}
    assert tables("weight") == {str(weight) for weight in Severity}
