"""Users, projects, roles and tokens: the state of Keystone."""

import contextlib
import dataclasses
import datetime as dt
import secrets
from typing import TypeVar

from recovery_ha.simulator.records import now, stable_uuid
from recovery_ha.simulator.settings import Settings

IMPLIED = ("manager", "member", "reader")
ROLES = ("admin", "service", *IMPLIED)
DOMAIN = {"id": "default", "name": "Default"}


def _id(*names: str) -> str:
    return stable_uuid(*names).replace("-", "")


@dataclasses.dataclass(frozen=True)
class Project:
    """A project of the domain default."""

    name: str

    @property
    def id(self) -> str:
        """Return its id, the same in every run."""
        return _id("project", self.name)


@dataclasses.dataclass(frozen=True)
class User:
    """A user of the domain default, with roles in one project.

    :param system: whether it has its roles on the whole system too
    """

    name: str
    password: str
    project: Project
    roles: tuple[str, ...]
    system: bool = False

    @property
    def id(self) -> str:
        """Return its id, the same in every run."""
        return _id("user", self.name)


@dataclasses.dataclass
class Token:
    """A token and what it allows. It belongs to no project when unscoped."""

    id: str
    user: User
    methods: list[str]
    expires_at: dt.datetime
    issued_at: dt.datetime
    audit_ids: list[str]
    project: Project | None = None
    system: bool = False

    @property
    def roles(self) -> tuple[str, ...]:
        """Return the names of its roles."""
        return self.user.roles if self.project or self.system else ()

    @property
    def admin(self) -> bool:
        """Return whether it may do everything."""
        return "admin" in self.roles


T = TypeVar("T", User, Project)
#: How each token begins that is made here.
_MADE_HERE = "sim-"


def role_id(name: str) -> str:
    """Return the id of a role."""
    return _id("role", name)


class Identity:
    """The users, fixed, and the tokens. Callers hold the lock."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        admin, service, demo = map(Project, ("admin", "service", "demo"))
        self.projects = [admin, service, demo]
        # The simulator protects nothing; these are printed at its start.
        self.users = [
            User("admin", "admin", admin, ("admin", *IMPLIED), system=True),
            User(
                "service",
                "secret",
                service,
                ("admin", "service", *IMPLIED),
                system=True,
            ),
            User("demo", "demo", demo, ("member", "reader")),
            User("reader", "reader", admin, ("reader",), system=True),
        ]
        self._tokens: dict[str, Token] = {}

    def user(self, key: str) -> User:
        """Return a user by name or id.

        :raises KeyError: there is none
        """
        return _find(self.users, key)

    def project(self, key: str) -> Project:
        """Return a project by name or id.

        :raises KeyError: there is none
        """
        return _find(self.projects, key)

    def add_project(self, name: str) -> Project:
        """Add a project with a member of the same name and password.

        One that exists is returned as it is.
        """
        with contextlib.suppress(KeyError):
            return self.project(name)
        project = Project(name)
        self.projects.append(project)
        self.users.append(User(name, name, project, ("member", "reader")))
        return project

    def member_token(self, project: Project) -> Token:
        """Make a token of a member of a project."""
        user = next(one for one in self.users if one.project == project)
        token = self.issue(user, ["password"])
        token.project = project
        return token

    def issue(
        self, user: User, methods: list[str], parent: Token | None = None
    ) -> Token:
        """Make an unscoped token.

        :param parent: the token it is made from, whose end it shares
        """
        issued = now()
        life = dt.timedelta(seconds=self._settings.token_seconds)
        audit = [secrets.token_urlsafe(16)]
        token = Token(
            id=_MADE_HERE + secrets.token_urlsafe(48),
            user=user,
            methods=methods,
            issued_at=issued,
            expires_at=issued + life,
            audit_ids=audit,
        )
        if parent is not None:
            token.expires_at = parent.expires_at
            token.audit_ids = audit + parent.audit_ids[-1:]
        self._forget_expired()
        self._tokens[token.id] = token
        return token

    def token(self, token_id: str | None) -> Token | None:
        """Return a token that is valid now, or None."""
        token = self._tokens.get(token_id or "")
        if token is None or token.expires_at <= now():
            return None
        return token

    def foreign_token(self, token_id: str | None) -> Token | None:
        """Return an administrator's token for one of another Keystone.

        :returns: None: the token is one of those made here, or there is none.
        """
        if not token_id or token_id.startswith(_MADE_HERE):
            return None
        token = self.issue(self.user("admin"), ["token"])
        token.project = token.user.project
        self.revoke(token.id)  # good for this one request
        return token

    def revoke(self, token_id: str) -> None:
        """Make a token invalid."""
        self._tokens.pop(token_id, None)

    def expire_all(self) -> int:
        """Let every token expire now and return how many there were."""
        number = len(self._tokens)
        self._tokens.clear()
        return number

    def _forget_expired(self) -> None:
        time = now()
        for token in list(self._tokens.values()):
            if token.expires_at > time:
                # They were issued in order, so the others are valid too.
                break
            del self._tokens[token.id]


def _find(things: list[T], key: str) -> T:
    for thing in things:
        if key in {thing.id, thing.name}:
            return thing
    raise KeyError(key)
