"""A whole vault side in a temporary folder: the product's own parts, signed policies, loaded files.

What differs from a real one is given as constructor arguments: a clock that waits for nothing, and, for
attacks, noise and parts that are deliberately weak. The product has no setting for any of them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_access.canonical import canonical_bytes
from data_access.catalog.entry import Dataset
from data_access.clock import Clock, SystemClock
from data_access.compose import Parts, compose, read_settings
from data_access.demo.parties import DemoKeys, demo_keys, demo_register
from data_access.flows.answering import Answered, Asker, Request
from data_access.flows.loading import load
from data_access.parties.register import SIDES
from data_access.policy import Policy
from data_access.privacy.mechanisms import Noise

TEAM = "bike"
ASKER = Asker("analyst", frozenset({TEAM}))


class ImpatientClock(SystemClock):
    """Real time, but nobody waits for the beat: what is measured is the work."""

    def sleep(self, seconds: float) -> None:
        """Return at once."""


@dataclass(frozen=True)
class Workspace:
    parts: Parts
    keys: DemoKeys

    def entry(self, dataset: str) -> Dataset:
        return self.parts.governing.catalog[dataset]

    def open(self, document: Mapping[str, Any]) -> Policy:
        """Sign and activate the policy of `document`; its `catalog` hash is filled in."""
        entry = self.entry(str(document["dataset"]))
        policy = Policy.model_validate({**document, "catalog": entry.hash()}, strict=False)
        data = canonical_bytes(policy.document())
        self.parts.governing.activate(policy, tuple(self.keys.of(side).sign_bytes(data) for side in SIDES))
        return policy

    def load(self, policy: Policy, files: Sequence[Path], tables: Path | None = None) -> None:
        load(
            self.parts.vault,
            self.entry(policy.dataset),
            files,
            lineage=policy.lineage,
            policy=policy,
            by="benchmark",
            tables=tables,
        )

    def ask(self, plan: Mapping[str, Any], rho: str, *, fresh: bool = False) -> Answered:
        spend = {"rho": rho}
        return self.parts.answering.answer(ASKER, Request(plan, spend, TEAM, "exploration", fresh))


@contextmanager
def workspace(
    entries: Mapping[str, str], *, clock: Clock | None = None, noise: Noise | None = None
) -> Iterator[Workspace]:
    """A new workspace whose catalog is `entries` (id → YAML), with the demonstration's parties."""
    with tempfile.TemporaryDirectory(prefix="civic-bench-") as folder:
        home = Path(folder)
        settings = read_settings({"CIVIC_HOME": folder})
        settings.catalog_folder.mkdir()
        for name, text in entries.items():
            (settings.catalog_folder / f"{name}.yaml").write_text(text, "utf-8")
        parts = compose(settings, clock=clock or ImpatientClock(), noise=noise, create=True)
        try:
            keys = demo_keys(home / "demo")
            register = demo_register(keys, parts.key, parts.clock)
            signatures = tuple(keys.of(side).sign(register.document()) for side in SIDES)
            parts.governing.accept_register(register, signatures)
            yield Workspace(parts, keys)
        finally:
            parts.close()
