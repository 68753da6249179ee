"""A page from a template of `templates/citizen`, in one language, with its styles and the policy that it needs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import jinja2
from jinja2.bccache import Bucket

from civic_kernel.publish import look
from civic_kernel.texts import Language, templates_root, text


class _Compiled(jinja2.BytecodeCache):
    """In memory, so that it is there in whatever is forked from this process; Jinja compares the template's text."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in self._kept:
            bucket.bytecode_from_string(self._kept[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._kept[bucket.key] = bucket.bytecode_to_string()


COMPILED = _Compiled()


def render(
    template: str, language: Language, *, script: str = "", also: Iterable[str] = (), **values: Any
) -> bytes:
    """`script` is inlined at the page's end; `also` are further sources of scripts for its policy."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([templates_root() / "citizen"]),
        autoescape=True,
        trim_blocks=True,
        undefined=jinja2.StrictUndefined,
        bytecode_cache=COMPILED,
    )

    def say(key: str, **facts: Any) -> str:
        return text(language, "report" if key.startswith("page.") else "citizen", key, **facts)

    page = environment.get_template(template).render(
        t=say,
        language=language,
        other="en" if language == "ko" else "ko",
        styles=look.styles(),
        script=script,
        policy=look.content_policy([script] if script else [], also),
        **values,
    )
    return page.encode("utf-8")
