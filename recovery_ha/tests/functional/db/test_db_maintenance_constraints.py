"""What projects ask for their instances, and where they want to be told."""

from dataclasses import replace

import pytest
import sqlalchemy as sa

from recovery_ha.context import internal_context
from recovery_ha.db import models
from recovery_ha.db.maintenance import constraints, webhooks
from recovery_ha.db.maintenance.constraints import GROUPS, INSTANCES
from recovery_ha.db.maintenance.instance_work import max_interruptions
from recovery_ha.db.maintenance.project_work import constraints_of
from recovery_ha.db.paging import Page
from recovery_ha.domain import errors
from recovery_ha.domain.maintenance import (
    GroupConstraints,
    InstanceAction,
    InstanceConstraints,
)
from recovery_ha.tests.fixtures.asked_session import at_once

ONE = InstanceConstraints(
    instance_id="i1",
    project_id="p1",
    group_id="g1",
    migration_type=InstanceAction.OWN_ACTION,
    lead_time=120,
)
GROUP = GroupConstraints(
    group_id="g1", project_id="p1", max_impacted_members=2, recovery_time=4
)
KINDS = pytest.mark.parametrize(
    ("of", "entry"), [(INSTANCES, ONE), (GROUPS, GROUP)]
)
URL = "https://manager.example.org/maintenance"
SECRET = "a secret of some length"


@KINDS
def test_an_entry_is_replaced_as_a_whole(ctx, of, entry):
    reference = getattr(entry, of.key)
    of.put(ctx, entry)
    assert of.get(ctx, reference, "p1") == entry
    bare = type(entry)(**{of.key: reference, "project_id": "p1"})
    of.put(ctx, bare)
    assert of.get(ctx, reference, None) == bare
    of.delete(ctx, reference, "p1")
    for call in (of.get, of.delete):
        with pytest.raises(errors.ConstraintsNotFound):
            call(ctx, reference, None)


@KINDS
def test_entries_of_others(ctx, of, entry):
    reference = getattr(entry, of.key)
    foreign = replace(entry, project_id="p2")
    of.put(ctx, foreign)  # it was quicker, and keeps nobody out
    of.put(ctx, entry)
    of.put(ctx, replace(foreign, resource_mitigation=True))
    assert of.get(ctx, reference, "p1") == entry
    assert of.get(ctx, reference, "p2").resource_mitigation
    assert of.get(ctx, reference, None).project_id == "p2"  # the oldest
    for call in (of.get, of.delete):
        with pytest.raises(errors.ConstraintsNotFound):
            call(ctx, reference, "p3")
    of.delete(ctx, reference, "p2")
    assert of.get(ctx, reference, None) == entry
    of.put(ctx, foreign)
    of.delete(ctx, reference, None)  # an administrator, all of them
    for project in ("p1", "p2", None):
        with pytest.raises(errors.ConstraintsNotFound):
            of.get(ctx, reference, project)


@KINDS
def test_pages_of_entries_with_the_same_id(ctx, of, entry):
    """The marker of a page is of one row, whoever has others of that id."""
    for project in ("p1", "p2", "p3"):
        of.put(ctx, replace(entry, project_id=project))
    seen, marker = [], None
    for _ in range(4):
        found, marker = of.list_page(ctx, Page(limit=1, marker=marker), None)
        seen += [one.project_id for one in found]
        if not marker:
            break
    assert seen == ["p1", "p2", "p3"]


@KINDS
def test_lists_cost_one_statement(ctx, statements, of, entry):
    for number in range(5):
        of.put(
            ctx,
            replace(
                entry,
                **{of.key: f"x{number}", "project_id": f"p{number % 2}"},
            ),
        )

    def names(page, project_id=None):
        found, _marker = of.list_page(ctx, page, project_id)
        return [getattr(one, of.key) for one in found]

    with statements() as seen:
        assert names(Page()) == [f"x{n}" for n in range(5)]
    assert seen["SELECT"] == 1
    assert names(Page(), "p1") == ["x1", "x3"]
    assert names(Page(limit=2, marker="x1")) == ["x2", "x3"]
    assert names(Page(limit=1, marker="x0"), "p0") == ["x2"]
    with pytest.raises(errors.BadRequest, match="marker"):
        names(Page(marker="x0"), "p1")


def test_engines_read_what_was_written(ctx):
    foreign = replace(ONE, project_id="p2", lead_time=7)
    INSTANCES.put(ctx, foreign)  # of an instance that is not p2's
    INSTANCES.put(ctx, ONE)
    for project in ("p1", "p2", "p3"):
        GROUPS.put(ctx, replace(GROUP, project_id=project))
    mine, theirs = GROUP, replace(GROUP, project_id="p2")
    assert constraints_of(ctx, {"i1": "p1"}) == (
        {"i1": ONE},
        {("p1", "g1"): mine},
    )
    assert constraints_of(ctx, {"i1": "p1", "i2": "p2"}) == (
        {"i1": ONE},
        {("p1", "g1"): mine, ("p2", "g1"): theirs},
    )


def test_how_long_a_move_may_take_is_said_by_the_instance_s_project(ctx):
    foreign = replace(ONE, project_id="p2", max_interruption_time=1)
    INSTANCES.put(ctx, foreign)
    owners = {"i1": "p1", "i2": "p2"}
    assert max_interruptions(ctx, owners) == {}
    INSTANCES.put(ctx, replace(ONE, max_interruption_time=60))
    assert max_interruptions(ctx, owners) == {"i1": 60.0}


def test_upserts_at_once(database, ctx):
    def put(number):
        mine = internal_context(database)
        for turn in range(5):
            entry = replace(ONE, instance_id=f"i{turn}", lead_time=number)
            constraints.INSTANCES.put(mine, entry)

    at_once(put, range(4))
    assert len(INSTANCES.list_page(ctx, Page(), None)[0]) == 5


# Webhooks


def test_a_webhook(ctx, database):
    made = webhooks.create(ctx, project_id="p1", url=URL, secret=SECRET)
    assert made.url == URL
    assert webhooks.get(ctx, made.uuid) == made
    assert webhooks.get(ctx, str(made.id), project_id="p1") == made
    assert SECRET not in repr(made)
    with database.engine.connect() as connection:
        kept = connection.scalar(sa.select(models.Webhook.secret))
    assert kept == SECRET
    webhooks.delete(ctx, made.uuid, project_id="p1")
    for call in (webhooks.get, webhooks.delete):
        with pytest.raises(errors.WebhookNotFound):
            call(ctx, made.uuid)


def test_webhooks_of_others(ctx, statements):
    made = webhooks.create(ctx, project_id="p1", url=URL, secret=SECRET)
    other = webhooks.create(ctx, project_id="p2", url=URL, secret=SECRET)
    for call in (webhooks.get, webhooks.delete):
        with pytest.raises(errors.WebhookNotFound):
            call(ctx, made.uuid, project_id="p2")
    with statements() as seen:
        found = webhooks.list_page(ctx, Page(), project_id="p2")
    assert seen["SELECT"] == 1
    assert found == [other]
    assert webhooks.list_page(ctx, Page()) == [made, other]
    with pytest.raises(errors.BadRequest, match="marker"):
        webhooks.list_page(ctx, Page(marker=made.uuid), project_id="p2")


def test_a_project_has_a_url_once_and_a_number_of_them(ctx):
    webhooks.create(ctx, project_id="p1", url=URL, secret=SECRET)
    with pytest.raises(errors.WebhookExists, match="already"):
        webhooks.create(ctx, project_id="p1", url=URL, secret="another one")
    for number in range(1, webhooks.MOST):
        webhooks.create(
            ctx, project_id="p1", url=f"{URL}/{number}", secret=SECRET
        )
    with pytest.raises(errors.WebhookExists, match="delete one"):
        webhooks.create(ctx, project_id="p1", url=f"{URL}/x", secret=SECRET)
    assert len(webhooks.list_page(ctx, Page())) == webhooks.MOST
