"""Every visible word, in Russian, Ukrainian and English: problems with what to do, names of states, labels of pages and files."""

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final, Literal, cast

Language = Literal["ru", "uk", "en"]
LANGUAGES: Final[tuple[Language, ...]] = ("ru", "uk", "en")


@cache
def book(language: Language) -> dict[str, dict[str, Any]]:
    """All words of a language: `ru.toml` and, for one room each, `ru_ROOM.toml`. Each word stands once; a table may go on elsewhere."""
    book: dict[str, dict[str, Any]] = {}
    pages = (
        page for page in files(__name__).iterdir() if page.name.endswith(".toml") and page.name[:3] in (f"{language}.", f"{language}_")
    )
    for page in sorted(pages, key=lambda page: page.name):
        for group, words in tomllib.loads(page.read_text("utf-8")).items():
            there = book.setdefault(group, {})
            if twice := there.keys() & words.keys():
                raise ValueError(f"{page.name}: {group}.{min(twice)} stands on another page already")
            there.update(words)
    return book


def codes(language: Language = "en") -> tuple[str, ...]:
    """Every problem code that has a text."""
    return tuple(book(language)["problem"])


def problem(code: str, language: Language, values: dict[str, str] | None = None) -> tuple[str, str]:
    """Return what is wrong and what to do, with the values filled in. Raises KeyError for a code without a text.

    The value `register` is a published code and is shown in words.
    """
    entry = cast("dict[str, str]", book(language)["problem"][code])
    filled = dict(values or {})
    if "register" in filled:
        filled["register"] = register(filled["register"], language)
    return fill(entry["text"], filled), fill(entry["todo"], filled)


def word(name: str, language: Language, **values: object) -> str:
    """Return a visible word by its dotted name, for instance `status.billed` or `count.partly`. Raises KeyError for an unknown name."""
    group, _, key = name.partition(".")
    return fill(str(book(language)[group][key]), values)


def known(name: str) -> bool:
    """Whether there is a visible word of that dotted name."""
    group, _, key = name.partition(".")
    return group != "problem" and key in book("en").get(group, {})


def register(code: str, language: Language) -> str:
    """A published register code in words: `A+:night` is «А+, ночь». A code that is none of ours is shown as it is."""
    bare, _, circuit = code.partition("@")
    name, _, zone = bare.partition(":")
    words = book(language)
    named = words["quantity"].get(name) or words["symbol"].get(name)
    if named is None or (zone and zone not in words["zone"]):
        return code
    told = f"{named}, {str(words['zone'][zone]).lower()}" if zone else str(named)
    return f"{told}, {fill(str(words['archive']['circuit']), {'number': circuit})}" if circuit else told


def fill(text: str, values: Mapping[str, object]) -> str:
    """Put the values into a text; one that the text names and `values` lacks is shown as an ellipsis."""
    return text.format_map(_Known({name: str(value) for name, value in values.items()}))


def choose(header: str, default: Language = "ru") -> Language:
    """Pick a language from an Accept-Language header: the first of ours by weight, else the default."""
    wishes: list[tuple[float, int, Language]] = []
    for order, part in enumerate(header.split(",")[:20]):
        tag, _, weight = part.strip().partition(";q=")
        main = tag.split("-")[0].strip().lower()
        if main in LANGUAGES:
            wishes.append((-_weight(weight), order, main))
    return min(wishes)[2] if wishes else default


def _weight(text: str) -> float:
    try:
        return float(text or 1)
    except ValueError:
        return 0.0


class _Known(dict[str, str]):
    """A value that a text names and the problem lacks is shown as an ellipsis rather than failing the answer."""

    def __missing__(self, key: str) -> str:
        return "…"
