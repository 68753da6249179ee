from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import making
import pytest

from data_access.flows.loading import Vault


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    made = making.vault(tmp_path / "state")
    yield made
    made.database.close()
