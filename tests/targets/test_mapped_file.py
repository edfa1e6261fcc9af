"""The file of a billing by a mapping: written and read by one document, and what it cannot say refused by its reason."""

from pathlib import Path

import pytest

from gateway.domain.crosswalks import read_crosswalk
from gateway.domain.mappings import read_mapping
from gateway.domain.problems import Misconfigured
from gateway.domain.readings import MeterReading
from gateway.mapping import Envelope
from gateway.mapping.mapped.partner import codes_of
from gateway.mapping.mapped.table import Mapped
from gateway.outbound.mapped_file import MappedFile
from tests.targets.conftest import item, two

LIST = """
name = "billing_list"
title = "Реестр для биллинга"
[file]
encoding = "cp866"
[columns]
row_key = ["Ключ"]
agreement = ["ЛС"]
meter = ["ПУ"]
period = ["Период"]
[[values]]
column = ["День"]
register = "A+:day"
[[values]]
column = ["Ночь"]
register = "A+:night"
[control]
mark = "#"
"""


def mapped(folder: Path, mapping: str = LIST) -> dict[str, str]:
    """The settings of a target that name both documents."""
    (folder / "list.toml").write_text(mapping, "utf-8")
    (folder / "codes.csv").write_text("code;meter\nЛК-7;№ 7-ж\n", "utf-8")
    return {"mapping": str(folder / "list.toml"), "crosswalk": str(folder / "codes.csv")}


def test_what_is_written_is_read_again_by_the_same_document(tmp_path: Path) -> None:
    file, good = MappedFile(**mapped(tmp_path), zone="UTC"), two("rdg_1", "ЛС-17")

    written, refused = file.write([good, item(2)])

    assert refused == {"key-2": "register_unwritable: A+"}
    assert written == "Ключ;ЛС;ПУ;Период;День;Ночь\r\nrdg_1;ЛС-17;ЛК-7;2025-10;10,5;-0,25\r\n#1;;;;;\r\n".encode("cp866")
    codes = codes_of(read_crosswalk((tmp_path / "codes.csv").read_bytes()))
    [again] = Mapped(mapping=read_mapping(LIST.encode()), codes=codes).decode(written, Envelope())
    assert isinstance(again, MeterReading)
    told = [(one.register, one.value) for one in again.readings]
    assert (again.meter, again.agreement, told) == (good.meter, "ЛС-17", [(value.register, value.value) for value in good.values])


def test_a_dbf_refuses_what_does_not_fit_its_fields(tmp_path: Path) -> None:
    document = LIST.partition("[control]")[0].replace('"cp866"', '"cp866"\nwritten = "dbf"')
    file = MappedFile(**mapped(tmp_path, document), zone="UTC")

    written, refused = file.write([two("a"), two("b", agreement="Ж" * 65)])

    assert (written[4], refused) == (1, {"b": f"dbf_value_too_long: field ЛС {'Ж' * 39}…"})
    assert b"10.500000" in written


def test_documents_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="No such file"):
        MappedFile(str(tmp_path / "absent.toml"), "", "UTC")
    for mapping, said in ((LIST.replace("row_key", "location"), "no column `row_key`"), (LIST + "x = 1", "unknown field `x`")):
        with pytest.raises(Misconfigured, match=said):
            MappedFile(**mapped(tmp_path, mapping), zone="UTC")
