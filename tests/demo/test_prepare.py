"""The demonstration prepares itself from nothing, a second time for nothing, and after an upgrade anew."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from data_access.audit import check_chain
from data_access.audit.chain import read_events
from data_access.compose import Settings, compose
from data_access.demo import prepare as demo
from data_access.vault import find_version


def prepare(home: Path) -> dict[str, tuple[int, int]]:
    """Prepare; policy version and data version of each dataset."""
    demo.install_catalog(home / "catalog")
    settings = Settings(home=home, database_url=f"sqlite:///{home / 'db' / 'vault.sqlite'}", isolated=False)
    parts = compose(settings, create=True)
    try:
        demo.prepare(parts, rides=2_000, seed=1, progress=lambda *_: None)
        found = {}
        with parts.database.reading() as connection:
            check_chain(read_events(connection), parts.key.public)
            for dataset in demo.DATASETS:
                policy = parts.governing.in_any_lane(connection, dataset).policy
                version = find_version(connection, policy.lineage)
                assert version is not None and version.catalog_hash == policy.catalog
                found[dataset] = (policy.version, version.number)
        return found
    finally:
        parts.close()


def test_a_second_time_changes_nothing_and_an_upgrade_is_signed_and_loaded_as_the_next_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    first = prepare(home)
    assert set(first.values()) == {(1, 1)}
    assert prepare(home) == first
    shipped = tmp_path / "shipped"
    for folder in ("catalog", "policies"):
        shutil.copytree(demo.HERE / folder, shipped / folder)
    monkeypatch.setattr(demo, "HERE", shipped)
    stricter = shipped / "policies" / "accidents.yaml"
    stricter.write_text(stricter.read_text("utf-8").replace("minimum: 3", "minimum: 4"), "utf-8")
    assert prepare(home) == first | {"accidents": (2, 1)}
    layout = shipped / "catalog" / "accidents.yaml"
    layout.write_text(layout.read_text("utf-8").replace("Severity", "How bad"), "utf-8")
    assert prepare(home) == first | {"accidents": (3, 2)}
    assert prepare(home) == first | {"accidents": (3, 2)}
