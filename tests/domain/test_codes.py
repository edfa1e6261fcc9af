"""Every problem code has words in three languages, a place in the source, and a sample that really produces it.

Samples stand in `tests/samples/*.py`: each module has `SAMPLES`, a dict of a code and a call without arguments that goes through a public
function and returns the codes found.
"""

import ast
import re
import string
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from gateway import texts
from gateway.domain.problems import Problem
from gateway.domain.readings import INTERVALS, REGISTERS, Quantity, Unit, Zone
from gateway.domain.rules import RULES
from gateway.domain.status import ReadingStatus, SubmissionStatus

ROOT = Path(__file__).parents[2]
CODE = re.compile(r"[a-z]+(_[a-z0-9]+)+").fullmatch
SPEAKERS = re.compile(r"problem|reject|refus|object|CellError", re.IGNORECASE).search
Sample = Callable[[], Iterable[str]]


def samples() -> dict[str, Sample]:
    """Every sample of every module; the same code may have several homes, the last one counts."""
    names = sorted(path.stem for path in (ROOT / "tests/samples").glob("*.py"))
    return {code: sample for name in names for code, sample in import_module(f"tests.samples.{name}").SAMPLES.items()}


@cache
def sources() -> dict[Path, ast.Module]:
    """The syntax trees of the product."""
    return {path: ast.parse(path.read_text("utf-8")) for path in sorted((ROOT / "gateway").rglob("*.py"))}


def spoken() -> Iterator[tuple[str, str]]:
    """Every code that the source gives to a problem, with its place."""
    for rule in RULES:
        yield rule.__name__, "gateway/domain/rules.py"
    for path, tree in sources().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                named = [keyword.value for keyword in node.keywords if keyword.arg == "code"]
                first = node.args[:1] if SPEAKERS(ast.unparse(node.func).rpartition(".")[2]) else []
                for value in [*named, *first]:
                    if isinstance(value, ast.Constant) and isinstance(value.value, str) and CODE(value.value):
                        yield value.value, f"{path.relative_to(ROOT)}:{node.lineno}"


def literals() -> set[str]:
    """Every text constant of the product."""
    found = (node for tree in sources().values() for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return {node.value for node in found if isinstance(node.value, str)} | {rule.__name__ for rule in RULES}


def book(language: texts.Language) -> dict[str, Any]:
    """All words of a language, by their dotted names."""

    def flat(tree: dict[str, Any], path: str) -> Iterator[tuple[str, str]]:
        for name, value in tree.items():
            if isinstance(value, dict):
                yield from flat(value, f"{path}{name}.")
            else:
                yield f"{path}{name}", value

    return dict(flat(texts.book(language), ""))


def places(text: str) -> set[str]:
    """The values a text asks for."""
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("language", ["uk", "en"])
def test_the_languages_say_the_same_things_with_the_same_values(language: texts.Language) -> None:
    ours, theirs = book("ru"), book(language)
    assert sorted(ours.keys() ^ theirs.keys()) == []
    assert {name: places(text) for name, text in ours.items()} == {name: places(text) for name, text in theirs.items()}


@pytest.mark.parametrize("language", texts.LANGUAGES)
def test_every_word_is_a_sentence_or_a_name(language: texts.Language) -> None:
    for name, text in book(language).items():
        assert text, name
        assert text == text.strip(), name
        if name.startswith("problem."):
            assert text[-1] == ".", name
            assert len(text) < 200, name


def test_ukrainian_is_not_russian() -> None:
    ours, theirs = book("ru"), book("uk")
    same = {name for name in ours if name.startswith("problem.") and ours[name] == theirs[name]}
    assert same == set()
    assert {name for name, text in theirs.items() if re.search("[ыэъё]", text, re.IGNORECASE)} == set()
    assert {name for name, text in ours.items() if re.search("[іїєґ]", text, re.IGNORECASE)} == set()


def test_every_code_of_the_source_has_words() -> None:
    known = set(texts.codes())
    assert sorted({f"{place} says {code}" for code, place in spoken() if code not in known}) == []


def test_no_code_has_words_without_use() -> None:
    assert sorted(set(texts.codes()) - literals()) == []


def test_every_code_has_a_sample() -> None:
    assert sorted(set(texts.codes()) - samples().keys()) == []


def test_every_sample_is_of_a_known_code() -> None:
    assert sorted(samples().keys() - set(texts.codes())) == []


@pytest.mark.parametrize("code", sorted(samples()))
def test_the_sample_produces_its_code(code: str) -> None:
    assert code in list(samples()[code]())


@pytest.mark.parametrize("language", texts.LANGUAGES)
def test_states_and_kinds_have_names(language: texts.Language) -> None:
    for group, names in (
        ("status", ReadingStatus),
        ("submission", SubmissionStatus),
        ("quantity", Quantity),
        ("unit", Unit),
        ("zone", [zone or "all" for zone in Zone]),
    ):
        assert all(texts.word(f"{group}.{name}", language) for name in names)
    assert len({texts.register(code, language) for code in REGISTERS}) == len(REGISTERS)
    assert len({texts.register(code, language) for code in INTERVALS}) == len(INTERVALS)
    assert not any(texts.register(code, language) == code for code, kind in INTERVALS.items() if kind.symbol or kind.circuit > 1)


@pytest.mark.parametrize(
    ("language", "line"),
    [("ru", "Обработано частично, 39 из 40"), ("uk", "Опрацьовано частково, 39 з 40"), ("en", "Partly processed, 39 of 40")],
)
def test_a_part_is_counted(language: texts.Language, line: str) -> None:
    assert texts.word("count.partly", language, accepted=39, total=40) == line


def test_a_problem_is_said_with_its_values_and_registers_in_words() -> None:
    problem = Problem(code="zone_missing", values={"register": "A+:night", "meter": "20300109"})
    text, todo = texts.problem(problem.code, "ru", problem.values)
    assert "20300109" in text
    assert "«А+, ночь»" in text
    assert todo
    assert texts.problem("zone_missing", "ru", {"register": "strange:one"})[0].count("strange:one") == 1
    assert "…" in texts.problem("zone_missing", "en", {})[0]


def test_a_value_cannot_be_a_template_of_its_own() -> None:
    text, _ = texts.problem("meter_unknown", "en", {"meter": "{agreement.__class__}"})
    assert "{agreement.__class__}" in text
