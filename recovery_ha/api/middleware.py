"""The middleware of our own: faults in one form, and whose token it is."""

import re
from collections.abc import Callable, Iterable
from typing import Any

from keystoneauth1 import exceptions as keystone_exc
from oslo_config import cfg

from recovery_ha.api import errors
from recovery_ha.api.request import AUTHENTICATED_KEY
from recovery_ha.domain.errors import InvalidConfiguration
from recovery_ha.microversion import SERVICE_TYPE

Environ = dict[str, Any]
App = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

#: What needs no token: everything outside the version (which only names the
#: versions) and the version's own document, with or without a project; and
#: the document by which clients of Fuel learn whether they need one.
_OPEN = re.compile(
    r"(?!/(v1(\.1)?|api)(/|\Z)).*|/v1/?([0-9a-f\-]+/?)?"
    r"|/api(/v1)?/version/?",
    re.DOTALL | re.ASCII,
)


class Faults:
    """Bring what other middleware refuses or breaks into our form.

    What the application itself answers passes untouched.
    """

    def __init__(self, app: App) -> None:
        self._app = app

    def __call__(
        self, environ: Environ, start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Answer a request."""
        foreign: list[tuple[int, list[tuple[str, str]]]] = []

        def start(
            status: str, headers: list[tuple[str, str]], *exc_info: Any
        ) -> Any:
            if status[0] in "45" and errors.ANSWERED_KEY not in environ:
                foreign.append((int(status[:3]), headers))
                return lambda _data: None
            return start_response(status, headers, *exc_info)

        try:
            body = self._app(environ, start)
        except keystone_exc.ClientException as exc:
            errors.LOG.error("Keystone: %s", exc)
            error: Exception = errors.Unavailable(
                "The identity service does not answer. Try again later."
            )
        except Exception as exc:  # noqa: BLE001 - the last border
            error = exc
        else:
            if not foreign:
                return body
            if hasattr(body, "close"):
                body.close()
            error = errors.of_status(foreign[0][0], "")
        answer = errors.answer(environ, error)
        answer.headers.update(_challenge(foreign))
        result: Iterable[bytes] = answer(environ, start_response)
        return result


def _challenge(
    foreign: list[tuple[int, list[tuple[str, str]]]],
) -> dict[str, str]:
    """Return the header that says where tokens come from."""
    return {
        name: value
        for _status, headers in foreign
        for name, value in headers
        if name.lower() == "www-authenticate"
    }


class Authentication:
    """Let a request through with a valid token, or where none is needed.

    The path decides which, so that auth_token can refuse by itself: asked to
    leave the decision to us it would turn a Keystone that is down into a bad
    token, and clients would give up instead of trying again.
    """

    def __init__(self, app: App, conf: cfg.ConfigOpts) -> None:
        """Prepare the middleware of keystonemiddleware.

        :raises errors.InvalidConfiguration: it does not know how to ask
            Keystone about tokens.
        """
        # Only here: it takes 4 MiB, and cryptography as much again.
        from keystonemiddleware import auth_token  # noqa: PLC0415

        self._app = app
        settings = {
            "oslo_config_config": conf,
            "delay_auth_decision": False,
            # Access rules of application credentials name the service.
            "service_type": _service_type(conf, auth_token.list_opts()[0]),
        }
        options = conf.keystone_authtoken
        if not options.auth_type and not options.auth_section:
            raise InvalidConfiguration(
                "[keystone_authtoken] auth_type is not set: with [api]"
                " auth_strategy = keystone the API asks Keystone about each"
                " token, as a user of its own."
            )
        try:
            self._guarded: App = auth_token.AuthProtocol(
                _Admitted(app), settings
            )
        except keystone_exc.ClientException as exc:
            raise InvalidConfiguration(f"[keystone_authtoken]: {exc}") from exc

    def __call__(
        self, environ: Environ, start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Answer a request."""
        if _OPEN.fullmatch(environ.get("PATH_INFO", "")):
            return self._app(environ, start_response)
        return self._guarded(environ, start_response)


def _service_type(conf: cfg.ConfigOpts, options: tuple[str, list[Any]]) -> str:
    conf.register_opts(options[1], group=options[0])
    return conf.keystone_authtoken.service_type or SERVICE_TYPE


class _Admitted:
    """Behind auth_token: note that the identity's headers are Keystone's."""

    def __init__(self, app: App) -> None:
        self._app = app

    def __call__(
        self, environ: Environ, start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        environ[AUTHENTICATED_KEY] = True
        return self._app(environ, start_response)


class NoAuthentication(_Admitted):
    """Everyone is let through: ``auth_strategy = noauth``."""
