"""Where webhooks may lead, as far as their URLs tell.

Names are looked up, and their addresses judged, whenever something is sent:
here only what can be known for ever is refused.
"""

import ipaddress
from collections.abc import Sequence

from oslo_config import cfg

from recovery_ha.clients import webhook
from recovery_ha.domain.errors import BadRequest, InvalidConfiguration


def networks(conf: cfg.ConfigOpts) -> tuple[webhook.Network, ...]:
    """Return the networks in which webhooks may have any address.

    :raises InvalidConfiguration: what is configured is none.
    """
    try:
        return tuple(
            ipaddress.ip_network(text)
            for text in conf.webhook.allowed_networks
        )
    except ValueError as exc:
        raise InvalidConfiguration(
            f"[webhook] allowed_networks: {exc}"
        ) from exc


def check(url: str, allowed: Sequence[webhook.Network]) -> None:
    """Refuse a URL to which nothing would be sent.

    :param allowed: networks in which any address is fine, also without TLS.
    :raises BadRequest: it is one; the text says what is allowed.
    """
    try:
        target = webhook.parse(url)
    except BadRequest as exc:
        raise BadRequest(
            f"Invalid input for field/attribute webhook.url. Value: {url[:80]}"
            f". Allowed: {exc}"
        ) from None
    try:
        address = ipaddress.ip_address(target.host)
    except ValueError:
        if target.scheme == "https" or allowed:
            return
        raise _refused(url, "https:// only") from None
    if any(address in network for network in allowed):
        return
    if not webhook.is_public(address):
        raise _refused(
            url,
            "an address that anybody on the Internet may have, or one that"
            " the administrator allows ([webhook] allowed_networks)",
        )
    if target.scheme != "https":
        raise _refused(url, "https:// only")


def _refused(url: str, what: str) -> BadRequest:
    return BadRequest(
        f"Invalid input for field/attribute webhook.url. Value: {url[:80]}."
        f" Allowed: {what}."
    )
