"""The settings and the people of this Hub process; built once, from the environment that `civic up` gave it.

Authenticator, spawner and pages are made by JupyterHub, which passes them nothing of ours. Traitlets copy
what they are configured with, and a database engine does not survive that; hence cached functions.
"""

from __future__ import annotations

import os
from functools import cache

from sqlalchemy import Engine

from hub_config import db
from hub_config.home import read_card_key
from hub_config.limits.line import Line
from hub_config.members.people import People
from hub_config.members.teams import Teams
from hub_config.rooms.watching import Watching
from hub_config.settings import Settings, read_settings
from hub_config.signing_in.accounts import Accounts
from hub_config.starting.ports import SeatPorts
from hub_config.workshop.cards import Cards
from hub_config.workshop.workshops import Workshops


@cache
def current_settings() -> Settings:
    return read_settings()


@cache
def current_engine() -> Engine:
    """The workspace's own tables: one pool of connections for all who read them here."""
    return db.open_database(current_settings())


@cache
def current_people() -> People:
    return People(current_engine(), current_settings())


@cache
def current_cards() -> Cards:
    return Cards(current_engine(), read_card_key(current_settings()))


@cache
def current_accounts() -> Accounts:
    return Accounts(current_engine())


@cache
def current_workshops() -> Workshops:
    return Workshops(current_engine(), current_settings())


@cache
def current_line() -> Line:
    """As many seats start at once as there are processors, and one that waits for its disk."""
    return Line((os.cpu_count() or 1) + 1)


@cache
def current_seat_ports() -> SeatPorts:
    return SeatPorts()


@cache
def current_teams() -> Teams:
    return Teams(current_engine(), current_settings())


@cache
def current_watching() -> Watching:
    return Watching(current_settings())
