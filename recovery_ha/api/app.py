"""The WSGI application: pecan, and the middleware around it.

All of it works on the configuration, the database and the wake-up it is
given; several applications live in one process without knowing of each other.
"""

import functools
import logging
import threading
from collections.abc import Callable
from typing import Any

import pecan
import pecan.hooks
import webob
from oslo_config import cfg
from oslo_middleware import (
    cors,
    healthcheck,
    http_proxy_to_wsgi,
    request_id,
    sizelimit,
)
from oslo_middleware import opts as middleware_opts
from oslo_middleware.healthcheck import opts as healthcheck_opts

from recovery_ha import provisioning
from recovery_ha.api import errors, receivers
from recovery_ha.api.argspec import remember_signatures
from recovery_ha.api.controllers.root import Root
from recovery_ha.api.measuring import Measured
from recovery_ha.api.middleware import (
    App,
    Authentication,
    Environ,
    Faults,
    NoAuthentication,
)
from recovery_ha.api.request import JSON, ROUTE_KEY, Request
from recovery_ha.api.service import Service
from recovery_ha.api.waiting import Waiting
from recovery_ha.clients.events import Emitter
from recovery_ha.db.session import Database
from recovery_ha.policy import Policy

LOG = logging.getLogger(__name__)

_HEALTHCHECK_PATH = "/healthcheck"
#: While it exists the health check says 503, unless configured otherwise.
_HEALTHCHECK_FILE = "/etc/recovery_ha/healthcheck_disable"
#: Bytes, unless configured otherwise: a thousand reports, or the graph of a
#: deployment, do not fit in oslo.middleware's own default.
MAX_REQUEST_BODY = 4 * 2**20


def make_app(
    conf: cfg.ConfigOpts,
    database: Database,
    wake: Callable[[], None],
    *,
    events: Emitter | None = None,
    stopping: threading.Event | None = None,
    check_responses: bool = False,
) -> App:
    """Return the API as a WSGI application.

    :param wake: called after a notification was committed; must not block.
    :param events: sends what happens; None: to nobody. Whoever made it stops
        it.
    :param stopping: ends what waits when it is set.
    :param check_responses: answer 500 when an answer does not match its
        schema; for tests.
    :raises errors.InvalidConfiguration: the policy file cannot be used, or a
        network of ``[webhook] allowed_networks`` is none.
    """
    remember_signatures()
    service = Service(
        database=database,
        policy=Policy(conf),
        events=events,
        wake=functools.partial(_wake, wake),
        open=conf.api.auth_strategy == "noauth",
        max_limit=conf.api.max_limit,
        link_prefix=conf.api.link_prefix,
        duplicate_window=conf.duplicate_notification_detection_interval,
        waiting=Waiting(conf.api.max_waiting, stopping),
        plugins=provisioning.installed_plugins(),
        event_log=not conf.disable_event_log,
        default_lease=conf.reporting.default_lease,
        max_lease=conf.reporting.max_lease,
        down_time=conf.engine.service_down_time,
        webhook_networks=receivers.networks(conf),
        archives=conf.maintenance_download.archives,
        check_responses=check_responses,
    )
    app: App = pecan.Pecan(
        Root(service),
        hooks=[_Border()],
        request_cls=Request,
        use_context_locals=False,
        force_canonical=False,
        guess_content_type_from_ext=False,
    )
    for wrap in reversed(_MIDDLEWARE):
        app = wrap(app, conf)
    return app


def _wake(wake: Callable[[], None]) -> None:
    """Have the engines look for work; a failure is no concern of a request."""
    try:
        wake()
    except Exception:  # the report is committed, engines find it anyway
        LOG.exception("The engines could not be woken.")


class _Border(pecan.hooks.PecanHook):
    """Where a request enters pecan, and where an exception leaves it."""

    def on_route(self, state: Any) -> None:
        """Settle what pecan would find out from headers in its own way."""
        state.request.pecan["content_type"] = JSON

    def on_error(self, state: Any, error: Exception) -> webob.Response:
        """Return the answer for an exception."""
        return errors.answer(state.request.environ, error)


# The middleware


def _measured(app: App, conf: cfg.ConfigOpts) -> App:
    """Outermost: all that a request costs, whoever answers it."""
    return Measured(app) if conf.metrics.enabled else app


def _cors(app: App, conf: cfg.ConfigOpts) -> App:
    """Around all answers: a browser must be able to read each, faults too."""
    conf.register_opts(cors.OPTS, group="cors")
    if not conf.cors.allowed_origin:
        return app  # it would do nothing, at a price
    wrapped: App = cors.CORS(app, conf)
    return wrapped


def _proxy_headers(app: App, conf: cfg.ConfigOpts) -> App:
    """Before anything reads the request's own scheme, host or address."""
    conf.register_opts(http_proxy_to_wsgi.OPTS, group="oslo_middleware")
    if not conf.oslo_middleware.enable_proxy_headers_parsing:
        return app  # it would do nothing, at a price
    wrapped: App = http_proxy_to_wsgi.HTTPProxyToWSGI(app, conf)
    return wrapped


def _request_id(app: App, conf: cfg.ConfigOpts) -> App:
    """Around all that may log or refuse, so that each line has the id."""
    wrapped: App = request_id.RequestId(app, conf)
    return wrapped


def _healthcheck(app: App, conf: cfg.ConfigOpts) -> App:
    """Before the token and the form of faults: load balancers ask it."""
    conf.register_opts(healthcheck_opts.HEALTHCHECK_OPTS, group="healthcheck")
    conf.register_opts(
        healthcheck_opts.DISABLE_BY_FILE_OPTS, group="healthcheck"
    )
    conf.set_default("backends", ["disable_by_file"], group="healthcheck")
    conf.set_default(
        "disable_by_file_path", _HEALTHCHECK_FILE, group="healthcheck"
    )
    check: App = healthcheck.Healthcheck(None, conf)

    def choose(environ: Environ, start_response: Callable[..., Any]) -> Any:
        if environ.get("PATH_INFO", "").rstrip("/") == _HEALTHCHECK_PATH:
            environ[ROUTE_KEY] = _HEALTHCHECK_PATH
            return check(environ, start_response)
        return app(environ, start_response)

    return choose


def _faults(app: App, _conf: cfg.ConfigOpts) -> App:
    """Around what refuses in words of its own, to bring it into our form."""
    return Faults(app)


def _size_limit(app: App, conf: cfg.ConfigOpts) -> App:
    """Before anything reads the body."""
    for group, options in middleware_opts.list_opts_sizelimit():
        conf.register_opts(options, group=group)
    conf.set_default(
        "max_request_body_size", MAX_REQUEST_BODY, group="oslo_middleware"
    )
    wrapped: App = sizelimit.RequestBodySizeLimiter(app, conf)
    return wrapped


def _authentication(app: App, conf: cfg.ConfigOpts) -> App:
    """Innermost: everything outside of it works without a token."""
    if conf.api.auth_strategy == "noauth":
        return NoAuthentication(app)
    return Authentication(app, conf)


#: From the outside in; each one's docstring is the reason for its place.
_MIDDLEWARE = (
    _measured,
    _cors,
    _proxy_headers,
    _request_id,
    _healthcheck,
    _faults,
    _size_limit,
    _authentication,
)
