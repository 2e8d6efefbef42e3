"""What is drawn for whom: seeds by HMAC from the run's secret, so that only who has that can foresee or repeat them."""

import hashlib
import hmac
import secrets

from utils.errors import ConfigError

PUBLIC = "0" * 32  # the seed of `check-notebook`: everybody knows it


def new_secret() -> str:
    """A run's secret, as it is written into the run record."""
    return secrets.token_hex(16)


def read_secret(text: str) -> str:
    """A secret from the command line. ConfigError when it is none."""
    text = text.strip().lower()
    if len(text) < 8 or set(text) - set("0123456789abcdef"):
        raise ConfigError(f"--seed {text!r} is no seed: it has at least 8 of the digits 0-9 and a-f, as in run.json.")
    return text


def seed_for(secret: str, *parts: str) -> int:
    """A seed below 2³¹ for a submission's digest, an exercise and a use."""
    message = "\x1f".join(parts).encode()
    return int.from_bytes(hmac.new(secret.encode(), message, hashlib.sha256).digest()[:4], "big") >> 1
