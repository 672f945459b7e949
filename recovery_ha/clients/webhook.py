"""Webhooks: messages to addresses that projects have chosen.

Whoever chooses an address has the engine send to it, from where the engine
is. So it is found and judged here, once, and the connection is made to that
very address; what it answers is read by a few bytes only, and never obeyed.

The headers and what is signed are those of Standard Webhooks
(https://www.standardwebhooks.com), for which there are libraries.
"""

import base64
import contextlib
import hashlib
import hmac
import http.client
import ipaddress
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import urllib3
from oslo_config import cfg
from urllib3 import connection

from recovery_ha.domain import errors

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

#: IPv6 addresses that lead to the IPv4 address in their last 32 bits.
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_PORTS = {"http": 80, "https": 443}
#: How many bytes of an answer are read, and how much of it is told.
_READ = 2048
_LONGEST = 200
_REDIRECTS = range(300, 400)
_ACCEPTED = range(200, 300)
#: Addresses of one name that are tried.
_TRIED = 3


class NotDelivered(Exception):
    """A receiver has not accepted a message; the text says why.

    :ivar final: it will not by being asked again.
    """

    def __init__(self, reason: str, *, final: bool = False) -> None:
        super().__init__(reason)
        self.final = final


@dataclass(frozen=True, slots=True)
class Target:
    """Where a message goes, as its URL says.

    :ivar path: with the query.
    """

    scheme: str
    host: str
    port: int
    path: str


def parse(url: str) -> Target:
    """Return what a URL says, if a webhook may have it at all.

    :raises errors.BadRequest: it may not; the text says why.
    """
    try:
        parts = urllib3.util.parse_url(url)
        # Sockets know names by this encoding, and refuse what has none.
        host = (parts.host or "").strip("[]")
        host.encode("idna")
    except (urllib3.exceptions.LocationParseError, UnicodeError) as exc:
        raise errors.BadRequest(f"url is none: {exc}") from exc
    if parts.scheme not in _PORTS or not host:
        raise errors.BadRequest(
            "url must begin with https:// (or http://, where the"
            " administrator allows it) and name a host."
        )
    if parts.auth is not None:
        raise errors.BadRequest("url must not contain a user or password.")
    port = parts.port or _PORTS[parts.scheme]
    return Target(parts.scheme, host, port, parts.request_uri)


def signature(
    secret: str, message_id: str, timestamp: int, body: bytes
) -> str:
    """Return the signature of a message.

    :param secret: of the webhook; its UTF-8 bytes are the key.
    :param timestamp: epoch seconds of the attempt.
    """
    signed = f"{message_id}.{timestamp}.".encode() + body
    digest = hmac.new(secret.encode(), signed, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def is_public(address: Address) -> bool:
    """Tell whether an address is one that anybody on the Internet may have.

    An IPv6 address is judged by the IPv4 address that it leads to, if any.
    """
    if isinstance(address, ipaddress.IPv6Address):
        inner = _inner(address)
        if inner is not None:
            return is_public(inner)
    return address.is_global and not (
        address.is_multicast or address.is_reserved or address.is_private
    )


def _inner(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    if address.sixtofour is not None:
        return address.sixtofour
    return None if address.teredo is None else address.teredo[1]


class _Plain(connection.HTTPConnection):
    """A connection to the address that was found and judged."""

    made: socket.socket

    def _new_conn(self) -> socket.socket:
        return self.made


class _TLS(_Plain, connection.HTTPSConnection):
    pass


class Webhooks:
    """Sends messages; several threads may do so at once."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        """Read group [webhook].

        :raises errors.InvalidConfiguration: a network is none, or the file
            of certificates cannot be used.
        """
        options = conf.webhook
        self._timeout: float = options.timeout
        try:
            self._allowed: list[Network] = [
                ipaddress.ip_network(text) for text in options.allowed_networks
            ]
        except ValueError as exc:
            raise errors.InvalidConfiguration(
                f"[webhook] allowed_networks: {exc}"
            ) from exc
        try:
            self._tls = ssl.create_default_context(cafile=options.ca_file)
        except OSError as exc:
            raise errors.InvalidConfiguration(
                f"[webhook] ca_file {options.ca_file}: {exc}"
            ) from exc

    def send(
        self,
        url: str,
        secret: str,
        message_id: str,
        message: Mapping[str, Any],
    ) -> None:
        """Send a message once; returns when it was accepted.

        :param secret: by which its receiver knows it to be ours.
        :param message: JSON values.
        :raises NotDelivered: it was not.
        """
        try:
            target = parse(url)
        except errors.BadRequest as exc:
            raise NotDelivered(f"The webhook's {exc}", final=True) from exc
        body = json.dumps(message).encode()
        stamp = int(time.time())
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "recovery_ha",
            "webhook-id": message_id,
            "webhook-timestamp": str(stamp),
            "webhook-signature": signature(secret, message_id, stamp, body),
        }
        deadline = time.monotonic() + self._timeout
        try:
            with self._connected(target, deadline) as made:
                self._post(made, target, body, headers)
        except (
            OSError,
            urllib3.exceptions.HTTPError,
            http.client.HTTPException,
        ) as exc:
            if time.monotonic() >= deadline:
                raise NotDelivered(
                    f"The receiver did not answer within {self._timeout:g}"
                    " seconds."
                ) from exc
            raise NotDelivered(
                f"The receiver was not reached: {exc or type(exc).__name__}"
            ) from exc

    def _post(
        self,
        made: socket.socket,
        target: Target,
        body: bytes,
        headers: Mapping[str, str],
    ) -> None:
        client: _Plain
        if target.scheme == "https":
            client = _TLS(target.host, target.port, ssl_context=self._tls)
        else:
            client = _Plain(target.host, target.port)
        client.made, client.timeout = made, self._timeout
        with contextlib.closing(client):
            client.request(
                "POST",
                target.path,
                body,
                headers,
                preload_content=False,
                decode_content=False,
            )
            with contextlib.closing(client.getresponse()) as answer:
                if answer.status in _ACCEPTED:
                    return
                said = answer.read(_READ).decode("utf-8", "replace")
        said = " ".join(said.split())[:_LONGEST]
        if answer.status in _REDIRECTS:
            raise NotDelivered(
                f"The receiver answered {answer.status}; redirects are not"
                " followed.",
                final=True,
            )
        raise NotDelivered(
            f"The receiver answered {answer.status}: {said or 'no reason'}"
        )

    @contextlib.contextmanager
    def _connected(
        self, target: Target, deadline: float
    ) -> Iterator[socket.socket]:
        """Give a connection that is cut when the time is over.

        Each read and write alone has a limit anyway; whoever sends a byte
        now and then would never exceed it.
        """
        made = self._connect(target, deadline)
        # The descriptor of the first goes over to TLS.
        other = made.dup()

        def cut() -> None:
            with contextlib.suppress(OSError):
                other.shutdown(socket.SHUT_RDWR)

        timer = threading.Timer(max(0.0, deadline - time.monotonic()), cut)
        timer.daemon = True
        timer.start()
        try:
            yield made
        finally:
            timer.cancel()
            other.close()
            made.close()

    def _connect(self, target: Target, deadline: float) -> socket.socket:
        failure: OSError = OSError("its name has no address")
        for family, kind, protocol, _name, place in self._places(target):
            left = deadline - time.monotonic()
            if left <= 0:
                break
            made = socket.socket(family, kind, protocol)
            try:
                made.settimeout(left)
                made.connect(place)
            except OSError as exc:
                made.close()
                failure = exc
            else:
                return made
        raise failure

    def _places(self, target: Target) -> list[Any]:
        """Return where a receiver is, each of which is permitted.

        :raises NotDelivered: one is not.
        """
        found = socket.getaddrinfo(
            target.host, target.port, type=socket.SOCK_STREAM
        )
        for *_how, place in found:
            self._judge(target, str(place[0]))
        return found[:_TRIED]

    def _judge(self, target: Target, text: str) -> None:
        address = ipaddress.ip_address(text.partition("%")[0])
        same: list[Address] = [address]
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
            same.append(address.ipv4_mapped)
        if any(one in network for one in same for network in self._allowed):
            return
        if not is_public(address):
            raise NotDelivered(
                f"{target.host} has the address {text}, to which nothing is"
                " sent ([webhook] allowed_networks).",
                final=True,
            )
        if target.scheme != "https":
            raise NotDelivered(
                f"{target.host} is to be reached without TLS, which is"
                " permitted in [webhook] allowed_networks only.",
                final=True,
            )
