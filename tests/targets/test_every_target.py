"""What every billing target must do, whatever it speaks; and that no kind is left out."""

import pkgutil
from concurrent.futures import ThreadPoolExecutor

import pytest

from gateway import outbound
from gateway.domain.problems import Misconfigured
from gateway.outbound import Batch, Outcome, Target
from gateway.registry import build
from tests.targets.conftest import ASKED, KINDS, SOURCES, Bench, batch, item

SHARED = {
    "by_mapping",
    "mapped_file",
    "wire",
    "text_file",
    "calls",
    "soap_contract",
    "soap_answer",
    "soap_rows",
    "soap_cells",
    "sftp_wire",
    "sftp_inbox",
    "maket_files",
    "letter_text",
    "mail",
    "webhook",
}
"""Files of the folder that are no billing target."""


def test_every_kind_is_tried_here() -> None:
    assert {module.name for module in pkgutil.iter_modules(outbound.__path__)} - SHARED == {*KINDS, *ASKED, *SOURCES}


def test_a_batch_is_answered_item_by_item_in_its_order(bench: Bench) -> None:
    sent = batch("b1")

    receipt = bench.target.deliver(sent)

    assert [(answer.key, answer.outcome) for answer in receipt.answers] == [(one.key, Outcome.TAKEN) for one in sent.items]
    assert all(answer.reference for answer in receipt.answers)
    assert bench.effects() == {"key-0": 1, "key-1": 1, "key-2": 1}


def test_a_repeat_has_the_same_answer_and_one_effect(bench: Bench) -> None:
    first = bench.target.deliver(batch("b1"))

    assert bench.target.deliver(batch("b1")).answers == first.answers
    assert bench.effects() == {"key-0": 1, "key-1": 1, "key-2": 1}


def test_items_of_a_failed_batch_may_come_again_in_another(bench: Bench) -> None:
    first = bench.target.deliver(batch("b1", item(1), item(2)))

    again = bench.target.deliver(batch("b2", item(2), item(3)))

    assert again.answers[0] == first.answers[1]
    assert bench.effects() == {"key-1": 1, "key-2": 1, "key-3": 1}


def test_a_key_with_another_content_is_refused(bench: Bench) -> None:
    bench.target.deliver(batch("b1", item(1)))

    (answer,) = bench.target.deliver(batch("b2", item(1, consumption="7"))).answers

    assert (answer.outcome, answer.reason) == (Outcome.REFUSED, "key_reused")
    assert bench.effects() == {"key-1": 1}


def test_the_same_batch_from_many_threads_is_one_effect(bench: Bench) -> None:
    with ThreadPoolExecutor(8) as threads:
        receipts = list(threads.map(bench.target.deliver, [batch("b1")] * 16))

    assert {receipt.answers for receipt in receipts} == {receipts[0].answers}
    assert bench.effects() == {"key-0": 1, "key-1": 1, "key-2": 1}


def test_all_of_a_large_batch_arrives(bench: Bench) -> None:
    receipt = bench.target.deliver(Batch(id="large", items=tuple(item(number) for number in range(500))))

    assert {answer.outcome for answer in receipt.answers} == {Outcome.TAKEN}
    assert len(bench.effects()) == 500


def test_a_wrong_setting_is_named_and_no_secret_shown() -> None:
    for settings in ({"kind": "http_json", "url": "http://billing", "token": "s3cret", "tokn": ""}, {"kind": "files", "path": "s3cret"}):
        with pytest.raises(Misconfigured) as refused:
            build(Target, settings)
        assert "s3cret" not in str(refused.value)
