"""Calls to addresses that people typed in. Such an address could name a machine that only this server reaches (its database,
the metadata service of a cloud), so a name is looked up once, every answer must be a public address, and the connection is
made to the very address that was checked: an answer that changes later changes nothing. Redirects are not followed."""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from django.conf import settings

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

SECONDS = 10.0
LONGEST_URL = 500
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class AddressRefusedError(ValueError):
    """The address is not one that this server calls; the message says why, in one sentence."""


class CallFailedError(OSError):
    """Nobody answered in time, or not in HTTP; the message says what happened."""


@dataclass(frozen=True)
class Target:
    """A checked URL: where to connect to, and what to ask for there."""

    scheme: str
    host: str
    port: int
    path: str
    address: Address


def check(url: str) -> Target:
    """Look the address up. Raises AddressRefusedError for one that is malformed or not public, CallFailedError for one that
    does not exist."""
    parts = _parts(url)
    host = str(parts.hostname)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    addresses = _look_up(host, port)
    for address in addresses:
        if not _may_call(address):
            raise AddressRefusedError(f"{host} is at {address}, which is not a public address")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, host, port, path, addresses[0])


def post(url: str, body: bytes, *, headers: Mapping[str, str], seconds: float = SECONDS) -> int:
    """POST the body; the status of the answer, whose text is not read. Raises AddressRefusedError, CallFailedError.

    seconds: for everything together, however slowly the other side sends.
    """
    target = check(url)
    connection = _connection(target, seconds)
    try:
        with _deadline(connection, seconds):
            connection.request("POST", target.path, body=body, headers=dict(headers))
            return connection.getresponse().status
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise CallFailedError(str(getattr(error, "strerror", None) or error or type(error).__name__)[:200]) from error
    finally:
        connection.close()


def _parts(url: str) -> SplitResult:
    if len(url) > LONGEST_URL or not url.isascii() or any(character <= " " for character in url):
        raise AddressRefusedError(f"an address has at most {LONGEST_URL} printable ASCII characters and no space")
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises for what is no port
    except ValueError as error:
        raise AddressRefusedError(f"this is not an address ({error})") from error
    allowed = ("https", "http") if settings.WEBHOOKS_BY_HTTP else ("https",)
    if parts.scheme not in allowed or not parts.hostname:
        raise AddressRefusedError(f"an address begins with {' or '.join(f'{scheme}://' for scheme in allowed)}")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise AddressRefusedError("an address holds no user name, no password and no fragment")
    return parts


def _look_up(host: str, port: int) -> list[Address]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise CallFailedError(f"there is no machine called {host}") from error
    return [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]


def _may_call(address: Address) -> bool:
    """Public, or in a network that the operator opened. An IPv6 address that wraps an IPv4 one is judged by that."""
    if any(address in ipaddress.ip_network(network) for network in settings.WEBHOOK_NETWORKS):
        return True
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return _may_call(inner)
        if address.teredo or address.is_site_local:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _connection(target: Target, seconds: float) -> http.client.HTTPConnection:
    if target.scheme == "http":
        return _Plain(target, seconds)
    return _Secure(target, seconds)


class _Plain(http.client.HTTPConnection):
    """Connects to the address that was checked, whatever the name says now."""

    def __init__(self, target: Target, seconds: float) -> None:
        super().__init__(target.host, target.port, timeout=seconds)
        self._target = target

    def connect(self) -> None:
        self.sock = socket.create_connection((str(self._target.address), self.port), self.timeout)


class _Secure(http.client.HTTPSConnection):
    """The same with TLS; the certificate must be that of the name."""

    def __init__(self, target: Target, seconds: float) -> None:
        self._tls = ssl.create_default_context()
        super().__init__(target.host, target.port, timeout=seconds, context=self._tls)
        self._target = target

    def connect(self) -> None:
        plain = socket.create_connection((str(self._target.address), self.port), self.timeout)
        try:
            self.sock = self._tls.wrap_socket(plain, server_hostname=self._target.host)
        except BaseException:
            plain.close()
            raise


@contextmanager
def _deadline(connection: http.client.HTTPConnection, seconds: float) -> Iterator[None]:
    """A timeout of sockets is for each read; this one ends an answer that drips. Raises TimeoutError."""
    over = threading.Event()

    def end() -> None:
        over.set()
        if connection.sock is not None:
            connection.sock.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        if over.is_set():  # what was read until then may look like a whole answer
            raise TimeoutError(f"no whole answer within {seconds:g} s")
