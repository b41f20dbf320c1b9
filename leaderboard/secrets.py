"""Secrets of an embedded server, made once and kept in its state folder; and the encryption of secrets in the database."""

from __future__ import annotations

import base64
import os
import secrets
from pathlib import Path

from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.core.exceptions import ImproperlyConfigured


def kept_secret(name: str, *, folder: Path, allowed: bool, variable: str) -> str:
    """The secret kept in `folder`/`name`, made if there is none. Two processes that make it at once agree on one.

    Raises ImproperlyConfigured where a kept secret is not `allowed`: machines that share a database must share the secret.
    """
    if not allowed:
        raise ImproperlyConfigured(f"set {variable} in the environment: a long random text, the same for every process")
    path = folder / name
    if not path.exists():
        draft = folder / f".{name}.{os.getpid()}"
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_urlsafe(50))
        try:
            os.link(draft, path)  # unlike a rename, fails if another process was first
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text()


def encrypted(text: str, *, key: str, purpose: str) -> str:
    """Fernet (AES-128-CBC and HMAC-SHA256) under a key derived from the server's for this purpose alone."""
    return _cipher(key, purpose).encrypt(text.encode()).decode()


def decrypted(text: str, *, key: str, purpose: str) -> str:
    """The inverse. Raises cryptography's InvalidToken under another key or purpose."""
    return _cipher(key, purpose).decrypt(text.encode()).decode()


def _cipher(key: str, purpose: str) -> Fernet:
    derive = HKDF(algorithm=SHA256(), length=32, salt=None, info=f"standings {purpose}".encode())
    return Fernet(base64.urlsafe_b64encode(derive.derive(key.encode())))


def is_kept(name: str, *, folder: Path, variable: str) -> bool:
    """Whether the secret of this server is the one kept in `folder`: the environment does not set another."""
    return not os.environ.get(variable) and (folder / name).exists()


def keep_instead(name: str, value: str, *, folder: Path) -> None:
    """Keep `value` from now on. Processes that run go on with what they have read."""
    draft = folder / f".{name}.{os.getpid()}"
    draft.touch(mode=0o600)
    draft.write_text(value)
    draft.replace(folder / name)
