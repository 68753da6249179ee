"""The statistics of the urban problems: pure functions from frames to frames."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from civic_kernel.methods import combine, donations, dust, gaps, meals, parks, rates, routes

__all__ = ["combine", "donations", "dust", "gaps", "meals", "parks", "rates", "routes"]


def __getattr__(name: str) -> ModuleType:
    if name not in __all__:
        raise AttributeError(f"module 'civic_kernel.methods' has no attribute {name!r}")
    return import_module(f"civic_kernel.methods.{name}")
