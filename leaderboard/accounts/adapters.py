"""How allauth's log-in, sign-up and two-factor pages behave here. Named in the settings."""

from __future__ import annotations

from allauth.account.adapter import DefaultAccountAdapter
from allauth.mfa.adapter import DefaultMFAAdapter
from django.conf import settings
from django.http import HttpRequest

from leaderboard.secrets import decrypted, encrypted
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
        """Into the database."""
        return encrypted(text, key=settings.SECRET_KEY, purpose="second factors")

    def decrypt(self, encrypted_text: str) -> str:
        """The inverse. Raises cryptography's InvalidToken under another SECRET_KEY."""
        return decrypted(encrypted_text, key=settings.SECRET_KEY, purpose="second factors")
