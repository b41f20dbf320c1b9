"""No address that a person typed leads into the server's own network: by name, by number, in any spelling, after a change of
the answer, or by a redirect."""

from __future__ import annotations

import socket
import threading

import pytest

from leaderboard.webhooks import outgoing
from leaderboard.webhooks.outgoing import AddressRefusedError, CallFailedError

PRIVATE = [
    *("127.0.0.1", "127.1.2.3", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"),
    *("224.0.0.1", "255.255.255.255", "240.0.0.1", "192.0.2.1", "198.18.0.1"),
    *("[::1]", "[::]", "[fe80::1]", "[fc00::1]", "[fec0::1]", "[ff02::1]", "[2001:db8::1]"),
    *("[::ffff:127.0.0.1]", "[::ffff:10.0.0.1]", "[64:ff9b::7f00:1]", "[64:ff9b::a9fe:a9fe]", "[2002:7f00:1::]"),
    *("[2001:0:4136:e378:8000:63bf:3fff:fdd2]", "localhost", "2130706433", "0x7f000001", "0177.0.0.1", "127.1"),
]


@pytest.mark.parametrize("host", PRIVATE)
def test_what_is_not_public_is_refused(host):
    with pytest.raises((AddressRefusedError, CallFailedError)) as refused:
        outgoing.check(f"https://{host}/hook")
    if isinstance(refused.value, CallFailedError):
        assert "there is no machine called" in str(refused.value)  # an odd spelling that this system does not read


@pytest.mark.parametrize("host", ["93.184.215.14", "[2606:4700:4700::1111]", "[64:ff9b::5db8:d70e]"])
def test_what_is_public_is_accepted(host):
    target = outgoing.check(f"https://{host}/hook?a=b")
    assert (target.port, target.path) == (443, "/hook?a=b")


@pytest.mark.parametrize(
    "url",
    [
        *("", "x", "//host/", "http://93.184.215.14/", "ftp://93.184.215.14/", "file:///etc/passwd", "gopher://93.184.215.14/"),
        *("https://", "https:///path", "https://user@93.184.215.14/", "https://u:p@93.184.215.14/", "https://93.184.215.14/#x"),
        *("https://93.184.215.14:99999/", "https://93.184.215.14:x/", "https://[::1/", "https://93.184.215.14/a b"),
        *("https://93.184.215.14/\r\nX: y", "https://ex\u00e4mple.org/", "https://93.184.215.14/" + "x" * 500),
    ],
)
def test_what_is_no_address_is_refused(url):
    with pytest.raises(AddressRefusedError):
        outgoing.check(url)


def test_a_name_with_one_private_address_among_public_ones_is_refused(monkeypatch):
    answers = [(2, 1, 6, "", ("93.184.215.14", 443)), (2, 1, 6, "", ("10.0.0.5", 443))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: answers)
    with pytest.raises(AddressRefusedError, match=r"is at 10\.0\.0\.5"):
        outgoing.check("https://two-faced.example/")


def test_a_name_that_changes_its_answer_is_connected_to_where_it_was_checked(receiver, monkeypatch, settings):
    """The name says a permitted address at the check, and a forbidden one ever after."""
    settings.WEBHOOK_NETWORKS = ["127.0.0.1/32"]
    asked = []

    def rebinding(host, port, *args, **kwargs):
        asked.append(host)
        address = "127.0.0.1" if asked.count("rebinding.example") == 1 and host == "rebinding.example" else host
        address = "127.0.0.2" if address == "rebinding.example" else address
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    assert outgoing.post(f"http://rebinding.example:{receiver.port}/", b"x", headers={}) == 204
    assert asked.count("rebinding.example") == 1
    assert receiver.calls[0][0]["Host"] == f"rebinding.example:{receiver.port}"


def test_a_redirect_is_not_followed(receiver):
    receiver.statuses, receiver.location = [302], f"http://127.0.0.1:{receiver.port}/inside"
    assert outgoing.post(receiver.url, b"x", headers={}) == 302
    assert len(receiver.calls) == 1


@pytest.fixture
def dripping(settings):
    """A server that sends a byte of an endless header now and then, until the test ends."""
    settings.WEBHOOKS_BY_HTTP, settings.WEBHOOK_NETWORKS = True, ["127.0.0.0/8"]
    listener = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()

    def serve() -> None:
        connection, _ = listener.accept()
        connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
        while not ended.wait(0.05):
            try:
                connection.sendall(b"x")
            except OSError:
                return

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
    ended.set()
    thread.join()
    listener.close()


def test_an_answer_that_drips_is_cut_off(dripping):
    with pytest.raises(CallFailedError, match=r"no whole answer within 0\.5 s"):
        outgoing.post(dripping, b"x", headers={}, seconds=0.5)


def test_nobody_there(settings):
    settings.WEBHOOKS_BY_HTTP, settings.WEBHOOK_NETWORKS = True, ["127.0.0.0/8"]
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with pytest.raises(CallFailedError, match="refused"):
        outgoing.post(f"http://127.0.0.1:{port}/", b"x", headers={})


def test_tls_that_is_none_is_no_answer(receiver):
    with pytest.raises(CallFailedError, match="SSL"):
        outgoing.post(receiver.url.replace("http:", "https:"), b"x", headers={})
    assert not receiver.calls
