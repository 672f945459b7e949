"""Who may reach an API that takes everyone for an administrator."""

import ipaddress

from oslo_config import cfg

from recovery_ha.domain.errors import InvalidConfiguration


def refuse_remote_noauth(conf: cfg.ConfigOpts, host: str | None) -> None:
    """Refuse to make administrators of whoever reaches an address.

    :param host: what is listened on; None: nobody knows.
    :raises errors.InvalidConfiguration: it is not loopback, and the operator
        has not said that this is meant.
    """
    if conf.api.auth_strategy != "noauth" or conf.api.allow_remote_noauth:
        return
    if host is not None and _is_loopback(host):
        return
    raise InvalidConfiguration(
        "[api] auth_strategy = noauth makes everyone an administrator who"
        f" reaches {host or 'this WSGI server'}. Use keystone, listen on"
        " 127.0.0.1, or set [api] allow_remote_noauth if this is meant."
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
