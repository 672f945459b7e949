import itertools
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from oslo_utils import uuidutils

from recovery_ha.db import models, recovery, segments
from recovery_ha.db.paging import Page
from recovery_ha.domain import errors

START = datetime(2026, 1, 2, 3, 4, 5)
TEXTS = ["", "a", "A", "b", "\u00e4", "a b", "\U0001f600"]
DIRECTIONS = ("asc", "desc")


@pytest.fixture
def crowd(database):
    """Give many segments, with equal values and with none, and few names."""
    numbers = itertools.count()
    rows = [
        {
            "uuid": uuidutils.generate_uuid(),
            "name": f"name {next(numbers)}",
            "service_type": TEXTS[number % 3],
            "enabled": bool(number % 2),
            "description": [None, *TEXTS][number * 5 % 8],
            "recovery_method": "auto",
            "created_at": START + timedelta(seconds=number % 4),
            "updated_at": None
            if number % 3
            else START + timedelta(seconds=number % 2),
            "deleted": 0,
        }
        for number in range(23)
    ]
    with database.engine.begin() as connection:
        connection.execute(sa.insert(models.Segment), rows)


def _pages(fetch, sort, limit, reference):
    found, marker = [], None
    while part := fetch(Page(limit=limit, marker=marker, sort=sort)):
        assert len(part) <= limit
        found += part
        marker = reference(part[-1])
    return found


@pytest.mark.usefixtures("crowd")
def test_pages_put_together_are_the_whole_list(ctx):
    keys = st.lists(
        st.tuples(
            st.sampled_from(segments.SEGMENT_SORT_KEYS),
            st.sampled_from(DIRECTIONS),
        ),
        max_size=3,
        unique_by=lambda pair: pair[0],
    )

    @settings(
        max_examples=40,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(keys.map(tuple), st.integers(1, 24), st.booleans())
    def check(sort, limit, by_uuid):
        def fetch(page):
            return segments.list_segments(ctx, page)

        whole = fetch(Page(sort=sort))
        assert len({s.id for s in whole}) == 23
        paged = _pages(
            fetch, sort, limit, lambda s: s.uuid if by_uuid else str(s.id)
        )
        assert paged == whole

    check()


@pytest.mark.usefixtures("crowd")
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("key", segments.SEGMENT_SORT_KEYS)
def test_every_key_pages_in_both_directions(ctx, key, direction):
    sort = ((key, direction),)

    def fetch(page):
        return segments.list_segments(ctx, page)

    whole = fetch(Page(sort=sort))
    assert _pages(fetch, sort, 4, lambda s: s.uuid) == whole
    other = ((key, {"asc": "desc", "desc": "asc"}[direction]),)
    assert fetch(Page(sort=other)) == whole[::-1]


@pytest.mark.usefixtures("crowd")
def test_nothing_comes_before_something(ctx):
    whole = segments.list_segments(ctx, Page(sort=(("description", "asc"),)))
    missing = [s.description is None for s in whole]
    assert missing == sorted(missing, reverse=True)
    assert any(missing)


@pytest.mark.usefixtures("crowd")
def test_the_newest_comes_first_and_ties_by_id(ctx):
    whole = segments.list_segments(ctx, Page())
    order = [(s.created_at, s.id) for s in whole]
    assert order == sorted(order, reverse=True)


@pytest.mark.usefixtures("crowd")
def test_ties_are_in_the_direction_of_the_first_key(ctx):
    sort = (("recovery_method", "asc"), ("service_type", "desc"))
    whole = segments.list_segments(ctx, Page(sort=sort))
    for _, group in itertools.groupby(whole, lambda s: s.service_type):
        order = [(s.created_at, s.id) for s in group]
        assert order == sorted(order)


@pytest.mark.usefixtures("crowd")
def test_no_rows_are_a_page_too(ctx):
    assert segments.list_segments(ctx, Page(limit=0)) == []


def test_a_marker_may_be_any_row_of_the_table(ctx, segment, make_host):
    hosts = [make_host(name) for name in "abc"]
    sort = (("name", "asc"),)
    page = Page(marker=hosts[0].uuid, sort=sort)
    found = segments.list_hosts(ctx, segment.uuid, page)
    assert [h.name for h in found] == ["b", "c"]
    with pytest.raises(errors.BadRequest, match="'nobody'"):
        segments.list_hosts(ctx, segment.uuid, Page(marker="nobody"))


def test_unknown_keys_are_named_with_those_that_are(ctx):
    for fetch in (segments.list_segments, recovery.list_notifications):
        page = Page(sort=(("lease_owner", "asc"),))
        with pytest.raises(errors.BadRequest) as caught:
            fetch(ctx, page)
        assert "'lease_owner'" in str(caught.value)
        assert "created_at" in str(caught.value)


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("key", recovery.NOTIFICATION_SORT_KEYS)
def test_notifications_page_by_every_key(ctx, accept, change, key, direction):
    for number in range(5):
        uuid = accept(event=str(number)).uuid
        change(uuid, updated_at=START if number % 2 else None)
    sort = ((key, direction),)

    def fetch(page):
        return recovery.list_notifications(ctx, page)

    whole = fetch(Page(sort=sort))
    assert len(whole) == 5
    assert _pages(fetch, sort, 2, lambda n: n.uuid) == whole
