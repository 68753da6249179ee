"""From nothing to an open demonstration: city, keys, register, signed policies, loaded vault.

Every step finds what is done already, so a second run is quick and changes nothing.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import yaml

from data_access.canonical import canonical_bytes
from data_access.compose import Parts
from data_access.demo.city import CityFiles, build_city
from data_access.demo.parties import DemoKeys, demo_keys, demo_register
from data_access.flows.governing import read_policy
from data_access.flows.loading import load, make_missing_view
from data_access.parties.keys import signatures_path, write_signatures
from data_access.parties.register import SIDES
from data_access.vault import find_version

HERE = Path(__file__).parent
DATASETS = (
    *("bike_rides", "accidents", "gu_facts", "weather_days", "air_days", "expressway_traffic"),
    *("meal_card_uses", "meal_merchants", "shop_sales", "shop_areas", "parks"),
    *("donations", "donation_campaigns"),
    *("bike_stations", "bike_lanes", "dong_facts"),
)

Progress = Callable[[str, float], None]


def install_catalog(folder: Path) -> None:
    """Put the demonstration's catalog entries into a new workspace, before anything reads them."""
    folder.mkdir(parents=True, exist_ok=True)
    for source in (HERE / "catalog").glob("*.yaml"):
        target = folder / source.name
        if not target.exists() or target.read_bytes() != source.read_bytes():
            shutil.copyfile(source, target)


def prepare(parts: Parts, *, rides: int, seed: int, progress: Progress) -> None:
    """Make, sign, load. Raises CivicError; whatever was finished before stays."""
    home = parts.settings.home
    city = build_city(home / "city" / "files", rides=rides, seed=seed, progress=_staged(progress, "city"))
    keys = demo_keys(home / "demo" / "keys")
    progress("sign", 0.0)
    _accept_register(parts, keys)
    for dataset in DATASETS:
        _sign_and_activate(parts, keys, dataset)
    progress("sign", 1.0)
    for dataset in DATASETS:
        _load(parts, dataset, city, _staged(progress, "load"))
        parts.lost.publish(dataset)


def _accept_register(parts: Parts, keys: DemoKeys) -> None:
    with parts.database.reading() as connection:
        there = parts.governing.register(connection)
    # A workspace from before there were witnesses, or the charity, gets a second register, signed by the keys of the
    # first.
    wanted = (keys.charity, *(keys.witness_of(side) for side in SIDES))
    if there is not None and all(there.key(key.id) for key in wanted):
        return
    version = there.version + 1 if there else 1
    register = demo_register(keys, parts.key, parts.clock, version)
    signatures = tuple(keys.of(side).sign(register.document()) for side in SIDES)
    parts.governing.accept_register(register, signatures)
    path = parts.settings.policies_folder / "parties.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(register.document(), ensure_ascii=False, indent=1) + "\n", "utf-8")
    write_signatures(signatures_path(path), signatures)


def _sign_and_activate(parts: Parts, keys: DemoKeys, dataset: str) -> None:
    """The shipped policy in force: as version 1, or as the next version where an earlier release shipped another."""
    path = parts.settings.policies_folder / f"{dataset}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    template = HERE / "policies" / f"{dataset}.yaml"
    wanted = yaml.safe_load(template.read_text("utf-8"))
    # What the signatures will be for, layout of the files included.
    wanted["catalog"] = parts.governing.catalog[dataset].hash()
    there = yaml.safe_load(path.read_text("utf-8")) if path.exists() else None
    if there is None or {**there, "version": 1} != {**wanted, "version": 1}:
        wanted["version"] = 1 if there is None else int(there["version"]) + 1
        # Signatures first: between the two steps the policy is unsigned, never wrongly signed.
        signatures_path(path).unlink(missing_ok=True)
        staged = path.with_name(f".{path.name}.new")
        staged.write_text(yaml.safe_dump(wanted, allow_unicode=True, sort_keys=False), "utf-8")
        os.replace(staged, path)
    policy, signatures = read_policy(path)
    if not signatures:
        data = canonical_bytes(policy.document())
        signatures = tuple(keys.of_party(signer.party).sign_bytes(data) for signer in policy.signers)
        write_signatures(signatures_path(path), signatures)
    parts.governing.activate(policy, signatures)


def _load(parts: Parts, dataset: str, city: CityFiles, progress: Progress) -> None:
    with parts.database.reading() as connection:
        force = parts.governing.in_any_lane(connection, dataset)
        loaded = find_version(connection, force.policy.lineage)
    if loaded is not None and loaded.catalog_hash == force.policy.catalog:
        make_missing_view(parts.vault, force.entry, force.policy)
        return
    files = {
        "bike_rides": city.rides,
        "accidents": (city.accidents,),
        "gu_facts": (city.gu,),
        "weather_days": (city.weather,),
        "air_days": (city.air,),
        "expressway_traffic": (city.traffic,),
        "meal_card_uses": (city.meal_uses,),
        "meal_merchants": (city.meal_merchants,),
        "donations": (city.donations,),
        "donation_campaigns": (city.donation_campaigns,),
        "shop_sales": (city.shop_sales,),
        "shop_areas": (city.shop_areas,),
        "parks": (city.parks,),
        "bike_stations": (city.stations,),
        "bike_lanes": (city.lanes,),
        "dong_facts": (city.dong,),
    }
    load(
        parts.vault,
        force.entry,
        files[dataset],
        lineage=force.policy.lineage,
        policy=force.policy,
        by="demonstration",
        tables=city.root,
        progress=progress,
    )


def _staged(progress: Progress, stage: str) -> Progress:
    return lambda step, fraction: progress(f"{stage}.{step}", fraction)
