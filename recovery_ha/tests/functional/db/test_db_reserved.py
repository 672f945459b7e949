"""Reserved hosts: each is one recovery's at most, and nothing is lost."""

import pytest

from recovery_ha.context import internal_context
from recovery_ha.db import precedence, recovery, reserved, segments, work
from recovery_ha.db.reserved import UseStatus


@pytest.fixture
def reserve(make_host):
    return make_host("reserve", reserved=True)


@pytest.fixture
def claims(ctx, host, report, claim):
    """Return a function that gives claims of so many recoveries."""

    def claims(number):
        found = []
        for n in range(number):
            recovery.create_notification(ctx, report(event=str(n)))
            found.append(claim(f"engine-{n}"))
        return found

    assert host.name == "compute-1"
    return claims


@pytest.fixture
def is_reserved(ctx, segment, reserve):
    def is_reserved():
        return segments.get_host(ctx, segment.uuid, reserve.uuid).reserved

    return is_reserved


def only_use(ctx, claimed):
    (use,) = reserved.list_uses(ctx, claimed.uuid)
    return use


def test_they_are_tried_in_the_order_of_registration(ctx, segment, make_host):
    make_host("z", reserved=True)
    make_host("a", reserved=True)
    make_host("b")
    make_host("c", reserved=True, on_maintenance=True)
    gone = make_host("d", reserved=True)
    segments.delete_host(ctx, segment.uuid, gone.uuid)
    other = segments.create_segment(
        ctx,
        name="other",
        recovery_method=segment.recovery_method,
        service_type="COMPUTE",
    )
    make_host("e", other.uuid, reserved=True)
    assert reserved.list_reserved(ctx, segment.uuid) == ["z", "a"]


def test_what_is_taken_is_on_record_once_and_still_reserved(
    ctx, reserve, claims, is_reserved
):
    (claimed,) = claims(1)
    assert reserved.take(ctx, claimed, 1, "reserve")
    assert reserved.take(ctx, claimed, 1, "reserve")
    use = only_use(ctx, claimed)
    assert (use.host_uuid, use.host_name) == (reserve.uuid, "reserve")
    assert (use.status, use.enabled_by_us) == ("taken", False)
    assert (use.disabled_reason, use.aggregates) == (None, ())
    assert is_reserved()
    assert reserved.take(ctx, claimed, 2, "reserve")
    assert len(reserved.list_uses(ctx, claimed.uuid)) == 2


def test_one_of_many_takers_wins(ctx, reserve, claims, together):
    many = claims(6)
    results = together(
        *(
            lambda c=c: reserved.take(
                internal_context(ctx.database), c, 1, "reserve"
            )
            for c in many
        )
    )
    assert sorted(results) == [False] * 5 + [True], results
    winner = many[results.index(True)]
    assert only_use(ctx, winner).host_name == reserve.name
    for claimed in many:
        if claimed is not winner:
            assert reserved.list_uses(ctx, claimed.uuid) == []


def test_of_a_taker_and_the_host_s_own_recovery_one_wins(
    ctx, reserve, claims, report, claim, together
):
    (claimed,) = claims(1)
    made = recovery.create_notification(ctx, report(reserve.name))
    failed = claim("other")
    took, awaited = together(
        lambda: reserved.take(
            internal_context(ctx.database), claimed, 1, "reserve"
        ),
        lambda: precedence.lock_host(
            internal_context(ctx.database), failed, made
        ),
    )
    assert took is (awaited is not None), (took, awaited)
    if took:
        assert awaited == precedence.Awaited(claimed.uuid, joined=False)


@pytest.mark.parametrize(
    "change", [{"reserved": False}, {"on_maintenance": True}, None]
)
def test_what_is_a_reserve_no_more_is_not_taken(
    ctx, segment, reserve, claims, change
):
    if change is None:
        segments.delete_host(ctx, segment.uuid, reserve.uuid)
    else:
        segments.update_host(ctx, segment.uuid, reserve.uuid, change)
    one, other = claims(2)
    assert not reserved.take(ctx, one, 1, "reserve")
    assert reserved.list_uses(ctx, one.uuid) == []
    # And it is not locked.
    assert work.lock_resource(ctx, other, "host", "reserve") is None


def test_what_is_begun_is_reserved_no_more(ctx, reserve, claims, is_reserved):
    one, other = claims(2)
    reserved.take(ctx, one, 1, "reserve")
    reserved.begin(
        ctx,
        one,
        only_use(ctx, one),
        disabled=True,
        reason="Kept in reserve.",
        aggregates=[3, 4],
    )
    use = only_use(ctx, one)
    assert (use.status, use.enabled_by_us) == (UseStatus.USED, True)
    assert (use.disabled_reason, use.aggregates) == (
        "Kept in reserve.",
        (3, 4),
    )
    assert not is_reserved()
    assert not reserved.take(ctx, other, 1, reserve.name)


def test_what_is_kept_is_no_reserve_for_anybody(
    ctx, segment, claims, is_reserved
):
    one, other = claims(2)
    reserved.take(ctx, one, 1, "reserve")
    reserved.keep(ctx, one, only_use(ctx, one))
    assert only_use(ctx, one).status is UseStatus.KEPT
    assert not is_reserved()
    work.release(ctx, one, wake_in=None, status="finished")
    assert not reserved.take(ctx, other, 1, "reserve")
    assert reserved.list_reserved(ctx, segment.uuid) == []


def test_what_is_given_back_is_free_for_others(ctx, claims, is_reserved):
    one, other = claims(2)
    reserved.take(ctx, one, 1, "reserve")
    reserved.begin(
        ctx,
        one,
        only_use(ctx, one),
        disabled=False,
        reason=None,
        aggregates=[],
    )
    reserved.give_back(ctx, one, only_use(ctx, one))
    assert only_use(ctx, one).status is UseStatus.GIVEN_BACK
    assert is_reserved()
    assert reserved.take(ctx, other, 1, "reserve")
