"""In which encoding a text without a declaration is written: told by its marks, its bytes and its letters, or not at all."""

import codecs
import math
import re
from collections import Counter
from functools import lru_cache
from itertools import chain
from typing import Final

import msgspec

OLD: Final = ("cp1251", "cp866", "koi8-r", "cp1125", "koi8-u")
"""Encodings of one byte a letter that say nothing of themselves; the last two are the Ukrainian kin of the two before them."""

KIN: Final = {"cp1125": "cp866", "koi8-u": "koi8-r"}
"""An encoding and the one that it differs from in the Ukrainian letters alone."""

_MARKS: Final = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_HEAD: Final = 65_536
_ENOUGH: Final = 4_096
_words: Final = re.compile(rb"[\x80-\xff]+").findall
_controls: Final = re.compile(rb"[\0-\x08\x0e-\x19\x1b-\x1f]").search

_FOLLOWERS: Final = """
_ пс внокздтмрб алгчиуефяіц шэхєжщ
а _н тзвлрксйдчп мбяхєежю гцш
б оеаіил руы ъ_нкцсщ жяьб
в _аои іенл ктсьырпу чвгщдямц
г оа р_еіуги длн кв
ґ е - - -
д оаеин _ріук ыспвмж дьёлхят
е _нр вдлстм кейгжп зцфбчщш
є _тн кмв дсїцю -
ё твмн_ длж р -
ж енид і_уа олтк гбч
з анв_ оду імбиркье яыжл
и _нт клмйсвечх ярцдбшпзф оюигщё
і _тдв нлсчрй якзшєможг їцбщюп
ї _вх їнтж - -
й _лт омнк двсш цбч
к оа_и уртл сіев нщ
л оьеиа іяу ю_лб ёкныж
м _аеио іу пямн лсыёвт
н оиа _екняіт ьыудг чшцсюё
о в_ рдлмткнсг бжпзчй ешфхюїо
п оре аиіл у нцяы_к
р аоие _іу гянтьвымхк рпшсчбёюж
с тяо еаликпу_ ьнчхві ёмрыс
т еоаь_и р уксвнп яіычтюл
у _с клтдчбмв жрпгншщєз юхйе
ф аоире іфё_ ь -
х _оаи уріе в лн
ц іеиья а_о ую вы
ч еаи_ ёнк утоі ь
ш еика лотнуі ё мв_
щ еио ёаун - -
ъ её я - -
ы _ей тлмхдвч шкбнж -
ь _н сткоше ямг ёчзвицщю
э тнфл - о -
ю _тчк щрд єюнлбм -
я _ ткднз ечцбвм рлюсхяєшж
"""
"""Which letters follow a letter in Russian and Ukrainian, `_` being the edge of a word: usual ones, common, rare and seldom ones, in
this order; counted over words, names and addresses such as stand in registers of meters and payments. Any other pair is a stranger."""

_COSTS: Final = (1.9, 3.0, 4.0, 5.2)
_STRANGE: Final = 7.5
_SIGN, _NO_SIGN = 6.0, 12.0
_CASE: Final = 5.0
"""What a capital letter behind a small one costs."""
_SIGNS: Final = frozenset("№«»—–°·²³…’“”„\u00a0±")
"""What stands beside letters in honest texts."""
_SURE: Final = 9.0
"""By how much the best must be better than the next, in the logarithm of how likely each is."""
_SURE_KIN: Final = 7.0
"""The same between Ukrainian kin, which read every other letter alike."""
_LIKELY: Final = 5.2
"""What a letter may cost at most, on the average, in a text that is one."""
_PROPER: Final = 6.0
"""The bonus of every letter but the first when all bytes are good UTF-8: hardly any other text is."""


class Guess(msgspec.Struct, frozen=True):
    """The encoding that was found, empty when nothing is sure; `margin`: how much better it is than the next (natural logarithm)."""

    encoding: str
    margin: float = math.inf


def mark_of(body: bytes) -> tuple[bytes, str]:
    """The byte order mark that a text begins with and the encoding it names, both empty without one."""
    return next(((mark, encoding) for mark, encoding in _MARKS if body.startswith(mark)), (b"", ""))


def detect(body: bytes) -> Guess:
    """Tell in which encoding a text is. An ASCII text is UTF-8; `encoding` is empty when it must be asked for.

    By its mark, by its zero bytes (UTF-16), else by which reading is the likeliest sequence of Russian and Ukrainian letters. UTF-8 is
    said only of a body that is valid to its end.
    """
    marked = mark_of(body)[1]
    if marked:
        return Guess(marked)
    if _controls(body[:_HEAD]):
        return Guess(_wide(body[:_HEAD]))
    if body.isascii():
        return Guess("utf-8")
    sample = _sample(body)
    costs = {encoding: cost for encoding in OLD if (cost := _cost(sample, encoding)) is not None}
    letters = [char for char in sample.decode("utf-8", "ignore") if not char.isascii()]
    if _is_utf8(body) and all(char.isprintable() or char in _SIGNS for char in letters):
        costs["utf-8"] = (_cost(sample, "utf-8") or 0.0) - _PROPER * (len(letters) - 1)
    return _best(sample, costs)


def nearest(body: bytes, encoding: str) -> str:
    """Tell an encoding from its Ukrainian kin: the one of both in which the text is likelier."""
    sample = _sample(body)
    kin = [other for other, own in KIN.items() if own == encoding]
    costs = {one: cost for one in (encoding, *kin) if (cost := _cost(sample, one)) is not None}
    return min(costs, key=lambda one: (costs[one], one != encoding), default=encoding)


def _best(sample: bytes, costs: dict[str, float]) -> Guess:
    """The cheapest, and by how much it is cheaper than the cheapest that reads another text."""
    order = sorted(costs, key=lambda encoding: (costs[encoding], encoding in KIN))
    if not order:
        return Guess("", 0.0)
    best, text = order[0], sample.decode(order[0], "replace")
    others = {other: costs[other] - costs[best] for other in order[1:] if sample.decode(other, "replace") != text}
    sure = all(margin >= (_SURE_KIN if KIN.get(other, other) == KIN.get(best, best) else _SURE) for other, margin in others.items())
    likely = best == "utf-8" or costs[best] <= _LIKELY * sum(not char.isascii() for char in text)
    return Guess(best if sure and likely else "", min(others.values(), default=math.inf))


def _sample(body: bytes) -> bytes:
    """The different words that are not ASCII: the same word twice proves nothing new."""
    words, size = [], 0
    for word in dict.fromkeys(_words(body[:_HEAD]) or _words(body)):
        words.append(word)
        size += len(word) + 1
        if size > _ENOUGH:
            break
    return b" ".join(words)


def _wide(head: bytes) -> str:
    """UTF-16 without its mark: every second byte is 0 (ASCII) or 4 (Cyrillic), always on the same side."""
    even, odd = (sum(half.count(byte) for byte in (0, 4)) for half in (head[::2], head[1::2]))
    encoding = "utf-16-le" if odd > even else "utf-16-be"
    text = head[: len(head) // 2 * 2].decode(encoding, "replace")
    known = sum("\u0020" <= char < "\u007f" or "\u0400" <= char <= "\u04ff" or char in _SIGNS or char in "\r\n\t" for char in text)
    return encoding if known >= len(text) - len(text) // 10 and "\ufffd" not in text[:-1] else ""


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def _cost(sample: bytes, encoding: str) -> float | None:
    """How unlikely the sample is in an encoding, as the negative logarithm; None when it cannot be read in it."""
    try:
        text = sample.decode(encoding, "ignore" if encoding == "utf-8" else "strict")
    except UnicodeDecodeError:
        return None
    pairs = Counter(zip(chain(" ", text), chain(text, " "), strict=True))
    return sum(count * _of_pair(first, second) for (first, second), count in pairs.items())


@lru_cache(maxsize=8192)
def _of_pair(first: str, second: str) -> float:
    one, two = first.lower(), second.lower()
    if two not in _LETTERS and not second.isascii():
        return _SIGN if second in _SIGNS else _NO_SIGN
    if first == "°" and two in _LETTERS and two != "с":
        return _NO_SIGN
    one, two = one if one in _LETTERS else "_", two if two in _LETTERS else "_"
    if one == two == "_":
        return 0.0
    return _PAIRS.get(one + two, _STRANGE) + (_CASE if first.islower() and second.isupper() else 0.0)


_PAIRS: Final = {
    line[0] + letter: cost
    for line in _FOLLOWERS.strip().splitlines()
    for cost, letters in zip(_COSTS, line[2:].split(" "), strict=True)
    for letter in letters
}
_LETTERS: Final = frozenset("".join(_PAIRS)) - {"_", "-"}
