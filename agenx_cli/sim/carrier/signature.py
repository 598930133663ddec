"""How Twilio signs what it sends (https://www.twilio.com/docs/usage/webhooks/webhooks-security)."""

import hashlib
import hmac
from base64 import b64encode
from collections.abc import Iterable
from urllib.parse import urldefrag

HEADER = "X-Twilio-Signature"


def signature(token: str, url: str, params: Iterable[tuple[str, str]] = ()) -> str:
    """HMAC-SHA1 over the full URL without its fragment, then every POST parameter's name and value, sorted.

    ``token`` is the account's auth token, also when REST is used with an API key. A GET and a WebSocket upgrade
    sign the URL alone (with its query string).
    """
    text = urldefrag(url).url + "".join(name + value for name, value in sorted(set(params)))
    return b64encode(hmac.new(token.encode(), text.encode(), hashlib.sha1).digest()).decode()
