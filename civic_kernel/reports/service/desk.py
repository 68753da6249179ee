"""All batches of all persons, and the queue that runs them. Its methods are called by many threads."""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from civic_kernel.errors import (
    KeyReused,
    PriceAbove,
    RunsFull,
    UnknownReport,
    UnknownRun,
)
from civic_kernel.reports.batch import OVER, Batch, Order, State, every
from civic_kernel.reports.outcome import Bounds
from civic_kernel.reports.parameters import Parameters, Schema, read_schema
from civic_kernel.reports.prices import Asking, find_questions, price
from civic_kernel.reports.queue import Job, Queue
from civic_kernel.reports.service.identity import Caller, refusal
from civic_kernel.reports.service.shapes import Ordered, Wanted
from civic_kernel.reports.work import PAGE, PARTIAL, Public, read_public
from civic_kernel.settings import Settings
from civic_kernel.texts import Language

#: Runs of one person that wait or run: four batches of all gu.
MOST_RUNS = 100
#: Days that a batch is kept. What should stay is published, or taken home.
KEPT_DAYS = 30
#: Seconds for which what a notebook asks is remembered, and for how many orders: a policy may open more data meanwhile.
ASKING_S, MOST_ASKINGS = 600.0, 200
_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"


@dataclass(frozen=True)
class Place:
    """Where things are, and what a run may take."""

    notebooks: Path
    batches: Path
    gateway_url: str
    bounds: Bounds


class Desk:
    """Reads what an earlier process left: whatever had not ended then says that it was cut off."""

    def __init__(self, place: Place, width: int, most: int = MOST_RUNS) -> None:
        self._place, self._most = place, most
        self._queue = Queue(width)
        self._guard = threading.Lock()
        self._askings: OrderedDict[str, tuple[float, Asking]] = OrderedDict()
        place.batches.mkdir(mode=0o700, exist_ok=True)
        self._batches: dict[str, Batch] = {}
        for folder in sorted(place.batches.iterdir()):
            self._read(folder)

    def close(self) -> None:
        self._queue.close()

    # --- what there is to run ---

    def reports(self) -> list[Schema]:
        """Every notebook with a declaration beside it, by name."""
        found = []
        for path in sorted(self._place.notebooks.glob("*.ipynb")):
            if path.with_suffix(".schema.json").is_file():
                found.append(read_schema(path))
        return found

    def price(self, caller: Caller, wanted: Wanted, language: Language) -> dict[str, Any]:
        """What `prices.price` tells. Raises UnknownReport, the parameters' and the gateway's refusals."""
        notebook, parameters = self._runs_of(wanted, language)
        return self._price(notebook, parameters, self._settings(caller, wanted, language), language)

    # --- runs ---

    def order(self, caller: Caller, ordered: Ordered, language: Language) -> Batch:
        """A new batch that waits; or the one that this very order made before. Raises as `price`, and PriceAbove,
        RunsFull, KeyReused."""
        body = ordered.model_dump_json(exclude={"key"})
        mark = hashlib.sha256(body.encode()).hexdigest()
        known = self._made_with(caller.name, ordered.key, mark, language)
        if known is not None:
            return known
        notebook, parameters = self._runs_of(ordered, language)
        settings = self._settings(caller, ordered, language)
        self._check_room(caller, len(parameters), language)
        told = self._price(notebook, parameters, settings, language)
        if told["rho"] > ordered.nano:
            raise PriceAbove.say(language)
        public = read_public(settings)
        identity = "run-" + "".join(secrets.choice(_ALPHABET) for _ in range(26))
        schema = read_schema(notebook, language)
        order = Order(
            id=identity,
            report=schema.name,
            title=schema.label,
            language=language,
            team=ordered.team,
            purpose=ordered.purpose,
            owner=caller.name,
            pay=ordered.nano,
            key=_hidden(ordered.key),
            body=mark,
        )
        with self._guard:
            # Asked again under the guard: two sendings at once are one batch all the same.
            twice = self._find_made(caller.name, ordered.key)
            if twice is not None:
                return twice
            batch = Batch.make(self._place.batches / identity, notebook, order, parameters)
            self._batches[identity] = batch
        self._start(batch, range(1, len(parameters) + 1), settings, public)
        return batch

    def mine(self, caller: Caller) -> list[Batch]:
        """Newest first."""
        with self._guard:
            found = [batch for batch in self._batches.values() if batch.order.owner == caller.name]
        return sorted(found, key=lambda batch: (batch.order.created_at, batch.order.id), reverse=True)

    def batch(self, caller: Caller, identity: str, language: Language) -> Batch:
        """Raises UnknownRun for somebody else's as for none."""
        with self._guard:
            found = self._batches.get(identity)
        if found is None or found.order.owner != caller.name:
            raise UnknownRun.say(language)
        return found

    def ahead(self, batch: Batch) -> int:
        return self._queue.ahead(batch.order.id)

    def cancel(self, batch: Batch) -> None:
        """What waits is cancelled; what runs is told to stop, and has stopped within a second."""
        for number in self._queue.take_back(batch.order.id):
            batch.cancel(number)

    def resume(self, caller: Caller, batch: Batch, language: Language) -> Batch:
        """Runs what is not done, with the token of this request; for at most what was agreed to. A batch that still
        runs stays as it is. Raises as `order`."""
        if batch.state not in (State.FAILED, State.CANCELLED, State.PARTLY):
            return batch
        left = [part.parameters for part in batch.parts if part.state is not State.DONE]
        self._check_room(caller, len(left), language)
        order = batch.order
        settings = Settings(self._place.gateway_url, order.team, order.purpose, language, caller.token)
        if self._price(batch.notebook, left, settings, language)["rho"] > order.pay:
            raise PriceAbove.say(language)
        public = read_public(settings)
        self._start(batch, batch.again(), settings, public)
        return batch

    def file(self, batch: Batch, number: int, path: str, language: Language) -> Path:
        """A file of a run's page, or its partial notebook. Raises UnknownRun."""
        if not 1 <= number <= len(batch.parts) or batch.parts[number - 1].state not in OVER:
            raise UnknownRun.say(language)
        folder = batch.place(number)
        root = folder / PAGE
        found = (folder / PARTIAL if path == PARTIAL else root / path).resolve()
        if path != PARTIAL and not found.is_relative_to(root.resolve()):
            raise UnknownRun.say(language)
        if not found.is_file():
            raise UnknownRun.say(language)
        return found

    # --- inside ---

    def _read(self, folder: Path) -> None:
        if folder.name.startswith("."):
            shutil.rmtree(folder, ignore_errors=True)
            return
        try:
            batch = Batch.read(folder)
            made = datetime.fromisoformat(batch.order.created_at)
        except (ValueError, TypeError):
            return  # not ours to remove: somebody should look at it
        if datetime.now(UTC) - made > timedelta(days=KEPT_DAYS):
            shutil.rmtree(folder, ignore_errors=True)
        else:
            self._batches[folder.name] = batch

    def _runs_of(self, wanted: Wanted, language: Language) -> tuple[Path, list[Parameters]]:
        """The notebook is one of those that are there, never a path made of what came."""
        known = {path.stem: path for path in self._place.notebooks.glob("*.ipynb")}
        notebook = known.get(wanted.report)
        if notebook is None or not notebook.with_suffix(".schema.json").is_file():
            names = ", ".join(schema.name for schema in self.reports())
            raise UnknownReport.say(language, known=names)
        schema = read_schema(notebook, language)
        return notebook, every(schema, wanted.parameters, wanted.each or {}, language)

    def _settings(self, caller: Caller, wanted: Wanted, language: Language) -> Settings:
        return Settings(self._place.gateway_url, wanted.team, wanted.purpose, language, caller.token)

    def _check_room(self, caller: Caller, more: int, language: Language) -> None:
        if self._queue.count(caller.name) + more > self._most:
            raise RunsFull.say(language, most=self._most)

    def _price(
        self, notebook: Path, parameters: Sequence[Parameters], settings: Settings, language: Language
    ) -> dict[str, Any]:
        from civic_kernel.client import Client

        asking = self._asking(notebook, parameters, settings)
        with closing(Client.from_settings(settings)) as client:
            return price(asking, client, len(parameters))

    def _asking(self, notebook: Path, parameters: Sequence[Parameters], settings: Settings) -> Asking:
        """What these runs ask, from memory if the same was looked for a while ago: it does not depend on who asks."""
        known = hashlib.sha256(notebook.read_bytes())
        known.update(json.dumps(list(parameters), sort_keys=True).encode())
        key, now = known.hexdigest(), time.monotonic()
        with self._guard:
            found = self._askings.get(key)
            if found is not None and now - found[0] < ASKING_S:
                return found[1]
        asking = find_questions(notebook, parameters, settings, only_forked=True)
        with self._guard:
            self._askings[key] = (now, asking)
            while len(self._askings) > MOST_ASKINGS:
                self._askings.popitem(last=False)
        return asking

    def _start(self, batch: Batch, numbers: Sequence[int], settings: Settings, public: Public) -> None:
        def job(number: int) -> Job:
            def work(stop: threading.Event) -> None:
                bounds = replace(self._place.bounds, stop=stop)
                batch.perform(number, settings, public, bounds, only_forked=True)

            return Job(batch.order.owner, batch.order.id, number, work)

        self._queue.add([job(number) for number in numbers])

    def _made_with(self, owner: str, key: str, mark: str, language: Language) -> Batch | None:
        with self._guard:
            found = self._find_made(owner, key)
        if found is not None and found.order.body != mark:
            raise refusal(KeyReused, language, "runs.key_reused")
        return found

    def _find_made(self, owner: str, key: str) -> Batch | None:
        hidden = _hidden(key)
        return next(
            (b for b in self._batches.values() if (b.order.owner, b.order.key) == (owner, hidden)), None
        )


def _hidden(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
