import re
import string
from pathlib import Path

from hub_config.texts import catalog, preferred_language, shared_folder

CODE = Path(__file__).resolve().parents[2] / "hub_config"


def test_both_languages_have_the_same_keys_and_the_same_facts():
    korean, english = catalog("ko"), catalog("en")
    assert korean.keys() == english.keys()
    for key in korean:
        facts = [{f for _, f, _, _ in string.Formatter().parse(c[key]) if f} for c in (korean, english)]
        assert facts[0] == facts[1], key
        assert korean[key] and english[key]


def test_every_key_that_a_page_or_a_module_names_exists():
    pages = "".join(p.read_text("utf-8") for p in (shared_folder("templates") / "workspace").glob("*.html"))
    named = set(re.findall(r"""\bt\(\s*["']([\w.]+)["']""", pages))
    for module in CODE.rglob("*.py"):
        named |= set(re.findall(r"""\btext\([\w.]+,\s*"([\w.]+)"[,)]""", module.read_text("utf-8")))
    assert named and named <= catalog("ko").keys(), named - catalog("ko").keys()


def test_the_browsers_language_is_followed_and_korean_is_the_default():
    assert preferred_language(None) == "ko"
    assert preferred_language("en-GB,en;q=0.9,ko;q=0.8") == "en"
    assert preferred_language("ko-KR,ko;q=0.9,en;q=0.8") == "ko"
    assert preferred_language("de, fr") == "ko"
    assert preferred_language("en;q=zero") == "ko"
