import threading
from concurrent import futures

import pytest

from recovery_ha.context import internal_context
from recovery_ha.db import hosts, recovery, segments, work
from recovery_ha.db.paging import Page
from recovery_ha.db.session import writer
from recovery_ha.domain import errors
from recovery_ha.domain.recovery import NotificationStatus, RecoveryMethod

UUID = "11111111-2222-3333-4444-555555555555"
#: References that nobody has: as an id of any length, as a uuid, as text.
NOBODY = ["0", "99999", "9" * 19, "9" * 40, "9" * 5000, "\u0663", UUID, "x"]


@pytest.fixture
def add(ctx):
    def add(name, **values):
        fields = {
            "recovery_method": RecoveryMethod.AUTO,
            "service_type": "COMPUTE",
        }
        return segments.create_segment(ctx, name=name, **{**fields, **values})

    return add


def test_a_segment_is_what_was_written(ctx, add):
    made = add(
        "racks \u00fc \U0001f600",
        recovery_method=RecoveryMethod.RH_PRIORITY,
        description="one\ntwo",
        enabled=False,
    )
    assert made.recovery_method is RecoveryMethod.RH_PRIORITY
    assert made.enabled is False
    assert made.updated_at is None
    assert made.created_at.microsecond == 0
    assert segments.get_segment(ctx, made.uuid) == made
    assert segments.get_segment(ctx, str(made.id)) == made
    assert segments.list_segments(ctx, Page()) == [made]


def test_a_long_description_is_kept(ctx, add):
    text = "\u00e4" * 100_000
    assert (
        segments.get_segment(ctx, add("a", description=text).uuid)
        == (segments.list_segments(ctx, Page())[0])
    )
    assert segments.list_segments(ctx, Page())[0].description == text


def test_a_segment_s_name_is_unique(ctx, add):
    first = add("a")
    with pytest.raises(errors.NameExists, match="name a already exists"):
        add("a")
    other = add("A")  # by character, case included
    with pytest.raises(errors.NameExists):
        segments.update_segment(ctx, other.uuid, {"name": "a"})
    assert segments.get_segment(ctx, other.uuid).name == "A"
    segments.update_segment(ctx, first.uuid, {"name": "a"})


def test_a_deleted_segment_s_name_may_be_used_again_and_again(ctx, add):
    for _ in range(3):
        made = add("a")
        segments.delete_segment(ctx, made.uuid)
        with pytest.raises(errors.SegmentNotFound):
            segments.get_segment(ctx, made.uuid)
    assert segments.list_segments(ctx, Page()) == []


@pytest.mark.parametrize("reference", NOBODY)
def test_what_is_not_there_is_not_found(ctx, segment, reference):
    with pytest.raises(errors.SegmentNotFound):
        segments.get_segment(ctx, reference)
    with pytest.raises(errors.SegmentNotFound):
        segments.delete_segment(ctx, reference)
    with pytest.raises(errors.HostNotFound):
        segments.get_host(ctx, segment.uuid, reference)
    with pytest.raises(errors.NotificationNotFound):
        recovery.get_notification(ctx, reference)
    with pytest.raises(errors.BadRequest, match="marker"):
        segments.list_segments(ctx, Page(marker=reference))


def test_a_segment_is_changed(ctx, segment):
    changed = segments.update_segment(
        ctx,
        str(segment.id),
        {"name": "two", "description": None, "enabled": False},
    )
    assert (changed.name, changed.enabled) == ("two", False)
    assert changed.updated_at is not None
    assert changed == segments.get_segment(ctx, segment.uuid)


def test_segments_are_filtered_by_equality(ctx, add):
    a = add("a")
    b = add("b", recovery_method=RecoveryMethod.RESERVED_HOST)
    c = add("c", service_type="other", enabled=False)

    def found(**filters):
        page = Page(sort=(("name", "asc"),))
        return segments.list_segments(ctx, page, **filters)

    assert found() == [a, b, c]
    assert found(name="b") == [b]
    assert found(recovery_method="auto") == [a, c]
    assert found(recovery_method="nonsense") == []
    assert found(service_type="other") == [c]
    assert found(enabled=False) == [c]
    assert found(enabled=True, recovery_method="auto") == [a]


# Hosts


def test_a_host_is_what_was_written(ctx, segment, make_host):
    made = make_host("c-1", reserved=True)
    assert (made.reserved, made.on_maintenance) == (True, False)
    assert made.segment == segment
    assert made.maintenance_cause is None
    assert segments.get_host(ctx, segment.uuid, made.uuid) == made
    assert segments.get_host(ctx, str(segment.id), str(made.id)) == made
    reported = hosts.find_reported_host(ctx, "c-1")
    assert reported is not None
    assert (reported.uuid, reported.name) == (made.uuid, made.name)
    assert reported.segment_uuid == made.segment.uuid
    assert hosts.find_reported_host(ctx, "C-1") is None


def test_a_host_s_name_is_unique_over_all_segments(ctx, add, make_host):
    other = add("other")
    first = make_host("c-1")
    with pytest.raises(errors.NameExists, match="c-1"):
        make_host("c-1", other.uuid)
    second = make_host("c-2", other.uuid)
    with pytest.raises(errors.NameExists):
        segments.update_host(ctx, other.uuid, second.uuid, {"name": "c-1"})
    segments.delete_host(ctx, first.segment.uuid, first.uuid)
    make_host("c-1", other.uuid)


def test_a_host_belongs_to_its_segment(ctx, add, host):
    other = add("other")
    for use in (segments.get_host, segments.delete_host):
        with pytest.raises(errors.HostNotFound):
            use(ctx, other.uuid, host.uuid)
        with pytest.raises(errors.SegmentNotFound):
            use(ctx, UUID, host.uuid)
    with pytest.raises(errors.HostNotFound):
        segments.update_host(ctx, other.uuid, host.uuid, {"name": "x"})
    with pytest.raises(errors.SegmentNotFound):
        segments.list_hosts(ctx, UUID, Page())


def test_a_deleted_segment_takes_its_hosts_along(ctx, add, segment, make_host):
    make_host("c-1")
    segments.delete_segment(ctx, segment.uuid)
    assert hosts.find_reported_host(ctx, "c-1") is None
    make_host("c-1", add("again").uuid)


def test_hosts_are_filtered_by_equality(ctx, segment, make_host):
    a = make_host("a")
    b = make_host("b", reserved=True)
    c = make_host("c", on_maintenance=True)

    def found(**filters):
        page = Page(sort=(("name", "asc"),))
        return segments.list_hosts(ctx, segment.uuid, page, **filters)

    assert found() == [a, b, c]
    assert found(reserved=True) == [b]
    assert found(reserved=False) == [a, c]
    assert found(on_maintenance=True) == [c]
    assert found(name="a") == [a]
    assert found(type="COMPUTE", on_maintenance=False) == [a, b]
    assert found(type="other") == []


def test_who_put_a_host_on_maintenance_is_kept(ctx, segment, make_host):
    host = make_host("a", on_maintenance=True)
    assert host.maintenance_cause == "operator"

    def update(**changes):
        return segments.update_host(ctx, segment.uuid, host.uuid, changes)

    assert update(reserved=True).maintenance_cause == "operator"
    assert update(on_maintenance=False).maintenance_cause is None
    assert update(on_maintenance=True).maintenance_cause == "operator"


# In use


def _uses(ctx, segment, host):
    return [
        lambda: segments.update_segment(ctx, segment.uuid, {"name": "x"}),
        lambda: segments.update_host(
            ctx, segment.uuid, host.uuid, {"name": "x"}
        ),
        lambda: segments.delete_host(ctx, segment.uuid, host.uuid),
        lambda: segments.delete_segment(ctx, segment.uuid),
    ]


@pytest.mark.parametrize("status", sorted(NotificationStatus))
def test_a_segment_is_in_use_while_a_report_has_not_ended(
    ctx, segment, host, accept, change, status
):
    uuid = accept().uuid
    change(uuid, status=str(status))
    unfinished = status in {"new", "running", "error"}
    for use in _uses(ctx, segment, host)[: None if unfinished else 1]:
        if unfinished:
            with pytest.raises(errors.SegmentInUse, match=uuid):
                use()
        else:
            use()


def test_another_segment_is_not_in_use(ctx, add, accept):
    accept()
    segments.delete_segment(ctx, add("other").uuid)


def test_a_report_and_a_deletion_do_not_pass_each_other(
    ctx, segment, host, report, together
):
    def attempt(number):
        ours = internal_context(ctx.database)
        if number % 2:
            return recovery.create_notification(ours, report())
        return segments.delete_host(ours, segment.uuid, host.uuid)

    reported, deleted = together(lambda: attempt(1), lambda: attempt(2))
    if deleted is None:
        assert isinstance(reported, errors.UnknownHostReported)
    else:
        assert isinstance(deleted, errors.SegmentInUse)
        assert reported.status == "new"


@pytest.mark.parametrize("backend", ["mysql", "postgresql"], indirect=True)
def test_no_host_is_left_behind_in_a_deleted_segment(
    ctx, add, segment, make_host
):
    """Else its name could never be used again."""
    deleted, created = threading.Event(), threading.Event()

    @writer
    def delete_slowly(ctx):
        segments.delete_segment(ctx, segment.uuid)
        deleted.set()
        created.wait(0.5)

    with futures.ThreadPoolExecutor() as pool:
        job = pool.submit(delete_slowly, internal_context(ctx.database))
        assert deleted.wait(10)
        with pytest.raises(errors.SegmentNotFound):
            make_host("c-1")
        created.set()
        job.result(30)
    make_host("c-1", add("again").uuid)


@pytest.mark.parametrize("backend", ["mysql", "postgresql"], indirect=True)
def test_a_host_that_is_being_added_is_deleted_with_its_segment(
    ctx, add, segment, make_host
):
    created = threading.Event()

    @writer
    def create_slowly(ctx):
        segments.create_host(
            ctx,
            segment.uuid,
            name="c-1",
            type="COMPUTE",
            control_attributes="SSH",
        )
        created.set()
        threading.Event().wait(0.3)

    with futures.ThreadPoolExecutor() as pool:
        job = pool.submit(create_slowly, internal_context(ctx.database))
        assert created.wait(10)
        segments.delete_segment(ctx, segment.uuid)
        job.result(30)
    make_host("c-1", add("again").uuid)


def test_nothing_of_this_touches_leases(ctx, accept, claim):
    accept()
    claimed = claim()
    work.fence(ctx, claimed)
