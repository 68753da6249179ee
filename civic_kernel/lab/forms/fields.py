"""A report's form, made from its own schema and from nothing else; and what the form sent, as parameters."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from civic_kernel.lab.forms.chosen import Fields
from civic_kernel.lab.forms.offered import MOST_BOXES, Option
from civic_kernel.publish.words import span
from civic_kernel.reports.parameters import Parameters, Schema, read_number
from civic_kernel.texts import Language, keys

#: Before a parameter's name in an address: it must not fall together with a field of the page.
PREFIX = "p."
MONTH = re.compile(r"\d{4}-\d{2}")
#: The parameter for which "one report for each" was ticked.
EACH = "each"


@dataclass(frozen=True)
class Field:
    """One parameter as the form shows it. `form`: `list` (one of), `boxes` (several of), `number`, `text`, `yes`.

    `each` is the number of places for which a report each can be made at once; 0 where it names no places.
    """

    name: str
    label: str
    help: str
    form: str
    options: tuple[Option, ...] = ()
    value: str = ""
    unit: str = ""
    low: float | None = None
    high: float | None = None
    each: int = 0
    wrong: bool = False
    needed: bool = False

    @property
    def id(self) -> str:
        return PREFIX + self.name


def make_fields(
    schema: Schema, given: Parameters, language: Language, wrong: frozenset[str] = frozenset()
) -> list[Field]:
    """The form's fields in the schema's order, filled with `given` or else the declared defaults."""
    needed = schema.document.get("required", ())
    found = []
    for name, rule in schema.document["properties"].items():
        default = language if name == "language" and language in _enum(rule) else rule.get("default")
        value = given.get(name, default)
        inner = rule.get("items", rule)
        values = _enum(inner)
        chosen = value if isinstance(value, list) else [value]
        options = tuple(Option(_spelled(v), schema.words_for(name, v, language), v in chosen) for v in values)
        found.append(
            Field(
                name,
                str(rule.get("label", {}).get(language, name)),
                str(rule.get("help", {}).get(language, "")),
                _form(rule, len(values)),
                options,
                "" if value is None or isinstance(value, list) else _spelled(value),
                str(rule.get("unit", {}).get(language, "")),
                rule.get("minimum"),
                rule.get("maximum"),
                len(places_of(schema, name)),
                name in wrong,
                name in needed,
            )
        )
    return found


def places_of(schema: Schema, name: str) -> list[str]:
    """The registered places that the parameter may name one of; empty where it names none, or fewer than two."""
    rule = schema.document["properties"].get(name, {})
    known = keys("ko", "places")
    found = [value for value in _enum(rule) if isinstance(value, str) and value in known]
    return found if len(found) > 1 else []


def read_fields(schema: Schema, fields: Fields) -> Parameters:
    """What the form sent, typed by the schema; nothing is judged yet. A box that nobody ticked is an empty list, since
    the form that was sent showed it; a field that is not there at all is left to its default.
    """
    given: Parameters = {}
    shown = any(name.startswith(PREFIX) for name in fields)
    for name, rule in schema.document["properties"].items():
        sent = list(fields.get(PREFIX + name, ()))
        match rule.get("type"):
            case "array":
                if sent or shown:
                    given[name] = [_typed(rule["items"], value) for value in sent if value]
            case "boolean":
                if shown:
                    given[name] = bool(sent)
            case _ if sent:
                given[name] = _typed(rule, sent[0])
    return given


def read_each(schema: Schema, fields: Fields) -> dict[str, list[str]]:
    """`{"gu": [all of them]}` where one report for each place was wished for; else empty."""
    name = next(iter(fields.get(EACH, ())), "")
    places = places_of(schema, name) if name in schema.names else []
    return {name: places} if places else {}


def wrong_fields(schema: Schema, given: Parameters) -> frozenset[str]:
    """Names of the parameters whose value the schema does not allow, so that the form can point at them."""
    import jsonschema

    found = set()
    for name, rule in schema.document["properties"].items():
        value = given.get(name, rule.get("default"))
        if not jsonschema.Draft202012Validator(rule).is_valid(value):
            found.add(name)
    return frozenset(found)


def to_fields(schema: Schema, given: Parameters, each: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The fields of an address that `read_fields` and `read_each` read back into the same."""
    found: list[tuple[str, str]] = []
    for name, value in given.items():
        if isinstance(value, bool):
            found += [(PREFIX + name, "1")] if value else []
        else:
            found += [(PREFIX + name, _spelled(v)) for v in (value if isinstance(value, list) else [value])]
    return [("report", schema.name), *found, *((EACH, name) for name in each)]


def said(
    schema: Schema, given: Parameters, each: Mapping[str, Any], language: Language
) -> list[tuple[str, str]]:
    """(label, value in words) of each parameter; of a batch the places are counted, not listed."""
    found = []
    for name, rule in schema.document["properties"].items():
        if name in given and name not in each:
            label = str(rule.get("label", {}).get(language, name))
            value = given[name]
            # Twelve months are read as from–to, not one by one.
            months = isinstance(value, list) and all(MONTH.fullmatch(str(one)) for one in value)
            found.append(
                (label, span(value, language) if months else schema.words_for(name, value, language))
            )
    return found


def _enum(rule: Mapping[str, Any]) -> list[Any]:
    return list(rule.get("enum", ()))


def _form(rule: Mapping[str, Any], values: int) -> str:
    kind = rule.get("type")
    if kind == "array":
        return "boxes" if values <= MOST_BOXES else "many"
    if values:
        return "list"
    return {"integer": "number", "number": "number", "boolean": "yes"}.get(str(kind), "text")


def _typed(rule: Mapping[str, Any], value: str) -> Any:
    # A number in a list of numbers is compared as a number, "2026" in one of texts as text.
    if rule.get("type") in ("integer", "number"):
        return read_number(value)
    return value


def _spelled(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
