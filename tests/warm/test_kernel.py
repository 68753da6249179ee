"""The kernel "Civic (Python)": forked, restarted, interrupted and ended as people know it; cold where it must be."""

import inspect
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell

from civic_kernel.kernel.extension import load_ipython_extension
from civic_kernel.kernel.plain_words import SENTENCES, explain_errors, sentence_for
from civic_kernel.settings import cold_environment
from hub_config.settings import PYTHON
from tests.warm.conftest import ALICE, ROOT

SPEC = json.loads((ROOT / "civic_kernel/kernel/spec/civic/kernel.json").read_text())


def told_by_story(template, socket):
    """What tests/warm/kernel_story.py reports, run as a person in her home."""
    home = template.home(ALICE)
    story = template.folder / "story.py"
    shutil.copyfile(Path(__file__).with_name("kernel_story.py"), story)
    story.chmod(0o644)
    who = {"user": ALICE, "group": ALICE, "extra_groups": []} if os.geteuid() == 0 else {}
    done = subprocess.run(
        [PYTHON, "-P", story],
        cwd=home,
        env={
            "HOME": str(home),
            "PATH": os.environ["PATH"],
            "CIVIC_WARM_SOCKET": socket,
            "CIVIC_LANGUAGE": "en",
        },
        capture_output=True,
        text=True,
        timeout=180,
        **who,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def check_life(told):
    me = ALICE if os.geteuid() == 0 else os.geteuid()
    assert f"pid={told['pid']} uid={me}" in told["who"]
    assert told["name"][1] == "NameError" and "There is nothing called ‘rides’" in told["name"][0]
    assert told["projected"] == "955805 []"
    assert told["magic"] == "True"
    assert "False" in told["font"] and "DejaVu Sans" in told["font"]
    assert told["interrupted"] == "KeyboardInterrupt"
    assert told["restarted"] == [True, "NameError"]
    assert told["debugged"] == [True, True, 2] and told["after"] == "3\n"
    assert told["ended"]


def test_a_forked_kernel_restarts_is_interrupted_and_ends_as_any_other(template):
    told = told_by_story(template, template.socket)
    assert told["process"] == "WarmProcess"
    check_life(told)


def test_forked_from_the_true_template_it_imports_nothing_itself_and_stops_for_the_debugger(true_template):
    told = told_by_story(true_template, true_template.socket)
    assert told["process"] == "WarmProcess"
    assert told["imported"] == ["set()", "True"]
    check_life(told)


def test_without_a_template_it_starts_cold_says_so_once_and_works(template):
    told = told_by_story(template, str(template.folder / "nobody"))
    assert told["process"] == "Popen"
    assert told["again"] == "again\n"
    check_life(told)


def test_a_cold_kernel_says_that_it_is_one_before_its_first_cell(capsys, monkeypatch):
    for name, value in cold_environment({}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CIVIC_LANGUAGE", "en")
    shell = InteractiveShell()
    load_ipython_extension(shell)
    assert not os.environ.keys() & cold_environment({}).keys()  # not for what this kernel starts itself
    for _ in range(2):
        shell.run_cell("1")
    assert capsys.readouterr().err.count("no prepared one was there") == 1


FAULTS = {
    "indentation": "if True:\nprint(1)",
    "syntax": "print((1",
    "name": "nothing_of_that_name",
    "module": "import no_such_package_here",
    "import": "from math import no_such_function",
    "file": "open('no such file')",
    "zero": "1 / 0",
    "key": "{}['gu']",
    "index": "[][3]",
    "attribute": "(1).rides",
    "recursion": "def f(): return f()\nf()",
    "encoding": "b'\\xb0\\xed'.decode('utf-8')",
    "type": "1 + 'a'",
    "value": "int('a')",
    "memory": "raise MemoryError",
}


@pytest.mark.parametrize("language", ["ko", "en"])
@pytest.mark.parametrize("key", sorted(set(SENTENCES.values())))
def test_each_common_error_has_its_sentence_above_the_traceback(key, language):
    shell = InteractiveShell()
    shown = []
    shell._showtraceback = lambda kind, error, lines: shown.append("\n".join(lines))
    explain_errors(shell, language)
    result = shell.run_cell(FAULTS[key])
    error = result.error_before_exec or result.error_in_exec
    sentence = sentence_for(error, language)
    assert sentence and sentence in shown[0]
    assert shown[0].index(sentence) < shown[0].rindex(type(error).__name__)


def test_of_a_recursion_without_end_its_two_ends_are_shown(monkeypatch):
    shell = InteractiveShell()
    shown = []
    shell._showtraceback = lambda kind, error, lines: shown.append(
        re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(lines))
    )
    explain_errors(shell, "en")
    looked = []
    find = inspect.getmodule
    monkeypatch.setattr(inspect, "getmodule", lambda *told: looked.append(1) or find(*told))
    shell.run_cell("def begin(): return deeper(1)\ndef deeper(n): return deeper(n + 1)\nbegin()")
    assert "begin()" in shown[0] and "deeper(n + 1)" in shown[0] and "RecursionError" in shown[0]
    assert 0 < len(looked) < 200
    shell.run_cell("def few(n): return few(n - 1) if n else 1 / 0\nfew(3)")
    assert shown[1].count("few(n - 1)") >= 1 and "ZeroDivisionError" in shown[1]


def test_an_error_without_a_sentence_is_left_alone():
    assert sentence_for(KeyboardInterrupt(), "ko") is None


def test_the_spec_starts_our_kernel_through_our_provisioner():
    assert SPEC["metadata"]["kernel_provisioner"]["provisioner_name"] == "civic-warm"
    assert "civic_kernel.kernel.extension" in SPEC["argv"][-1]
    assert Path(ROOT / "civic_kernel/kernel/extension.py").is_file()
