"""How allauth's log-in, sign-up and two-factor pages behave here. Named in the settings."""

from __future__ import annotations

import base64

from allauth.account.adapter import DefaultAccountAdapter
from allauth.mfa.adapter import DefaultMFAAdapter
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.http import HttpRequest

from leaderboard.throttling import caller_address


class AccountAdapter(DefaultAccountAdapter):
    """Sign-up can be closed, and addresses are read as the rest of the server reads them."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """As the operator chose."""
        del request
        return bool(settings.OPEN_SIGNUP)

    def get_client_ip(self, request: HttpRequest) -> str:
        """Behind the proxies that the operator counted."""
        return caller_address(request)


class TwoFactorAdapter(DefaultMFAAdapter):
    """The secrets of authenticator apps are encrypted in the database, with a key that is derived from SECRET_KEY: a stolen
    backup of the database alone makes no codes. Whoever changes SECRET_KEY makes everybody set up their second factor anew."""

    def get_totp_issuer(self) -> str:
        """The name that stands in the app."""
        return "Standings"

    def encrypt(self, text: str) -> str:
        """Fernet: AES-128-CBC and HMAC-SHA256."""
        return _cipher().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        """The inverse. Raises cryptography's InvalidToken under another SECRET_KEY."""
        return _cipher().decrypt(encrypted_text.encode()).decode()


def _cipher() -> Fernet:
    derive = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"standings two-factor secrets")
    return Fernet(base64.urlsafe_b64encode(derive.derive(settings.SECRET_KEY.encode())))
