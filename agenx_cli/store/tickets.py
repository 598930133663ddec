"""Tickets of media streams: secrets of which only a hash is kept."""

import hashlib
import hmac

_NOBODY = hashlib.sha256(b"").hexdigest()
_LONGEST = 256


def hashed(ticket: str) -> str:
    """What is stored. A ticket has 128 random bits or more, so a plain hash cannot be turned around."""
    return hashlib.sha256(ticket.encode(errors="surrogatepass")).hexdigest()


def fits(ticket: str, stored: str | None) -> bool:
    """Whether this is the ticket, in a time that does not tell how wrong it is. No stored one fits nothing."""
    if len(ticket) > _LONGEST:
        return False
    same = hmac.compare_digest(hashed(ticket), stored or _NOBODY)
    return same and stored is not None
