"""The settings and the people of this Hub process; built once, from the environment that `civic up` gave it.

Authenticator, spawner and pages are made by JupyterHub, which passes them nothing of ours. Traitlets copy
what they are configured with, and a database engine does not survive that; hence two cached functions.
"""

from __future__ import annotations

from functools import cache

from hub_config.people import People, open_people
from hub_config.settings import Settings, read_settings
from hub_config.workshops import Workshops, open_workshops


@cache
def current_settings() -> Settings:
    return read_settings()


@cache
def current_people() -> People:
    return open_people(current_settings())


@cache
def current_workshops() -> Workshops:
    return open_workshops(current_settings())
