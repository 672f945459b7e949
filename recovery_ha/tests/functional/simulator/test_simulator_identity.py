"""Keystone, through keystoneauth and keystonemiddleware."""

import importlib
import json
import time

import pytest
from keystoneauth1 import exceptions
from oslo_config import cfg
from werkzeug.test import Client


def test_who_may_log_in(connect):
    for user, password, project, roles in (
        ("admin", "admin", "admin", {"admin", "manager", "member", "reader"}),
        ("demo", "demo", "demo", {"member", "reader"}),
        ("reader", "reader", "admin", {"reader"}),
    ):
        access = connect(user, password, project).session.auth.get_access(
            connect().session
        )
        assert set(access.role_names) == roles
        assert access.project_name == project
    service = connect("service", "secret", "service")
    access = service.session.auth.get_access(service.session)
    assert {"admin", "service"} <= set(access.role_names)


@pytest.mark.parametrize(
    ("user", "password", "project"),
    [
        ("admin", "wrong", "admin"),
        ("nobody", "admin", "admin"),
        ("admin", "admin", "nowhere"),
        ("demo", "demo", "admin"),
    ],
)
def test_who_may_not(connect, user, password, project):
    connection = connect(user, password, project)
    with pytest.raises(exceptions.Unauthorized) as error:
        connection.session.get_token()
    assert "requires authentication" in str(error.value)


def test_system_scope_and_no_scope(connect):
    system = connect(project=None, system_scope="all")
    assert system.session.auth.get_access(system.session).system
    unscoped = connect(project=None)
    access = unscoped.session.auth.get_access(unscoped.session)
    assert (access.role_names, access.scoped) == ([], False)


def test_a_token_from_a_token(simulator, cloud):
    token = cloud.session.get_token()
    scope = {"project": {"name": "admin", "domain": {"id": "default"}}}
    identity = {"methods": ["token"], "token": {"id": token}}
    answer = cloud.session.session.post(
        f"{simulator.auth_url}/auth/tokens",
        json={"auth": {"identity": identity, "scope": scope}},
    )
    assert answer.status_code == 201
    assert answer.headers["X-Subject-Token"] != token
    assert answer.json()["token"]["methods"] == ["password", "token"]


def test_validation_and_revocation(simulator, cloud):
    http, url = cloud.session.session, f"{simulator.auth_url}/auth/tokens"
    own = cloud.session.get_token()
    headers = {"X-Auth-Token": own, "X-Subject-Token": own}
    assert http.get(url, headers=headers).json()["token"]["catalog"]
    plain = http.get(f"{url}?nocatalog", headers=headers).json()
    assert "catalog" not in plain["token"]
    assert http.head(url, headers=headers).status_code == 200
    unknown = {**headers, "X-Subject-Token": "unknown"}
    assert http.get(url, headers=unknown).status_code == 404
    assert http.delete(url, headers=headers).status_code == 204
    assert http.get(url, headers=headers).status_code == 401


def test_expired_tokens_are_renewed_by_clients(control, cloud):
    assert list(cloud.compute.services())
    assert control.expire_tokens() == 1
    assert list(cloud.compute.services())
    counts = control.counts()
    assert counts["identity"]["POST /auth/tokens"] == 2


def test_tokens_have_an_end(world, simulator, cloud):
    simulator.settings.token_seconds = 0.05
    token = cloud.session.get_token()
    deadline = time.monotonic() + 5
    world.wait(lambda: world.identity.token(token) is None)
    assert time.monotonic() < deadline


# WebOb imports cgi, which Python 3.11 to 3.12 warn of, at its first import.
@pytest.mark.filterwarnings("ignore:'cgi' is deprecated")
def test_keystonemiddleware_validates(simulator, connect):
    auth_token = importlib.import_module("keystonemiddleware.auth_token")

    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "application/json")])
        names = ("HTTP_X_USER_NAME", "HTTP_X_PROJECT_NAME", "HTTP_X_ROLES")
        return [json.dumps([environ.get(name) for name in names]).encode()]

    protected = Client(
        auth_token.AuthProtocol(
            application,
            {
                "oslo_config_config": cfg.ConfigOpts(),
                "www_authenticate_uri": simulator.auth_url,
                "auth_url": simulator.auth_url,
                "auth_type": "password",
                "username": "service",
                "password": "secret",
                "project_name": "service",
                "user_domain_id": "default",
                "project_domain_id": "default",
                "service_token_roles_required": True,
                "delay_auth_decision": False,
                "token_cache_time": -1,
            },
        )
    )
    token = connect("demo", project="demo").session.get_token()
    answer = protected.get("/", headers={"X-Auth-Token": token})
    assert answer.json == ["demo", "demo", "member,reader"]
    for headers in ({}, {"X-Auth-Token": "made-up"}):
        assert protected.get("/", headers=headers).status_code == 401


def test_what_is_read_of_the_rest(cloud):
    assert {user.name for user in cloud.identity.users()} == {
        "admin",
        "service",
        "demo",
        "reader",
    }
    project = cloud.identity.find_project("demo")
    assert cloud.identity.get_project(project.id).name == "demo"
    assert {role.name for role in cloud.identity.roles()} >= {"admin"}
    assert len(list(cloud.identity.role_assignments())) == 12
