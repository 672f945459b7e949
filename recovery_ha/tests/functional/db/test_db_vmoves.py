import pytest
from oslo_db import exception as db_exc

from recovery_ha.db import vmoves
from recovery_ha.db.paging import Page
from recovery_ha.domain import errors
from recovery_ha.domain.recovery import VMOVE, VMoveStatus


@pytest.fixture
def claimed(accept, claim):
    accept()
    return claim()


@pytest.fixture
def moves(ctx, claimed, move_row):
    vmoves.create_vmoves(ctx, claimed, [move_row(n) for n in (2, 0, 1)])
    return vmoves.list_vmoves(ctx, claimed.uuid)


def test_moves_are_listed_in_the_order_of_recovery(moves):
    assert [m.ordinal for m in moves] == [0, 1, 2]
    assert {m.status for m in moves} == {VMoveStatus.PENDING}
    assert {(m.attempts, m.locked_by_us) for m in moves} == {(0, False)}
    assert moves[0].type == "evacuation"


def test_no_rows_are_fine(ctx, claimed):
    vmoves.create_vmoves(ctx, claimed, [])
    assert vmoves.list_vmoves(ctx, claimed.uuid) == []


def test_all_or_none_are_written(ctx, claimed, move_row):
    with pytest.raises(db_exc.DBDuplicateEntry):
        vmoves.create_vmoves(ctx, claimed, [move_row(n) for n in (1, 2, 1)])
    assert vmoves.list_vmoves(ctx, claimed.uuid) == []


def test_one_move_is_found_in_its_notification_only(ctx, claimed, moves):
    move = moves[1]
    assert vmoves.get_vmove(ctx, claimed.uuid, move.uuid) == move
    assert vmoves.get_vmove(ctx, claimed.uuid, str(move.id)) == move
    for notification, reference in [
        ("another", move.uuid),
        (claimed.uuid, "0"),
        (claimed.uuid, "nonsense"),
        (claimed.uuid, "9" * 30),
    ]:
        with pytest.raises(errors.VMoveNotFound):
            vmoves.get_vmove(ctx, notification, reference)


def test_moves_are_filtered_and_paged(ctx, claimed, moves):
    vmoves.transition_vmove(ctx, claimed, moves[1], VMoveStatus.ONGOING)

    def found(page=None, **filters):
        listed = vmoves.list_vmoves(ctx, claimed.uuid, page, **filters)
        return [move.ordinal for move in listed]

    assert found(status="ongoing") == [1]
    assert found(status="nonsense") == []
    assert found(type="evacuation") == [0, 1, 2]
    by_name = (("instance_name", "desc"),)
    assert found(Page(limit=2, sort=by_name)) == [2, 1]
    marker = moves[1].uuid
    assert found(Page(marker=marker, sort=by_name)) == [0]


@pytest.mark.parametrize("start", sorted(VMoveStatus))
@pytest.mark.parametrize("target", sorted(VMoveStatus))
def test_a_move_changes_as_its_machine_says(
    ctx, claimed, move_row, start, target
):
    vmoves.create_vmoves(ctx, claimed, [move_row(0, status=str(start))])
    (move,) = vmoves.list_vmoves(ctx, claimed.uuid)

    def change():
        return vmoves.transition_vmove(
            ctx, claimed, move, target, message="said", requested_at=1.5
        )

    if target is start or target in VMOVE.moves[start]:
        changed = change()
        assert (changed.status, changed.message) == (target, "said")
        assert changed.requested_at == 1.5
        assert vmoves.list_vmoves(ctx, claimed.uuid) == [changed]
    else:
        with pytest.raises(
            errors.IllegalTransition, match=f"{start} and cannot become"
        ):
            change()
        assert vmoves.list_vmoves(ctx, claimed.uuid) == [move]


def test_what_somebody_else_ended_is_not_begun_again(ctx, claimed, moves):
    stale = moves[0]
    ongoing = vmoves.transition_vmove(ctx, claimed, stale, VMoveStatus.ONGOING)
    vmoves.transition_vmove(ctx, claimed, ongoing, VMoveStatus.SUCCEEDED)
    for status in (VMoveStatus.ONGOING, VMoveStatus.PENDING):
        with pytest.raises(errors.IllegalTransition):
            vmoves.transition_vmove(ctx, claimed, stale, status)


def test_giving_up_fails_what_has_not_ended(ctx, claimed, moves):
    one, two, three = moves
    two = vmoves.transition_vmove(ctx, claimed, two, VMoveStatus.ONGOING)
    three = vmoves.transition_vmove(ctx, claimed, three, VMoveStatus.IGNORED)
    vmoves.give_up(ctx, claimed, "No host.")
    found = vmoves.list_vmoves(ctx, claimed.uuid)
    assert [m.status for m in found] == ["failed", "failed", "ignored"]
    assert [m.message for m in found[:2]] == ["No host."] * 2
    assert found[0].end_time is not None
    assert found[2] == three
    assert one.status == "pending"
