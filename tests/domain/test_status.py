"""The arrows between states: where they lead, where they never do, and how rows sum up."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.status import ARROWS, ReadingStatus, SubmissionStatus, may_become, sources, submission_status

S = ReadingStatus
AGAIN = {(S.DEAD, S.QUEUED), (S.IN_DOUBT, S.QUEUED)}
"""The only arrows that lead back: a person, or billing's own answer, has the item sent once more."""
ENDS = {S.REJECTED, S.WITHDRAWN, S.SUPERSEDED}


def reach(start: S) -> set[S]:
    """Every state that can be reached from one."""
    found: set[S] = set()
    todo = [start]
    while todo:
        for then in ARROWS[todo.pop()] - found:
            found.add(then)
            todo.append(then)
    return found


@given(st.data())
def test_a_walk_never_comes_back_unless_an_item_is_sent_once_more(data: st.DataObject) -> None:
    now = data.draw(st.sampled_from([S.DRAFT, S.ACCEPTED, S.NEEDS_REVIEW]))
    seen = {now}
    while ways := sorted(then for then in ARROWS[now] if (now, then) not in AGAIN):
        now = data.draw(st.sampled_from(ways))
        assert now not in seen
        seen.add(now)
    assert now in ENDS


def test_from_billed_only_a_newer_version_leads_on() -> None:
    assert reach(S.BILLED) == {S.SUPERSEDED}
    assert reach(S.CALCULATED) == {S.BILLED, S.SUPERSEDED}
    assert S.QUEUED not in reach(S.ACKNOWLEDGED)


def test_what_is_rejected_or_waits_for_a_person_is_not_sent() -> None:
    assert all(reach(end) == set() for end in ENDS)
    assert not may_become(S.NEEDS_REVIEW, S.SENT)
    assert not may_become(S.REJECTED, S.QUEUED)
    assert not may_become(S.ACCEPTED, S.SENT)


def test_every_state_has_its_arrows_and_can_be_reached() -> None:
    assert set(ARROWS) == set(S)
    assert reach(S.DRAFT) == {S.WITHDRAWN, S.SUPERSEDED}, "what is handed in is a submission of its own"
    assert reach(S.NEEDS_REVIEW) == set(S) - {S.DRAFT, S.NEEDS_REVIEW}
    assert all(may_become(before, state) for state in S for before in sources(state))
    assert {(before, state) for state in S for before in sources(state)} == {(now, then) for now, all_ in ARROWS.items() for then in all_}


@given(accepted=st.integers(0, 5), in_review=st.integers(0, 5), rejected=st.integers(0, 5))
def test_a_submission_is_what_its_rows_are(accepted: int, in_review: int, rejected: int) -> None:
    status = submission_status(accepted, in_review, rejected)
    if accepted:
        assert status == (SubmissionStatus.PARTLY_ACCEPTED if in_review or rejected else SubmissionStatus.ACCEPTED)
    else:
        assert status == (SubmissionStatus.IN_REVIEW if in_review else SubmissionStatus.REJECTED)
