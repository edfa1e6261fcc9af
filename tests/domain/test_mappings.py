"""A mapping document that contradicts itself, or says what nobody would read, is refused with the key that says it."""

import pytest

from gateway.domain.mappings import read_mapping
from gateway.domain.problems import Misconfigured

REGISTER = """
name = "partner"
title = "A partner's table"
register = "A+"
columns = {meter = ["Прибор"], value = ["Показание"]}
"""
SERIES = """
name = "partner"
title = "A partner's hours"
layout = "series"
register = "A+"
columns = {day = ["Дата"], value = ["Расход"]}
"""
TWO = """
name = "partner"
title = "Day and night"
values = [{column = ["День"], register = "A+:day", meter = ["Прибор"]}, {column = ["Ночь"], register = "A+:night", meter = ["Прибор"]}]
"""
ARCHIVE = """
name = "partner"
title = "An archive"
layout = "archive"
columns = {day = ["Дата"], kind = ["Вид"]}
values = [{column = ["Q"], register = "heat"}]
"""
AS_METERS = """
name = "partner"
title = "A column for each meter"
layout = "series"
register = "A+"
across = true
columns = {day = ["Дата"]}
"""


@pytest.mark.parametrize("document", [REGISTER, SERIES, TWO, ARCHIVE, AS_METERS])
def test_what_contradicts_nothing_is_taken(document: str) -> None:
    assert read_mapping(document.encode()).name == "partner"


@pytest.mark.parametrize(
    ("document", "was", "becomes", "said"),
    [
        (REGISTER, '["Показание"]', '[" прибор "]', "columns: ' прибор ' is both `meter` and `value`"),
        (REGISTER, '["Показание"]', '["Показание"], previous = ["Показание"]', "columns: 'Показание' is both `value` and `previous`"),
        (TWO, '["Ночь"]', '["День"]', "columns: 'День' is both `values` 0 and `values` 1"),
        (TWO, '["Ночь"]', '["Прибор"]', "columns: 'Прибор' is both `values` 1 and `meter` of `values` 0"),
        (REGISTER, "register", 'quantities = {"A+" = ["ЭЭ"], heat = ["ээ"]}\nregister', "quantities: 'ээ' is both `A\\+` and `heat`"),
        (REGISTER, "register", 'quantities = {"B+" = ["ЭЭ"]}\nregister', "quantities: there is no register 'B\\+'"),
        (REGISTER, "register", 'zones = {day = ["Т1"], night = ["Т1"]}\nregister', "zones: 'Т1' is both `day` and `night`"),
        (REGISTER, "register", 'zones = {dawn = ["Т1"]}\nregister', "zones: there is no zone 'dawn'"),
        (ARCHIVE, "layout", 'kinds = {P1D = ["а"], PT1H = ["А"]}\nlayout', "kinds: 'А' is both `P1D` and `PT1H`"),
        (REGISTER, "register", 'step = "PT1H"\nregister', "step: only of a series"),
        (REGISTER, "register", 'label = "end"\nregister', "label: only of a series"),
        (SERIES, "register", 'kinds = {P1D = ["а"]}\nregister', "kinds: only of an archive"),
        (REGISTER, "register", 'prefixes = ["а"]\nregister', "prefixes: only of an archive"),
        (SERIES, "register", 'period_from = "day"\nregister', "period_from: only of the layout `register`"),
        (ARCHIVE, "layout", 'known_by = ["kind"]\nlayout', "known_by: only of the layout `register`"),
        (SERIES, "register", 'previous = "shown"\nregister', "previous: only of the layout `register`"),
        (REGISTER, "register", 'previous = "shown"\nregister', "previous: there is no such column"),
        (REGISTER, "register", 'unit = "parsec"\nregister', "unit: there is no unit 'parsec'"),
        (REGISTER, 'register = "A+"', 'unit = "parsec"\nquantities = {"A+" = ["ЭЭ"]}', "unit: there is no unit 'parsec'"),
        (REGISTER, "register", "control = {sums = {previous = 4}}\nregister", "control: `previous` has no column"),
        (REGISTER, "register", "control = {count = 4, sums = {value = 4}}\nregister", "control: cell 4 is the count"),
        (TWO, "values", 'columns = {zone = ["Зона"]}\nvalues', "columns: nothing would be read in `zone`"),
        (SERIES, "{day", '{quantity = ["Вид"], day', "columns: nothing would be read in `quantity`"),
        (AS_METERS, "{day", '{meter = ["Прибор"], day', "columns: nothing would be read in `meter`"),
        (AS_METERS, "across", 'values = [{column = ["А"], register = "A+"}]\nacross', "across: its columns are told by their meters"),
        (TWO, 'A+:night"', 'A+:night", volume = true, previous = ["Было"]', "values: 1: an amount has no `previous`"),
        (ARCHIVE, 'values = [{column = ["Q"], register = "heat"}]', "", "values: an archive needs `day` and `values`"),
    ],
)
def test_what_contradicts_itself_is_refused_with_its_key(document: str, was: str, becomes: str, said: str) -> None:
    assert was in document
    with pytest.raises(Misconfigured, match=said):
        read_mapping(document.replace(was, becomes, 1).encode())
