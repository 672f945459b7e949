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
from urllib3 import connection, connectionpool

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


class _GuardedConnection(connection.HTTPConnection):
    def send(self, data: Any) -> None:
        """Send bytes, unless the guard of the thread has them stay.

        What remains between its word and the kernel's is a function call. A
        request is sent in two pieces, and without the second it is none.
        """
        if self.sock is None:
            self.connect()
        check = _guard.get()
        if check is not None:
            check()
        super().send(data)


class _GuardedTLSConnection(_GuardedConnection, connection.HTTPSConnection):
    pass


class _GuardedPool(connectionpool.HTTPConnectionPool):
    ConnectionCls = _GuardedConnection


class _GuardedTLSPool(connectionpool.HTTPSConnectionPool):
    ConnectionCls = _GuardedTLSConnection


class _GuardedAdapter(ka_session.TCPKeepAliveAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {
            "http": _GuardedPool,
            "https": _GuardedTLSPool,
        }


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
