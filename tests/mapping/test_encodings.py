"""Encodings that say nothing of themselves: told right or not told at all, whatever the language, length and case of the text."""

import random

import pytest

from gateway.domain.mappings import encoding_named
from gateway.mapping.encodings import KIN, OLD, Guess, detect, mark_of, nearest
from tests.conftest import case

RUSSIAN = """
Ведомость расхода тепловой энергии за отчётный период, Гкал; Подпись руководителя, бухгалтер и кассир; Шифр участка и дата поверки прибора;
Трансформаторная подстанция «Кирпичный завод»; СНТ «Ромашка», гаражный кооператив «Автомобилист»; Квартиросъёмщик Хабибуллин Эльдар;
Балакирева Юлия Всеволодовна; Пшеничников Яков; г. Жигулёвск, ул. Объездная; г. Мытищи, шоссе Энгельса; Йошкар-Ола, бульвар Чавайна;
Счётчик установлен на кухне, пломба не нарушена; Недопоставка; Корректировка; Общедомовые нужды № 5; Сверка взаиморасчётов"""
UKRAINIAN = """
Відомість споживання теплової енергії за звітний період, Гкал; Підпис керівника, бухгалтер і касир; Шифр дільниці та дата повірки приладу;
Трансформаторна підстанція «Цегельний завод»; Гуртожиток, гаражний кооператив «Дружба»; Квартиронаймач Безсмертна Їлля Ґеоргіївна;
Хмельницький Устим Захарович; Дзюба Гнат; м. Жовті Води, вул. Об'їзна; м. Запоріжжя, шосе Єлизавети; Підгородне, бульвар Щастя;
Лічильник встановлено на кухні, пломбу не порушено; Недопоставка; Коригування; Загальнобудинкові потреби № 5; Звірка розрахунків"""
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", *OLD)
CASES = (str, str.upper, str.lower, str.title)


def encoded(text: str, encoding: str) -> bytes | None:
    try:
        return text.encode(encoding)
    except UnicodeEncodeError:
        return None


def text_of(body: bytes, encoding: str) -> str:
    return body.decode(encoding).removeprefix("\ufeff")


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("text", [RUSSIAN, UKRAINIAN], ids=["ru", "uk"])
def test_a_text_is_told_whatever_its_case(text: str, encoding: str) -> None:
    if text is UKRAINIAN and encoding in KIN.values():
        return  # has not its letters
    for form in CASES:
        written = form("".join(char for char in text if encoded(char, encoding) is not None))
        body = written.encode(encoding)
        assert text_of(body, detect(body).encoding) == written


def test_a_short_text_is_told_right_or_not_at_all() -> None:
    chance, told, unsure = random.Random(1251), 0, 0  # noqa: S311 - seeded on purpose
    for _ in range(case(300, 20_000)):
        words = chance.choice((RUSSIAN, UKRAINIAN)).split()
        text = chance.choice(CASES)(" ".join(chance.sample(words, chance.choice((1, 1, 2, 3, 5)))))
        for encoding in ENCODINGS:
            body = encoded(text, encoding)
            if body is None:
                continue
            found = detect(body)
            told, unsure = told + 1, unsure + (found.encoding == "")
            assert not found.encoding or text_of(body, found.encoding) == text, (text, encoding, found)
    assert unsure < told / 10


def test_letters_at_random_are_not_believed() -> None:
    chance, wrong = random.Random(866), 0  # noqa: S311 - the same
    runs = case(300, 10_000)
    for _ in range(runs):
        body = bytes(chance.choices(range(0x80, 0x100), k=chance.randint(2, 60)))
        wrong += bool(detect(body).encoding)
    assert wrong <= runs / 100


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (b"", "utf-8"),
        (b"LS;SUMMA\r\n1;2\r\n", "utf-8"),
        ("Größe; Straße; Müller; Übergabe; Zähler".encode(), "utf-8"),
        (b"\xff\xfe", "utf-16-le"),
        ("дом;7".encode("utf-16-be"), "utf-16-be"),
        (b"\xcd\xee", ""),
        (b"7;\xb0;\xa4", ""),
        (b"\0\1\2\3\xff\xfe", ""),
        (b"\x03\x7a\x01\x01" + bytes(40), ""),
        ("Größe;Straße".encode("cp1252"), ""),
    ],
)
def test_marks_bytes_and_what_cannot_be_told(body: bytes, encoding: str) -> None:
    assert detect(body).encoding == encoding


def test_the_margin_says_how_sure_it_is() -> None:
    assert detect(b"\xcd\xee").margin < detect("Новосадовая".encode("cp1251")).margin < detect(RUSSIAN.encode("cp1251")).margin
    assert detect(b"a") == Guess("utf-8")


def test_the_same_word_again_proves_nothing_new() -> None:
    assert detect(b"\xcd\xee;" * 1_000).encoding == detect(b"\xcd\xee").encoding


def test_only_the_ukrainian_letters_tell_kin_apart() -> None:
    for other, own in KIN.items():
        assert nearest("Лічильник №5 Ґедзя".replace("№", "N").encode(other), own) == other
        assert nearest("Счётчик".encode(own), own) == own
    assert nearest("Лічильник".encode("cp1251"), "cp1251") == "cp1251"


def test_degrees_are_not_a_ukrainian_letter() -> None:
    assert detect("t1, °С;Счётчик".encode("cp866")).encoding == "cp866"


@pytest.mark.parametrize(
    ("name", "encoding"),
    [("windows-1251", "cp1251"), ("CP866", "cp866"), ("KOI8-R", "koi8-r"), ("UTF8", "utf-8"), ("ascii", "utf-8"), ("utf-16", "utf-16")],
)
def test_an_encoding_has_one_name(name: str, encoding: str) -> None:
    assert encoding_named(name) == encoding


@pytest.mark.parametrize("name", ["", "klingon", "base64", "punycode", "idna", "unicode_escape", "utf-7", "hex", "a\0b", "x" * 10_000])
def test_what_is_no_encoding_of_texts_is_none(name: str) -> None:
    assert encoding_named(name) == ""


def test_marks_are_taken_off() -> None:
    assert mark_of(b"\xef\xbb\xbfa") == (b"\xef\xbb\xbf", "utf-8")
    assert mark_of(b"a") == (b"", "")


def test_a_large_text_costs_no_more_than_its_beginning() -> None:
    rows = "".join(f"{number};Дроздова {number};ул. Ново-Садовая\r\n" for number in range(200_000)).encode("cp866")
    assert detect(rows).encoding == "cp866"
