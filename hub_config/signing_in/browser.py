"""The random word by which a browser is known while it holds a seat or waits for one.

A cookie of its own, not the Hub's session id: that one changes at each sign-in, and every page of a seat may read it.
"""

from __future__ import annotations

import secrets
from typing import Any

COOKIE = "civic_browser"
#: As long as cards may last; a browser that forgets it is a second browser, and waits.
DAYS = 400


def read_browser(handler: Any) -> str | None:
    """The word that this browser was given, if it sent one of ours."""
    word = handler.get_secure_cookie(COOKIE, max_age_days=DAYS)
    return word.decode("ascii", "replace") if word else None


def make_browser(handler: Any) -> str:
    """This browser's word, given to it now if it has none. No page's script can read it."""
    known = read_browser(handler)
    if known is not None:
        return known
    word = secrets.token_urlsafe(32)
    handler._set_cookie(
        COOKIE, word, path=handler.hub.base_url, samesite="Lax", expires_days=DAYS, max_age=DAYS * 86_400
    )
    return word
