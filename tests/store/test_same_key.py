"""Two posts under one idempotency key that meet in one transaction: one is taken, the other told so, and nobody turns in circles."""

from gateway import pipeline
from gateway.domain.problems import Rejected
from gateway.pipeline import Repeated, Replayed, Taken
from tests.store.ground import Aside, Ground


def test_the_same_key_for_other_bytes_in_one_group_is_refused(ground: Ground) -> None:
    [meter] = ground.meters(1)
    posts = [ground.post({meter: 150}, key="k"), ground.post({meter: 160}, key="k")]
    first, second = Aside(lambda: pipeline.receive(ground.store, posts, translated=True)).end(10)
    assert isinstance(first, Taken)
    assert isinstance(second, Rejected)
    assert [problem.code for problem in second.problems] == ["idempotency_key_reused"]
    assert ground.one("select count(*) from submission") == 1


def test_the_same_key_and_bytes_twice_in_one_group_are_one_submission(ground: Ground) -> None:
    [meter] = ground.meters(1)
    post = ground.post({meter: 150}, key="k")
    first, second = Aside(lambda: pipeline.receive(ground.store, [post, post], translated=True)).end(10)
    assert isinstance(first, Taken)
    assert isinstance(second, (Replayed, Repeated))
    assert ground.one("select count(*) from submission") == 1
