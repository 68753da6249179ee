"""Every sentence a person reads exists in Korean and in English, and code asks for none that does not."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from string import Formatter

import pytest
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po

from civic_kernel import errors as kernel_errors
from data_access import errors as vault_errors
from hub_config import errors as hub_errors
from hub_config.texts import DOMAINS as HUB_DOMAINS

ROOT = Path(__file__).resolve().parents[2]
LOCALE = ROOT / "templates/locale"
LANGUAGES = ("ko", "en")
DOMAINS = sorted({path.stem for path in LOCALE.glob("*/*.po")})
#: room -> the domain that its `text()` reads without being told, or None where the call names one.
ROOMS = {"civic_kernel": None, "data_access": None, "hub_config": "hub"}
#: Sentences that give one fact in another form: "2026년 9월", but "September 2026".
OTHER_FORM = {
    ("report", "months"): {"month", "name"},
    ("kernel", "figure.month"): {"month", "name"},
    ("kernel", "figure.month_year"): {"month", "name", "short", "year"},
    ("words", "value.month"): {"month", "number"},
}


def catalog(language: str, domain: str) -> Catalog:
    with (LOCALE / language / f"{domain}.po").open("rb") as file:
        return read_po(file, locale=language)


def sentences(language: str, domain: str) -> dict[str, str]:
    return {str(message.id): str(message.string) for message in catalog(language, domain) if message.id}


def placeholders(sentence: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(sentence) if name is not None}


TEXTS = {(language, domain): sentences(language, domain) for language in LANGUAGES for domain in DOMAINS}
KEYS = {domain: set(TEXTS["en", domain]) for domain in DOMAINS}
# hub_config reads several files as one.
for language in LANGUAGES:
    TEXTS[language, "hub"] = {
        key: said for name in HUB_DOMAINS for key, said in TEXTS[language, name].items()
    }
KEYS["hub"] = set(TEXTS["en", "hub"])


@dataclass(frozen=True)
class Asked:
    """One `text(…)` in code: `pattern` matches the keys that it can mean; `facts` is None where `**` hides them."""

    where: str
    domain: str
    pattern: str
    facts: frozenset[str] | None


def pattern_of(key: ast.expr) -> str | None:
    """A regular expression for the key, or None where nothing of it is written out."""
    match key:
        case ast.Constant(value=str(written)):
            return re.escape(written)
        case ast.JoinedStr(values=parts):
            return "".join(re.escape(str(p.value)) if isinstance(p, ast.Constant) else ".+" for p in parts)
        case ast.IfExp(body=one, orelse=other):
            return (
                None if None in (found := [pattern_of(one), pattern_of(other)]) else "|".join(map(str, found))
            )
    return None


def asked(room: str) -> Iterator[Asked]:
    for path in sorted((ROOT / room).rglob("*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        for node in ast.walk(tree):
            if called(node, "text"):
                yield from _asked(path, node, ROOMS[room])
            elif isinstance(node, ast.FunctionDef):
                yield from _through_speakers(path, tree, node)


def called(node: ast.AST, *names: str) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names


def _asked(path: Path, node: ast.AST, fixed: str | None) -> Iterator[Asked]:
    assert isinstance(node, ast.Call)
    arguments = node.args[1:] if fixed else node.args[2:]
    domain = fixed or (node.args[1].value if isinstance(node.args[1], ast.Constant) else None)
    pattern = pattern_of(arguments[0]) if arguments else None
    if isinstance(domain, str) and pattern is not None:
        yield Asked(f"{path.relative_to(ROOT)}:{node.lineno}", domain, pattern, _facts(node))


def _facts(node: ast.Call) -> frozenset[str] | None:
    names = [keyword.arg for keyword in node.keywords]
    return None if None in names else frozenset(map(str, names))


def _through_speakers(path: Path, tree: ast.Module, function: ast.FunctionDef) -> Iterator[Asked]:
    """`say = speaker(language, "kernel", "price.")` and then `say("cost", …)`, within one function.

    `say(key)` over a list can mean every word that is written in the module.
    """
    for made in ast.walk(function):
        if not (isinstance(made, ast.Assign) and called(made.value, "speaker")):
            continue
        assert isinstance(made.value, ast.Call) and isinstance(made.targets[0], ast.Name)
        domain, prefix = made.value.args[1], pattern_of(made.value.args[2])
        if not isinstance(domain, ast.Constant) or prefix is None:
            continue
        for node in ast.walk(function):
            if isinstance(node, ast.Call) and called(node, made.targets[0].id):
                key = pattern_of(node.args[0]) or "|".join(map(re.escape, _words(tree)))
                pattern = f"{prefix}(?:{key})" if "|" in key else prefix + key
                yield Asked(
                    f"{path.relative_to(ROOT)}:{node.lineno}", str(domain.value), pattern, _facts(node)
                )


def _words(tree: ast.Module) -> set[str]:
    constants = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    return {each for each in constants if isinstance(each, str) and re.fullmatch(r"[a-z_.]+", each)}


ASKED = [one for room in ROOMS for one in asked(room)]


@pytest.mark.parametrize("domain", DOMAINS)
def test_both_languages_have_the_same_keys(domain: str) -> None:
    assert {language for language in LANGUAGES if (LOCALE / language / f"{domain}.po").is_file()} == set(
        LANGUAGES
    )
    assert set(TEXTS["ko", domain]) == set(TEXTS["en", domain])


@pytest.mark.parametrize("domain", DOMAINS)
def test_both_languages_name_the_same_facts(domain: str) -> None:
    wrong = [
        key
        for key in KEYS[domain]
        if (placeholders(TEXTS["ko", domain].get(key, "")) ^ placeholders(TEXTS["en", domain][key]))
        - OTHER_FORM.get((domain, key), set())
    ]
    assert wrong == []


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_sentence_is_written_once_and_is_nobodys_guess(language: str, domain: str) -> None:
    messages = catalog(language, domain)
    assert [message.id for message in messages if message.id and not str(message.string).strip()] == []
    assert [message.id for message in messages if message.fuzzy and message.id] == [], (
        "a fuzzy sentence is a guess"
    )
    assert not messages.obsolete
    # gettext would keep one of two sentences with one key, and say nothing.
    written = re.findall(r'^msgid "(.+)"$', (LOCALE / language / f"{domain}.po").read_text("utf-8"), re.M)
    assert sorted(written) == sorted(set(written))


@pytest.mark.parametrize("domain", DOMAINS)
def test_placeholders_have_names(domain: str) -> None:
    unnamed = [key for key, said in TEXTS["en", domain].items() if placeholders(said) & {"", "0", "1"}]
    assert unnamed == []


def test_every_key_that_code_asks_for_exists() -> None:
    assert ASKED, "the walk found no text at all"
    missing = [
        f"{one.where}: {one.domain} {one.pattern}"
        for one in ASKED
        if not any(re.fullmatch(one.pattern, key) for key in KEYS.get(one.domain, ()))
    ]
    assert missing == []


def test_code_gives_the_facts_that_its_sentences_need() -> None:
    wrong = []
    for one in ASKED:
        exact = one.pattern.replace("\\", "")
        if one.facts is None or exact not in KEYS.get(one.domain, ()):
            continue
        lacking = placeholders(TEXTS["en", one.domain][exact]) - one.facts
        if lacking:
            wrong.append(f"{one.where}: {exact} needs {sorted(lacking)}")
    assert wrong == []


@pytest.mark.parametrize("folder", ["report", "citizen", "workspace", "gateway", "lab", "forms"])
def test_every_key_that_a_template_asks_for_exists(folder: str) -> None:
    # The pages of the citizen site share the frame of reports: keys in `page.` are theirs.
    known = {
        "citizen": KEYS["report"] | KEYS["citizen"],
        "workspace": KEYS["hub"],
    }.get(folder) or KEYS[folder]
    files = [path for path in (ROOT / "templates" / folder).rglob("*") if path.suffix in (".html", ".j2")]
    found = {
        key
        for path in files
        for key in re.findall(r"""\bt\(\s*["']([^"']+)["']\s*[,)]""", path.read_text("utf-8"))
    }
    assert found
    assert found - known == set()


def test_no_sentence_is_left_that_nothing_says() -> None:
    written: set[str] = set()
    patterns = {one.pattern for one in ASKED if ".+" not in one.pattern}
    for path in [path for room in ROOMS for path in (ROOT / room).rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                written.add(node.value)
            elif isinstance(node, ast.JoinedStr):
                patterns.add(pattern_of(node) or "")
    # A pattern that is all gaps would excuse everything.
    patterns = {pattern for pattern in patterns if len(re.sub(r"\.\+|\W", "", pattern)) > 1}
    shown = "\n".join(
        path.read_text("utf-8")
        for folder in ("templates", "notebooks", "civic_kernel/lab")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".html", ".j2", ".js", ".ipynb")
    )
    patterns |= {re.escape(beginning) + ".+" for beginning in re.findall(r"""["']([\w.]+)["']\s*~""", shown)}
    # In JavaScript's own form: `button.${name}`.
    patterns |= {re.escape(beginning) + ".+" for beginning in re.findall(r"`([\w.]+)\$\{", shown)}
    patterns |= {".+" + re.escape(ending) for ending in re.findall(r"""~\s*["']([\w.]+)["']""", shown)}
    dead = [
        f"{domain}: {key}"
        for domain in DOMAINS
        for key in sorted(KEYS[domain])
        if key not in written and key not in shown and not any(re.fullmatch(p, key) for p in patterns)
    ]
    assert dead == []


# --- refusals ---


@pytest.mark.parametrize("code", sorted(vault_errors.REGISTRY))
def test_each_code_of_the_gateway_has_a_message_and_a_remedy(code: str) -> None:
    assert {f"{code}.message", f"{code}.remedy"} <= KEYS["errors"]


def test_the_gateways_texts_name_no_code_that_is_not_there() -> None:
    assert {key.rpartition(".")[0] for key in KEYS["errors"]} == set(vault_errors.REGISTRY)


@pytest.mark.parametrize("code", sorted(kernel_errors.REGISTRY.keys() - vault_errors.REGISTRY.keys()))
def test_each_code_of_the_analyst_side_has_a_message_and_a_remedy(code: str) -> None:
    assert {f"error.{code}", f"error.{code}.remedy"} <= KEYS["kernel"]


def workspace_codes() -> list[str]:
    classes = [
        c
        for c in vars(hub_errors).values()
        if isinstance(c, type) and issubclass(c, hub_errors.WorkspaceError)
    ]
    return sorted(c.code for c in classes if c is not hub_errors.WorkspaceError)


@pytest.mark.parametrize("code", workspace_codes())
def test_each_code_of_the_workspace_has_a_sentence(code: str) -> None:
    assert f"error.{code}" in KEYS["workspace"]


def raised() -> Iterator[tuple[str, type[vault_errors.CivicError], set[str]]]:
    """(where, class, facts) for each refusal that the vault side makes with its facts written out."""
    by_name = {cls.__name__: cls for cls in vault_errors.REGISTRY.values()}
    for path in sorted((ROOT / "data_access").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in by_name:
                names = [keyword.arg for keyword in node.keywords]
                if None not in names:
                    yield (
                        f"{path.relative_to(ROOT)}:{node.lineno}",
                        by_name[node.func.id],
                        set(map(str, names)),
                    )


def test_every_refusal_carries_the_facts_that_its_sentences_need() -> None:
    # Otherwise the refusal itself would fail, and the asker would read "something went wrong on our side".
    wrong = []
    for where, cls, facts in raised():
        said = TEXTS["en", "errors"]
        needed = placeholders(said[f"{cls.code}.message"]) | placeholders(said[f"{cls.code}.remedy"])
        if needed - facts:
            wrong.append(f"{where}: {cls.code} needs {sorted(needed - facts)}")
    assert wrong == []
