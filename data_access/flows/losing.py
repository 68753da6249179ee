"""The lost share of each period, published once: reserve → read → commit, out of `load_rho`.

Made when a version is there under a policy: after a load, when a policy takes effect, and at each start, which also
ends what a crash left between two steps. Never at a question: whether an answer says it must not depend on who asked
first, and the asker would wait for the full table. Only months that the files cover whole, since a period and bound
have one draw for ever: of half a month it would be about the wrong half.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from data_access.answers.lost import (
    LEAST_RHO,
    NUMBERS,
    has_lost_share,
    lost_mechanisms,
    lost_question,
    make_lost_statement,
    put_lost_share,
)
from data_access.audit import EventKind
from data_access.errors import CivicError
from data_access.flows.governing import Governing, InForce
from data_access.flows.loading import Vault, whole_until
from data_access.ledger import Book, LoadBook, LoadQuestion, Reservation
from data_access.parties import SigningKey
from data_access.policy import Policy, UnitKind
from data_access.privacy.budget import Rho
from data_access.privacy.mechanisms import Noise
from data_access.vault import Version, count_past_bound, find_version
from data_access.vault.store import check_hash


@dataclass(frozen=True)
class LostShares:
    vault: Vault
    governing: Governing
    book: Book
    key: SigningKey
    noise: Noise

    def publish_all(self) -> None:
        """For every dataset that is open; one that is closed waits until it opens."""
        for dataset in self.governing.catalog:
            with suppress(CivicError):
                self.publish(dataset)

    def publish(self, dataset: str) -> tuple[str, ...]:
        """The periods whose lost share was published just now: none where nothing is loaded, the unit is a row (of
        which none can be past the bound), `load_rho` is spent, or all of it is there.

        Raises what closes the dataset, VaultKeyWrong, VaultDamaged, LedgerUnavailable.
        """
        # No load may put another version in the place of the one that is read.
        with self.vault.store.exclusive():
            claimed = self._reserve(dataset)
            if claimed is None:
                return ()
            policy, version, reserved = claimed
            source = self.vault.store.path(version.file)
            check_hash(source, version.sha256)
            exact = count_past_bound(
                self.vault.store,
                source,
                self.vault.keys.get(policy.lineage),
                row_bound=policy.row_bound,
                periods=list(reserved),
            )
            self._commit(policy, version, reserved, exact)
            return tuple(reserved)

    def _reserve(self, dataset: str) -> tuple[Policy, Version, dict[str, tuple[Reservation, Rho]]] | None:
        loads = LoadBook(self.book, self.vault.clock)
        with self.vault.database.transaction() as tx:
            force = self.governing.in_any_lane(tx.connection, dataset)
            if not isinstance(force, InForce):
                # In the open lane nothing is bounded, and so nothing lost.
                return None
            policy = force.policy
            version = find_version(tx.connection, policy.lineage)
            fits = version is not None and version.catalog_hash == policy.catalog
            if policy.unit.kind is UnitKind.ROW or not fits:
                return None
            assert version is not None
            reserved: dict[str, tuple[Reservation, Rho]] = {}
            for period in policy.periods():
                if period > whole_until(version) or has_lost_share(tx.connection, policy, period):
                    continue
                question = LoadQuestion(lost_question(policy, period), policy.lineage, period)
                claim = loads.claim(tx, question, policy, LEAST_RHO)
                if claim is not None:
                    reserved[period] = claim
            return (policy, version, reserved) if reserved else None

    def _commit(
        self,
        policy: Policy,
        version: Version,
        reserved: Mapping[str, tuple[Reservation, Rho]],
        exact: Mapping[str, tuple[int, int, int, int]],
    ) -> None:
        drawn = []
        for period, (reservation, rho) in reserved.items():
            mechanisms = lost_mechanisms(policy.row_bound, rho)
            noisy = {
                name: self.noise.add(np.array([number]), mechanisms[name])[0]
                for name, number in zip(NUMBERS, exact[period], strict=True)
            }
            drawn.append((period, reservation, rho, mechanisms, noisy))
        with self.vault.database.transaction() as tx:
            for period, reservation, rho, mechanisms, noisy in drawn:
                now = self.vault.clock.now()
                statement = make_lost_statement(
                    policy,
                    period,
                    noisy,
                    mechanisms,
                    rho=rho,
                    reservation=reservation.id,
                    data_version=version.number,
                    now=now,
                )
                found = put_lost_share(tx, self.key, policy, period, statement, reservation.id, now)
                self.book.settle(tx, reservation.id, "answered")
                self.vault.chain.append(
                    tx,
                    EventKind.LOST_SHARE_PUBLISHED,
                    {
                        "lineage": policy.lineage,
                        "lost_share": found.id,
                        "period": period,
                        "policy": policy.hash(),
                        "reservation": reservation.id,
                        "row_bound": policy.row_bound,
                        "data_version": version.number,
                    },
                )
