"""Operator files in, checked Arrow tables out. Nothing here knows a key, a policy or a person's pseudonym."""

from data_access.intake.reading import Progress, read_files, row_schema

__all__ = ["Progress", "read_files", "row_schema"]
