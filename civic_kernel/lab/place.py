"""Where this server is: whose, at which workshop, under which Hub."""

from __future__ import annotations

from dataclasses import dataclass, field

from civic_kernel.settings import Token, read_hub, read_settings
from civic_kernel.texts import Language


@dataclass(frozen=True)
class Place:
    """`home_page` is the Hub's; `hub_api` its API for this server's own token; `workshop` empty outside of one."""

    language: Language
    home_page: str
    hub_api: str
    workshop: str
    token: Token = field(repr=False)


def read_place() -> Place:
    settings, hub = read_settings(), read_hub()
    return Place(settings.language, f"{hub.base}hub/home", hub.api, hub.workshop, settings.token)
