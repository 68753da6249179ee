"""What every kernel of ours has loaded: the magics, fonts that can write Korean, and plain words for errors."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from civic_kernel.kernel.offline_maps import use_offline_maps
from civic_kernel.kernel.plain_words import explain_errors
from civic_kernel.settings import read_settings, was_started_cold
from civic_kernel.texts import text

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

#: The first of these that the machine has; matplotlib's own font draws an empty box for each Hangul syllable.
FONTS = (
    "Pretendard",
    "Noto Sans KR",
    "Noto Sans CJK KR",
    "Noto Sans CJK JP",  # the same file under the name that matplotlib reads first; it has all Hangul
    "Apple SD Gothic Neo",
    "Malgun Gothic",
    "NanumGothic",
)


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Called by IPython at the kernel's start (`IPKernelApp.extra_extensions`)."""
    from civic_kernel.magics import register

    language = read_settings().language
    register(shell)
    explain_errors(shell, language)
    use_offline_maps(shell, language)
    if "matplotlib" in sys.modules:  # forked from the template
        use_korean_fonts()
    else:
        _use_korean_fonts_later(shell)
    if was_started_cold():
        _say_once(shell, text(language, "kernel", "kernel.cold"))


def use_korean_fonts() -> None:
    """Makes matplotlib write Hangul, where the machine has a font with it."""
    import matplotlib
    from matplotlib import font_manager

    known = {font.name for font in font_manager.fontManager.ttflist}
    found = next((name for name in FONTS if name in known), None)
    if found is not None:
        matplotlib.rcParams["font.family"] = [found, "DejaVu Sans"]
        # These fonts lack U+2212, which matplotlib writes before negative numbers unless told.
        matplotlib.rcParams["axes.unicode_minus"] = False


def _use_korean_fonts_later(shell: InteractiveShell) -> None:
    """Before the first cell that speaks of matplotlib: importing it now would keep everybody waiting."""

    def before(info: Any) -> None:
        if "matplotlib" in sys.modules or "matplotlib" in info.raw_cell:
            shell.events.unregister("pre_run_cell", before)
            use_korean_fonts()

    shell.events.register("pre_run_cell", before)


def _say_once(shell: InteractiveShell, sentence: str) -> None:
    def before(_info: Any) -> None:
        shell.events.unregister("pre_run_cell", before)
        print(sentence, file=sys.stderr)

    shell.events.register("pre_run_cell", before)
