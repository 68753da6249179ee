"""Settings → built objects: the only composition root of the vault side."""

from __future__ import annotations

import base64
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from data_access.answers import Holds, Shelf
from data_access.audit import Chain
from data_access.audit.chain import last_moment
from data_access.catalog import load_catalog
from data_access.clock import Clock, SteadyClock, SystemClock
from data_access.db import Database
from data_access.errors import CivicError, VaultKeyWrong
from data_access.flows.allowing import Allowing
from data_access.flows.answering import Answering
from data_access.flows.approving import Approving
from data_access.flows.asking import Asking
from data_access.flows.gate import Gate
from data_access.flows.governing import Governing
from data_access.flows.loading import Vault
from data_access.flows.losing import LostShares
from data_access.flows.open_lane import OpenAnswering
from data_access.flows.releasing import Releasing
from data_access.flows.witnessing import Witnessing
from data_access.ledger import Allowances, Book
from data_access.parties import SigningKey
from data_access.privacy.mechanisms import DiscreteGaussianNoise, Noise
from data_access.settings import Settings, read_settings
from data_access.vault import Engine, KeyStore, VaultStore

__all__ = ["Parts", "Settings", "compose", "gateway_key", "read_settings"]


@dataclass(frozen=True)
class Parts:
    """Everything that a gateway, a job or a verb works with."""

    settings: Settings
    clock: Clock
    database: Database
    chain: Chain
    key: SigningKey
    governing: Governing
    book: Book
    shelf: Shelf
    vault: Vault
    lost: LostShares
    engine: Engine
    #: The private lane alone; what is asked over HTTP goes by `asking`.
    answering: Answering
    approving: Approving
    asking: Asking
    allowing: Allowing
    releasing: Releasing
    witnessing: Witnessing

    @property
    def gateway_public_key(self) -> str:
        return base64.b64encode(self.key.public).decode("ascii")

    def close(self) -> None:
        self.engine.close()
        self.database.close()


def gateway_key(folder: Path, *, create: bool) -> SigningKey:
    """The gateway's own signing key. Raises VaultKeyWrong for a damaged one, and for a missing one where nothing
    is being set up: answers signed by a key that no register names would be worth nothing.
    """
    path = folder / "gateway.pem"
    if create:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileExistsError):
            SigningKey.generate().write(path)
    try:
        return SigningKey.read(path)
    except (OSError, ValueError):
        raise VaultKeyWrong() from None


def compose(
    settings: Settings, *, clock: Clock | None = None, noise: Noise | None = None, create: bool = False
) -> Parts:
    """Build everything. `clock` and `noise` are seams for tests: arguments, never settings.

    `create` makes the folders, the database and the gateway's key of a new workspace where they are missing;
    without it their absence is LedgerUnavailable or VaultKeyWrong.
    """
    if create:
        for folder in (settings.home / "db", settings.vault_folder, settings.keys_folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = gateway_key(settings.keys_folder, create=create)
    catalog = load_catalog(settings.catalog_folder)
    # Last of what may refuse: nothing is left open behind a refusal.
    database = Database(settings.database_url, create=create)
    try:
        database.migrate()
        with database.reading() as connection:
            # The ledger's own past counts: another process wrote it, perhaps before the clock was set back.
            clock = SteadyClock(clock or SystemClock(), last_moment(connection))
    except CivicError:
        database.close()
        raise
    chain = Chain(key, clock)
    keys = KeyStore(settings.keys_folder)
    governing = Governing(
        database=database,
        chain=chain,
        clock=clock,
        catalog=catalog,
        pending=settings.policies_folder,
        isolated=settings.isolated,
    )
    book = Book(chain, clock)
    shelf = Shelf(key, clock)
    engine = Engine(settings.vault_folder, keys)
    noise = noise or DiscreteGaussianNoise()
    vault = Vault(database, chain, VaultStore(settings.vault_folder), keys, clock)
    releasing = Releasing(database, governing, shelf, chain, clock, key)
    holds = Holds(clock)
    gate = Gate(Allowances(clock), holds, chain, releasing.public_name)
    answering = Answering(
        database=database,
        governing=governing,
        book=book,
        shelf=shelf,
        chain=chain,
        gate=gate,
        engine=engine,
        noise=noise,
        clock=clock,
    )
    approving = Approving(database, governing, answering, book, holds, gate, chain)
    open_lane = OpenAnswering(
        database=database,
        governing=governing,
        book=book,
        shelf=shelf,
        chain=chain,
        engine=engine,
        clock=clock,
    )
    return Parts(
        settings=settings,
        clock=clock,
        database=database,
        chain=chain,
        key=key,
        governing=governing,
        book=book,
        shelf=shelf,
        vault=vault,
        lost=LostShares(vault, governing, book, key, noise),
        engine=engine,
        answering=answering,
        approving=approving,
        asking=Asking(database, governing, answering, approving, open_lane),
        allowing=Allowing(database, governing, book, gate, chain, clock),
        releasing=releasing,
        witnessing=Witnessing(database, governing, chain, clock),
    )
