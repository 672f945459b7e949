"""One keystoneauth session, whose requests leave only while they may.

Between deciding to act and the bytes leaving lie milliseconds of library
code, or a round trip for a new token. The guard of the calling thread is
asked last of all, right before the request is written.
"""

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

import requests
from keystoneauth1 import loading
from keystoneauth1 import session as ka_session
from keystoneauth1.exceptions import auth_plugins
from oslo_config import cfg

from recovery_ha.conf import nova
from recovery_ha.domain import errors

_guard: ContextVar[Callable[[], None] | None] = ContextVar(
    "request_guard", default=None
)
#: Connections kept open to one service; more threads than that wait.
_POOL_SIZE = 64


@contextlib.contextmanager
def guarded(check: Callable[[], None]) -> Iterator[None]:
    """Ask ``check`` right before each request of this thread is sent.

    :param check: raises what is to stop the request.
    """
    token = _guard.set(check)
    try:
        yield
    finally:
        _guard.reset(token)


class _GuardedAdapter(ka_session.TCPKeepAliveAdapter):
    def send(
        self, request: requests.PreparedRequest, *args: Any, **kwargs: Any
    ) -> requests.Response:
        check = _guard.get()
        if check is not None:
            check()
        response: requests.Response = super().send(request, *args, **kwargs)
        return response


def load_session(conf: cfg.ConfigOpts) -> ka_session.Session:
    """Return the session that group [nova] describes; nothing is sent yet.

    :raises errors.InvalidConfiguration: no way to authenticate is given, or
        one that cannot be used; the text says why.
    """
    try:
        auth = loading.load_auth_from_conf_options(conf, nova.GROUP)
    except auth_plugins.AuthPluginException as exc:
        raise errors.InvalidConfiguration(f"[{nova.GROUP}]: {exc}") from exc
    if auth is None:
        raise errors.InvalidConfiguration(
            f"[{nova.GROUP}] auth_type is not set: the engine does not know"
            " how to log in to Keystone. Example: auth_type = password,"
            " auth_url, username, password, project_name,"
            " user_domain_name, project_domain_name."
        )
    http = requests.Session()
    for scheme in ("http://", "https://"):
        http.mount(
            scheme,
            _GuardedAdapter(
                pool_connections=8, pool_maxsize=_POOL_SIZE, pool_block=True
            ),
        )
    return loading.load_session_from_conf_options(
        conf, nova.GROUP, auth=auth, session=http
    )
