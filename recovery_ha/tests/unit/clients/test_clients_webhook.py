"""Messages go to whom they may go, and nobody keeps the sender."""

import ipaddress
import socket
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recovery_ha.clients.webhook import (
    NotDelivered,
    Target,
    Webhooks,
    is_public,
    parse,
)
from recovery_ha.conf import new_config
from recovery_ha.domain import errors
from recovery_ha.tests.fixtures.certificates import make_certificate
from recovery_ha.tests.fixtures.receiver import Answer, Receiver

MESSAGE = {"payload": {"state": "MAINTENANCE"}}


@pytest.fixture
def webhooks():
    """Return a function that makes a sender with options."""

    def webhooks(allowed=("127.0.0.0/8", "::1/128"), **options):
        conf = new_config([], default_config_files=[])
        conf.set_override("allowed_networks", list(allowed), "webhook")
        for name, value in options.items():
            conf.set_override(name, value, "webhook")
        return Webhooks(conf)

    return webhooks


def send(webhooks, url):
    webhooks.send(url, "s3cret", "m-1", MESSAGE)


def refusal(webhooks, url):
    with pytest.raises(NotDelivered) as caught:
        send(webhooks, url)
    return str(caught.value), caught.value.final


def resolve(monkeypatch, *answers):
    """Have names resolved to addresses; each time to the next ones."""
    left, asked = list(answers), []

    def getaddrinfo(host, port, **_kwargs):
        asked.append(host)
        texts = left.pop(0) if len(left) > 1 else left[0]
        return [
            (
                socket.AF_INET6 if ":" in text else socket.AF_INET,
                socket.SOCK_STREAM,
                6,
                "",
                (text, port),
            )
            for text in texts
        ]

    monkeypatch.setattr("socket.getaddrinfo", getaddrinfo)
    return asked


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://a.example/x?y=1#z", ("https", "a.example", 443, "/x?y=1")),
        ("HTTPS://A.example", ("https", "a.example", 443, "/")),
        ("http://a.example:8080/", ("http", "a.example", 8080, "/")),
        ("https://[fd00::1]:1/", ("https", "fd00::1", 1, "/")),
        ("https://1.2.3.4/", ("https", "1.2.3.4", 443, "/")),
    ],
)
def test_what_a_url_says(url, target):
    assert parse(url) == Target(*target)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "a.example",
        "//a.example/",
        "ftp://a.example/",
        "file:///etc/passwd",
        "https://",
        "https:///x",
        "https://user@a.example/",
        "https://user:password@a.example/",
        "https://a.example:port/",
        "https://a.example:99999/",
        f"https://{'a' * 70}.example/",
        "https://[::1/",
    ],
)
def test_what_no_webhook_may_have(url, webhooks):
    with pytest.raises(errors.BadRequest, match="url"):
        parse(url)
    reason, final = refusal(webhooks(), url)
    assert final
    assert "The webhook's url" in reason


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2001:4860:4860::8888", True),
        ("64:ff9b::8.8.8.8", True),
        ("::ffff:8.8.8.8", True),
        ("127.0.0.1", False),
        ("0.0.0.0", False),  # noqa: S104 - it is the point
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("100.64.0.1", False),
        ("169.254.169.254", False),
        ("192.0.2.1", False),
        ("224.0.0.1", False),
        ("239.255.255.250", False),
        ("240.0.0.1", False),
        ("255.255.255.255", False),
        ("::", False),
        ("::1", False),
        ("fe80::1", False),
        ("fd00::1", False),
        ("ff02::1", False),
        ("ff0e::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:169.254.169.254", False),
        ("::127.0.0.1", False),
        ("64:ff9b::10.0.0.1", False),
        ("64:ff9b::169.254.169.254", False),
        ("2002:7f00:1::", False),
        ("2002:a9fe:a9fe::", False),
        ("2001:0:0:0:0:0:f5ff:fffe", False),
    ],
)
def test_which_addresses_anybody_may_have(address, public):
    assert is_public(ipaddress.ip_address(address)) is public


@given(st.ip_addresses(v=4))
def test_an_address_is_the_same_in_each_dress(address):
    number = int(address)
    mapped = ipaddress.IPv6Address(0xFFFF << 32 | number)
    translated = ipaddress.IPv6Address((0x64FF9B << 96) | number)
    for dressed in (mapped, translated):
        assert is_public(dressed) is is_public(address)


def test_a_message_arrives_signed(webhooks):
    with Receiver() as receiver:
        send(webhooks(), f"{receiver.url}/x?y=1")
        (request,) = receiver.requests
    assert (request.method, request.path) == ("POST", "/x?y=1")
    assert request.body == MESSAGE
    assert request.headers["Host"] == f"127.0.0.1:{receiver.port}"
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["webhook-id"] == "m-1"
    assert abs(time.time() - int(request.headers["webhook-timestamp"])) < 5
    assert request.headers["webhook-signature"].startswith("v1,")


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]"]
)
def test_addresses_inside_are_not_sent_to(webhooks, host):
    with Receiver() as receiver:
        for scheme in ("http", "https"):
            url = f"{scheme}://{host}:{receiver.port}/"
            reason, final = refusal(webhooks(allowed=()), url)
            assert final
            assert "to which nothing is sent" in reason
        assert receiver.requests == []


def test_one_bad_address_of_several_is_enough(webhooks, monkeypatch):
    resolve(monkeypatch, ["8.8.8.8", "10.0.0.1"])
    reason, final = refusal(webhooks(), "https://a.example/")
    assert final
    assert "a.example has the address 10.0.0.1" in reason


def test_without_tls_only_allowed_networks_are_sent_to(webhooks, monkeypatch):
    resolve(monkeypatch, ["8.8.8.8"])
    reason, final = refusal(webhooks(), "http://a.example/")
    assert final
    assert "without TLS" in reason


def test_a_name_is_resolved_once_and_the_connection_goes_there(
    webhooks, monkeypatch
):
    with Receiver() as receiver:
        asked = resolve(monkeypatch, ["127.0.0.1"], ["10.0.0.1"])
        send(webhooks(), f"http://a.example:{receiver.port}/")
        (request,) = receiver.requests
    assert asked[:1] == ["a.example"]
    assert "a.example" not in asked[1:]
    assert request.headers["Host"] == f"a.example:{receiver.port}"


def test_another_address_is_tried_when_one_is_dead(webhooks, monkeypatch):
    with Receiver() as receiver:
        resolve(monkeypatch, ["127.1.2.3", "127.0.0.1"])
        send(webhooks(), f"http://a.example:{receiver.port}/")
        assert len(receiver.requests) == 1


def test_mapped_addresses_of_allowed_networks_are_allowed(webhooks):
    with Receiver() as receiver:
        send(webhooks(), f"http://[::ffff:127.0.0.1]:{receiver.port}/")
        assert len(receiver.requests) == 1


def test_redirects_are_not_followed(webhooks):
    with Receiver() as inside, Receiver() as receiver:
        where = (("Location", f"{inside.url}/secret"),)
        for status in (301, 302, 303, 307, 308):
            receiver.answer = lambda _r, s=status: Answer(s, None, where)
            reason, final = refusal(webhooks(), receiver.url)
            assert (final, f"answered {status}" in reason) == (True, True)
        assert inside.requests == []


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 503])
def test_a_refusal_is_told_and_may_pass(webhooks, status):
    with Receiver(lambda _r: Answer(status, "x" * 5000)) as receiver:
        reason, final = refusal(webhooks(), receiver.url)
    assert not final
    assert reason.startswith(f"The receiver answered {status}: ")
    assert len(reason) < 300


def test_nobody_there(webhooks):
    reason, final = refusal(webhooks(), "http://127.0.0.1:1/")
    assert not final
    assert "was not reached" in reason


def test_a_name_that_does_not_exist(webhooks, monkeypatch):
    def getaddrinfo(*_args, **_kwargs):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr("socket.getaddrinfo", getaddrinfo)
    reason, final = refusal(webhooks(), "https://nowhere.example/")
    assert not final
    assert "Name or service not known" in reason


def test_a_slow_receiver_has_a_limit(webhooks):
    with Receiver(lambda _r: time.sleep(1) or Answer()) as receiver:
        begun = time.monotonic()
        reason, final = refusal(webhooks(timeout=0.3), receiver.url)
    assert (final, time.monotonic() - begun < 0.9) == (False, True)
    assert reason == "The receiver did not answer within 0.3 seconds."


@pytest.mark.parametrize("piece", [b"x", b"HTTP/1.1 500 No\r\n\r\n", b"\x16"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_one_that_drips_has_the_same_limit(webhooks, piece, scheme):
    stopped = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip():
            end, _address = server.accept()
            with end:
                while not stopped.wait(0.05):
                    try:
                        end.sendall(piece)
                    except OSError:
                        return

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        begun = time.monotonic()
        port = server.getsockname()[1]
        refusal(webhooks(timeout=0.5), f"{scheme}://127.0.0.1:{port}/")
        assert time.monotonic() - begun < 1.5
        stopped.set()
        thread.join(5)


def test_tls_is_verified(webhooks, tmp_path):
    good = make_certificate(tmp_path / "good.pem", "localhost", "127.0.0.1")
    other = make_certificate(tmp_path / "other.pem", "other.example")
    with Receiver(certificate=good) as receiver:
        send(webhooks(ca_file=str(good)), receiver.url)
        send(
            webhooks(ca_file=str(good)), f"https://localhost:{receiver.port}/"
        )
        assert len(receiver.requests) == 2
        reason, final = refusal(webhooks(), receiver.url)
        assert "self-signed certificate" in reason
        assert not final
    with Receiver(certificate=other) as receiver:
        reason, _final = refusal(webhooks(ca_file=str(other)), receiver.url)
        assert "127.0.0.1" in reason
        assert receiver.requests == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"allowed": ["10.0.0.1/8"]}, "allowed_networks"),
        ({"allowed": ["inside"]}, "allowed_networks"),
        ({"ca_file": "/nowhere.pem"}, "ca_file"),
    ],
)
def test_a_bad_option_is_named(webhooks, options, said):
    with pytest.raises(errors.InvalidConfiguration, match=said):
        webhooks(**options)
