"""What a home holds is measured and made room in as its owner, whatever she has put there."""

import os
import shutil
from pathlib import Path

import pytest

from hub_config import home
from hub_config.limits import space
from tests.hub.conftest import make_settings

pytestmark = pytest.mark.hub
MEGABYTE = space.MEGABYTE


@pytest.fixture
def hers(folder, monkeypatch):
    """(settings, home, uid) of somebody with a quota of 3 MB."""
    # Run as her, who may not be able to read the checkout.
    program = folder / "within.py"
    shutil.copyfile(space.PROGRAM, program)
    program.chmod(0o644)
    monkeypatch.setattr(space, "PROGRAM", program)
    settings = make_settings(folder / "home", CIVIC_HOME_QUOTA="3")
    home.prepare(settings)
    uid = settings.uid_base if settings.is_root else os.getuid()
    place = home.home_folder(settings, "expert-han", is_room=False)
    place.mkdir(mode=0o700)
    if settings.is_root:
        os.chown(place, uid, uid)
    return settings, place, uid


def write(place, name, size, uid):
    path = place / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(os.urandom(size))
    for made in (path, path.parent):
        if os.geteuid() == 0:
            os.chown(made, uid, uid)


def test_a_home_is_full_beyond_its_quota_and_its_largest_files_come_first(hers):
    settings, place, uid = hers
    write(place, "small.csv", MEGABYTE // 4, uid)
    write(place, "middle.csv", MEGABYTE, uid)
    write(place, "folder/지도 자료.csv", 1_200_000, uid)
    write(place, ".civic/history.sqlite", MEGABYTE // 4, uid)
    assert not space.is_full(settings, place, uid)
    held = space.measure(settings, place, uid)
    assert [path for path, _ in held.largest] == ["folder/지도 자료.csv", "middle.csv"]
    assert 2.7 * MEGABYTE <= held.bytes < 3 * MEGABYTE
    write(place, "more.csv", MEGABYTE, uid)
    assert space.is_full(settings, place, uid)
    space.delete(settings, place, uid, ["folder/지도 자료.csv"])
    assert not space.is_full(settings, place, uid)
    assert (place / "small.csv").exists()


def test_links_lead_nowhere_second_names_cost_nothing_and_empty_files_something(hers):
    settings, place, uid = hers
    write(place, "once", MEGABYTE, uid)
    os.link(place / "once", place / "twice")
    os.symlink("/usr", place / "system")
    before = space.measure(settings, place, uid).bytes
    assert before < 1.1 * MEGABYTE
    for number in range(100):
        (place / f"empty-{number}").touch()
    assert space.measure(settings, place, uid).bytes - before == 100 * 4096


def test_nothing_outside_the_home_is_measured_or_deleted(hers, folder):
    settings, place, uid = hers
    outside = folder / "theirs"
    outside.mkdir(mode=0o700)
    (outside / "kept").write_bytes(bytes(5 * MEGABYTE))
    os.symlink(outside, place / "door")
    space.delete(settings, place, uid, [str(outside / "kept"), "../../../theirs/kept", "", "\0", "."])
    assert (outside / "kept").exists()
    if settings.is_root:
        space.delete(settings, place, uid, ["door/kept"])  # as herself she may not
        assert (outside / "kept").exists()
    assert space.measure(settings, place, uid).bytes < MEGABYTE


def test_a_home_that_cannot_be_counted_is_taken_for_full(hers, monkeypatch):
    settings, place, uid = hers
    assert not space.is_full(settings, place, uid)
    monkeypatch.setattr(space, "PATIENCE_S", 0.0)
    assert space.measure(settings, place, uid) is None
    assert space.is_full(settings, place, uid)


def test_nobody_without_a_home_yet_is_over_her_quota(hers):
    settings, place, uid = hers
    assert space.measure(settings, Path(f"{place}-not-there"), uid).bytes == 0
