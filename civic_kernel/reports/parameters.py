"""The parameters of a report, declared in `<name>.schema.json` beside its notebook.

Checked before a kernel starts: papermill only warns of an unknown parameter and would then run, and pay for,
a report that nobody asked for. Nothing here, or later, builds a path, a file name or code from a parameter:
a value can only be one that the schema lists.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from civic_kernel.errors import NotPublishable, ParameterInvalid, ParameterUnknown
from civic_kernel.texts import Language, text

Parameters = dict[str, Any]


@dataclass(frozen=True)
class Schema:
    """One report's declaration: JSON Schema 2020-12 with `label`, `help` and `values` in ko and en."""

    name: str
    version: int
    label: Mapping[Language, str]
    document: Mapping[str, Any]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.document["properties"])

    def words_for(self, name: str, value: object, language: Language) -> str:
        """A value as a person reads it: `2026년 9월` for `2026-09`."""
        words = self.document["properties"][name].get("values", {})
        if isinstance(value, list):
            return ", ".join(self.words_for(name, part, language) for part in value)
        return str(words[value][language]) if value in words else str(value)


def schema_beside(notebook: Path) -> Path:
    return notebook.with_suffix(".schema.json")


def read_schema(notebook: Path, language: Language = "ko") -> Schema:
    """The declaration beside `notebook`. Raises NotPublishable where it is missing or malformed."""
    try:
        return make_schema(json.loads(schema_beside(notebook).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        reason = text(language, "report", "publish.schema", name=schema_beside(notebook).name)
        raise NotPublishable.say(language, reason=reason) from None


def make_schema(document: Any) -> Schema:
    """The declaration that `document` (JSON) is. Raises ValueError where it is none."""
    import jsonschema

    try:
        jsonschema.Draft202012Validator.check_schema(document)
        # An open object would let an undeclared parameter through, so this is not left to the author.
        if document["type"] != "object" or document["additionalProperties"] is not False:
            raise KeyError("additionalProperties")
        return Schema(document["title"], int(document["version"]), document["label"], document)
    except (KeyError, TypeError, jsonschema.SchemaError) as fault:
        raise ValueError("no declaration of parameters") from fault


def check_parameters(schema: Schema, given: Mapping[str, Any], language: Language = "ko") -> Parameters:
    """`given` with the declared defaults filled in, in the schema's order.

    Raises ParameterUnknown or ParameterInvalid, each naming the parameter and what it may be.
    """
    import jsonschema

    properties = schema.document["properties"]
    for name in given:
        if name not in properties:
            raise ParameterUnknown.say(language, parameter=_printable(name), known=", ".join(schema.names))
    values: Parameters = {}
    for name, rule in properties.items():
        if name not in given and "default" not in rule:
            raise ParameterInvalid.say(language, parameter=name, expected=_expected(rule))
        value = given.get(name, rule.get("default"))
        if not jsonschema.Draft202012Validator(rule).is_valid(value):
            raise ParameterInvalid.say(language, parameter=name, expected=_expected(rule))
        values[name] = value
    if not jsonschema.Draft202012Validator(schema.document).is_valid(values):
        raise ParameterInvalid.say(language, parameter=schema.name, expected=", ".join(schema.names))
    return values


def read_assignments(schema: Schema, assignments: Sequence[str], language: Language = "ko") -> Parameters:
    """`["gu=강남구", "months=2026-08,2026-09"]` as typed values; a list is comma-separated. Then checked."""
    return check_parameters(schema, typed_assignments(schema, assignments, language), language)


def typed_assignments(schema: Schema, assignments: Sequence[str], language: Language = "ko") -> Parameters:
    """The same without a look at what is missing, or at what a value may be."""
    given: Parameters = {}
    for assignment in assignments:
        name, equals, spelled = assignment.partition("=")
        rule = schema.document["properties"].get(name)
        if rule is None:
            raise ParameterUnknown.say(language, parameter=_printable(name), known=", ".join(schema.names))
        if not equals or name in given:
            raise ParameterInvalid.say(language, parameter=name, expected=_expected(rule))
        given[name] = _typed(rule, spelled)
    return given


def read_number(spelled: str) -> object:
    """The number (or truth) that a text spells; else the text itself, which a schema then refuses, by name. NaN and
    Infinity are none: they are neither below a minimum nor above a maximum.
    """

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    try:
        return json.loads(spelled, parse_constant=refuse)
    except ValueError:
        return spelled


def _typed(rule: Mapping[str, Any], spelled: str) -> object:
    match rule.get("type"):
        case "array":
            return [_typed(rule["items"], part.strip()) for part in spelled.split(",") if part.strip()]
        case "integer" | "number" | "boolean":
            return read_number(spelled)
        case _:
            return spelled


def _expected(rule: Mapping[str, Any]) -> str:
    """The rule in words short enough for one sentence."""
    inner = rule.get("items", rule)
    if "enum" in inner:
        values = [str(value) for value in inner["enum"]]
        return ", ".join(values if len(values) <= 8 else [*values[:3], "…", values[-1]])
    return str(inner.get("type", "?"))


def _printable(name: str) -> str:
    """An unknown name comes from outside: cut and stripped of control characters before it is repeated."""
    return "".join(letter for letter in name if letter.isprintable())[:40]
