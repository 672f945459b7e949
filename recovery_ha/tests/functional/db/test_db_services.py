"""Engines that report themselves, and what a session may name therefore."""

import sqlalchemy as sa

from recovery_ha.db import models, services


def beat(ctx, host="alpha", owner="alpha:1", **capabilities):
    services.beat(
        ctx,
        host=host,
        owner=owner,
        binary="recovery-ha-engine",
        version="1.0",
        capabilities=capabilities,
    )


def age(database, seconds):
    table = models.Service
    with database.engine.begin() as connection:
        connection.execute(
            sa.update(table).values(seen_at=table.seen_at - seconds)
        )


def test_an_engine_is_alive_for_a_while(ctx, database):
    beat(ctx, workflows=["rolling", "default"])
    (one,) = services.list_services(ctx)
    assert one.alive
    assert (one.host, one.owner) == ("alpha", "alpha:1")
    assert one.capabilities == {"workflows": ["default", "rolling"]}
    age(database, 50)
    assert services.list_services(ctx, 60)[0].alive
    assert not services.list_services(ctx, 40)[0].alive


def test_once_more_is_the_same_row(ctx):
    beat(ctx)
    (before,) = services.list_services(ctx)
    beat(ctx, actions=["firmware"])
    (after,) = services.list_services(ctx)
    assert (after.id, after.uuid) == (before.id, before.uuid)
    assert after.started_at == before.started_at
    assert after.seen_at >= before.seen_at
    assert after.capabilities == {"actions": ["firmware"]}


def test_started_anew_it_has_another_start(ctx, database):
    beat(ctx)
    with database.engine.begin() as connection:
        connection.execute(
            sa.text("UPDATE services SET started_at = '2001-01-01'")
        )
    beat(ctx, owner="alpha:1")
    assert services.list_services(ctx)[0].started_at.year == 2001
    beat(ctx, owner="alpha:2")
    assert services.list_services(ctx)[0].started_at.year != 2001


def test_several_at_the_same_moment(ctx, together):
    results = together(*([lambda: beat(ctx)] * 4))
    assert results == [None] * 4
    assert len(services.list_services(ctx)) == 1


def test_what_only_dead_engines_have_is_not_known(ctx, database):
    beat(ctx, workflows=["rolling"], actions=["firmware"])
    age(database, 100)
    beat(ctx, "beta", "beta:1", workflows=["slow"], actions=["fan"])
    assert services.known_workflows(ctx) == {"default", "vnf", "slow"}
    assert services.known_actions(ctx) == {"dummy", "command", "fan"}
    assert "rolling" in services.known_workflows(ctx, 200)


def test_one_that_leaves_is_down_at_once(ctx):
    beat(ctx)
    services.leave(ctx, "alpha", "alpha:0")
    assert services.list_services(ctx)[0].alive
    services.leave(ctx, "alpha", "alpha:1")
    assert not services.list_services(ctx)[0].alive


def test_old_ones_are_forgotten(ctx, database):
    beat(ctx)
    services.forget(ctx, 100)
    assert len(services.list_services(ctx)) == 1
    age(database, 101)
    services.forget(ctx, 100)
    assert services.list_services(ctx) == []
