"""How many statements a call costs: constant, however many rows there are."""

import pytest

from recovery_ha.db import recovery, segments, vmoves
from recovery_ha.db.paging import Page
from recovery_ha.domain import errors


def _queries(seen):
    ends = {"BEGIN", "COMMIT", "ROLLBACK", "PRAGMA", "SET", "SHOW"}
    return sum(n for word, n in seen.items() if word not in ends)


def test_accepting_a_report_costs_three(ctx, host, report, statements):
    for number in range(3):
        with statements() as seen:
            recovery.create_notification(ctx, report(event=str(number)))
        assert (seen["SELECT"], seen["INSERT"]) == (1, 2)
        assert _queries(seen) == 3
    assert host.name == "compute-1"


def test_refusing_a_duplicate_costs_no_more_with_many_rows(accept, statements):
    costs = []
    for number in range(3):
        accept(event=str(number))
        with statements() as seen, pytest.raises(errors.DuplicateNotification):
            accept(event="0")
        costs.append(_queries(seen))
    assert len(set(costs)) == 1
    assert costs[0] <= 8


@pytest.mark.parametrize("what", ["segments", "hosts", "notifications"])
def test_a_page_costs_the_same_with_many_rows(
    ctx, segment, make_host, report, statements, what
):
    fetch = {
        "segments": lambda: segments.list_segments(ctx, Page()),
        "hosts": lambda: segments.list_hosts(ctx, segment.uuid, Page()),
        "notifications": lambda: recovery.list_notifications(ctx, Page()),
    }[what]
    costs = []
    for number in range(8):
        make_host(f"h-{number}")
        recovery.create_notification(ctx, report(f"h-{number}"))
        segments.create_segment(
            ctx,
            name=f"s-{number}",
            recovery_method="auto",
            service_type="x",
        )
        with statements() as seen:
            assert len(fetch()) >= number
        costs.append(_queries(seen))
    assert set(costs) == {2 if what == "hosts" else 1}


def test_a_page_of_moves_costs_one(ctx, accept, claim, statements):
    accept()
    claimed = claim()
    with statements() as seen:
        vmoves.list_vmoves(ctx, claimed.uuid)
    assert _queries(seen) == 1
