"""Keystone, version 3: tokens, the catalog and what is read of the rest."""

import datetime as dt
from typing import Any

from werkzeug.wrappers import Request

from recovery_ha.simulator.errors import (
    BadRequest,
    NotFound,
    SimulatorError,
)
from recovery_ha.simulator.identity import (
    DOMAIN,
    ROLES,
    Identity,
    Project,
    Token,
    User,
    role_id,
)
from recovery_ha.simulator.records import stable_uuid
from recovery_ha.simulator.routing import (
    Answer,
    Context,
    Routes,
    Service,
    Version,
)

ROUTES = Routes()
INTERFACES = ("public", "internal", "admin")
TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
}
REFUSED = "The request you have made requires authentication."


class _Refused(SimulatorError):
    """Name, password or scope are wrong; Keystone does not say which."""

    status = 401

    def __init__(self) -> None:
        super().__init__(REFUSED)


def _error(status: int, message: str) -> dict[str, Any]:
    title = TITLES.get(status, "Error")
    return {"error": {"code": status, "message": message, "title": title}}


def _negotiate(request: Request) -> Version:
    """Keystone has no microversions."""
    del request
    return (3, 14)


def _headers(version: Version) -> dict[str, str]:
    """Return what keystonemiddleware and proxies look for."""
    del version
    return {"Vary": "X-Auth-Token"}


SERVICE = Service(
    "identity", "/identity", "/v3", ROUTES, _negotiate, _headers, _error
)


def _version(context: Context) -> dict[str, Any]:
    return {
        "id": "v3.14",
        "status": "stable",
        "updated": "2020-04-07T00:00:00Z",
        "links": [{"rel": "self", "href": f"{context.root_url}/identity/v3/"}],
        "media-types": [
            {
                "base": "application/json",
                "type": "application/vnd.openstack.identity-v3+json",
            }
        ],
    }


@ROUTES.add("GET", "/versions", public=True)
def versions(context: Context) -> Answer:
    """List the versions of the API."""
    return 300, {"versions": {"values": [_version(context)]}}


@ROUTES.add("GET", "/", public=True)
def version(context: Context) -> Answer:
    """Describe the only version."""
    return 200, {"version": _version(context)}


@ROUTES.add("POST", "/auth/tokens", public=True)
def create_token(context: Context) -> Answer:
    """Issue a token, unscoped or for a project or the system."""
    body = context.body
    if not isinstance(body, dict) or "auth" not in body:
        raise BadRequest("Expecting to find auth in request body.")
    try:
        return _create_token(context, body["auth"])
    except (KeyError, TypeError, AttributeError) as error:
        raise BadRequest(f"Malformed authentication: {error}") from error


def _create_token(context: Context, auth: dict[str, Any]) -> Answer:
    identity = context.world.identity
    methods = auth["identity"]["methods"]
    parent = None
    if "token" in methods:
        parent = identity.token(auth["identity"]["token"]["id"])
        if parent is None:
            raise NotFound("Could not recognize Fernet token")
        user = parent.user
        methods = sorted({*parent.methods, "token"})
    else:
        user = _log_in(identity, auth["identity"]["password"]["user"])
    project, system = _scope(identity, user, auth.get("scope"))
    token = identity.issue(user, methods, parent)
    token.project, token.system = project, system
    headers = {"X-Subject-Token": token.id}
    return 201, {"token": _token(context, token)}, headers


def _log_in(identity: Identity, given: dict[str, Any]) -> User:
    try:
        user = identity.user(given.get("id") or given["name"])
    except KeyError as error:
        raise _Refused from error
    if given.get("password") != user.password:
        raise _Refused
    if "name" in given and not _in_domain(given.get("domain")):
        raise _Refused
    return user


def _in_domain(domain: dict[str, str] | None) -> bool:
    """Return whether a domain is the only one, given by id or name."""
    domain = domain or DOMAIN
    return any(domain.get(key) == DOMAIN[key] for key in DOMAIN)


def _scope(
    identity: Identity, user: User, scope: dict[str, Any] | str | None
) -> tuple[Project | None, bool]:
    if scope is None or isinstance(scope, str):
        return None, False
    if "system" in scope:
        if not user.system:
            raise _Refused
        return None, True
    wanted = scope.get("project")
    if not wanted:
        raise _Refused
    try:
        project = identity.project(wanted.get("id") or wanted["name"])
    except KeyError as error:
        raise _Refused from error
    if "name" in wanted and not _in_domain(wanted.get("domain")):
        raise _Refused
    if project != user.project:
        raise _Refused
    return project, False


def _token(
    context: Context, token: Token, *, catalog: bool = True
) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "methods": token.methods,
        "user": {
            "domain": DOMAIN,
            "id": token.user.id,
            "name": token.user.name,
            "password_expires_at": None,
        },
        "audit_ids": token.audit_ids,
        "expires_at": _time(token.expires_at),
        "issued_at": _time(token.issued_at),
    }
    if token.project is not None:
        shown["project"] = {
            "domain": DOMAIN,
            "id": token.project.id,
            "name": token.project.name,
        }
        shown["is_domain"] = False
    if token.system:
        shown["system"] = {"all": True}
    if token.roles:
        shown["roles"] = [
            {"id": role_id(name), "name": name} for name in token.roles
        ]
        if catalog:
            shown["catalog"] = _catalog(context)
    return shown


def _time(time: dt.datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _catalog(context: Context) -> list[dict[str, Any]]:
    settings = context.world.settings
    root = context.root_url
    services = (
        ("identity", "keystone", f"{root}/identity/v3"),
        ("compute", "nova", f"{root}/compute/v2.1"),
        ("placement", "placement", f"{root}/placement"),
        ("image", "glance", f"{root}/image"),
        ("alarming", "aodh", f"{root}/alarm"),
        ("instance-ha", "masakari", settings.instance_ha_url),
    )
    return [
        {
            "id": _hex("service", type_),
            "type": type_,
            "name": name,
            "endpoints": [
                {
                    "id": _hex("endpoint", type_, interface),
                    "interface": interface,
                    "region": settings.region,
                    "region_id": settings.region,
                    "url": url,
                }
                for interface in INTERFACES
            ],
        }
        for type_, name, url in services
    ]


def _hex(*names: str) -> str:
    return stable_uuid(*names).replace("-", "")


def _subject(context: Context) -> Token:
    key = context.request.headers.get("X-Subject-Token")
    if key is None:
        raise NotFound("No token in the request")
    token = context.world.identity.token(key)
    if token is None:
        raise NotFound("Could not recognize Fernet token")
    return token


@ROUTES.add("GET", "/auth/tokens")
def show_token(context: Context) -> Answer:
    """Validate a token; HEAD is answered from here too."""
    token = _subject(context)
    shown = _token(context, token, catalog="nocatalog" not in context.args)
    return 200, {"token": shown}, {"X-Subject-Token": token.id}


@ROUTES.add("DELETE", "/auth/tokens")
def revoke_token(context: Context) -> Answer:
    """Revoke a token."""
    context.world.identity.revoke(_subject(context).id)
    return 204, None


@ROUTES.add("GET", "/auth/catalog")
def show_catalog(context: Context) -> Answer:
    """Show the catalog, which has the same endpoints for everyone."""
    return 200, _listed(context, "catalog", _catalog(context))


@ROUTES.add("GET", "/auth/projects")
def list_own_projects(context: Context) -> Answer:
    """List the projects that the caller may log in to."""
    shown = [_project(context, context.caller.user.project)]
    return 200, _listed(context, "projects", shown)


@ROUTES.add("GET", "/projects")
def list_projects(context: Context) -> Answer:
    """List the projects, perhaps of one name."""
    name = context.args.get("name")
    shown = [
        _project(context, project)
        for project in context.world.identity.projects
        if name in {None, project.name}
    ]
    return 200, _listed(context, "projects", shown)


@ROUTES.add("GET", "/projects/<project_id>")
def show_project(context: Context) -> Answer:
    """Show a project."""
    for project in context.world.identity.projects:
        if project.id == context.params["project_id"]:
            return 200, {"project": _project(context, project)}
    raise NotFound(f"Could not find project: {context.params['project_id']}.")


@ROUTES.add("GET", "/users")
def list_users(context: Context) -> Answer:
    """List the users, perhaps of one name."""
    name = context.args.get("name")
    shown = [
        _user(context, user)
        for user in context.world.identity.users
        if name in {None, user.name}
    ]
    return 200, _listed(context, "users", shown)


@ROUTES.add("GET", "/users/<user_id>")
def show_user(context: Context) -> Answer:
    """Show a user."""
    for user in context.world.identity.users:
        if user.id == context.params["user_id"]:
            return 200, {"user": _user(context, user)}
    raise NotFound(f"Could not find user: {context.params['user_id']}.")


@ROUTES.add("GET", "/role_assignments")
def list_assignments(context: Context) -> Answer:
    """List who has which role where, with names."""
    shown = [
        {
            "user": {"id": user.id, "name": user.name, "domain": DOMAIN},
            "role": {"id": role_id(role), "name": role},
            "scope": {
                "project": {
                    "id": user.project.id,
                    "name": user.project.name,
                    "domain": DOMAIN,
                }
            },
        }
        for user in context.world.identity.users
        for role in user.roles
    ]
    return 200, _listed(context, "role_assignments", shown)


@ROUTES.add("GET", "/roles")
def list_roles(context: Context) -> Answer:
    """List the roles."""
    shown = [{"id": role_id(name), "name": name} for name in ROLES]
    return 200, _listed(context, "roles", shown)


@ROUTES.add("GET", "/domains")
def list_domains(context: Context) -> Answer:
    """List the only domain."""
    return 200, _listed(context, "domains", [{**DOMAIN, "enabled": True}])


@ROUTES.add("GET", "/regions")
def list_regions(context: Context) -> Answer:
    """List the only region."""
    region = {
        "id": context.world.settings.region,
        "description": "",
        "parent_region_id": None,
    }
    return 200, _listed(context, "regions", [region])


def _project(context: Context, project: Project) -> dict[str, Any]:
    return {
        "id": project.id,
        "name": project.name,
        "domain_id": DOMAIN["id"],
        "parent_id": DOMAIN["id"],
        "is_domain": False,
        "enabled": True,
        "description": "",
        "tags": [],
        "options": {},
        "links": _self(context, "projects", project.id),
    }


def _user(context: Context, user: User) -> dict[str, Any]:
    return {
        "id": user.id,
        "name": user.name,
        "domain_id": DOMAIN["id"],
        "enabled": True,
        "default_project_id": user.project.id,
        "password_expires_at": None,
        "options": {},
        "links": _self(context, "users", user.id),
    }


def _self(context: Context, collection: str, id_: str) -> dict[str, str]:
    base = f"{context.root_url}/identity/v3"
    return {"self": f"{base}/{collection}/{id_}"}


def _listed(
    context: Context, key: str, items: list[dict[str, Any]]
) -> dict[str, Any]:
    here = f"{context.root_url}/identity/v3{context.path}"
    links = {"next": None, "previous": None, "self": here}
    return {key: items, "links": links}
