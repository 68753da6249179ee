"""`%load_ext civic_kernel`, and a cell that begins with `%%civic` is one question in SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from IPython.core.magic import Magics, cell_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments, parse_argstring

import civic_kernel

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell


@magics_class
class CivicMagics(Magics):
    @magic_arguments()
    @argument("--spend", help='rough, normal, fine (대략, 보통, 자세히), "±50 rides", or a ρ such as 0.01')
    @argument("--as", dest="name", help="also keep the frame under this name")
    @argument("--team", help="whose budget pays")
    @argument("--purpose", help="one of the policy's purposes")
    @argument("--price", action="store_true", help="only say what it would cost")
    @argument("--fresh", action="store_true", help="pay again although the same question is stored")
    @cell_magic
    def civic(self, line: str, cell: str) -> Any:
        """SQL 질문 하나: 값을 먼저 보이고 표를 줍니다 · One question in SQL: first its price, then its frame."""
        given = parse_argstring(self.civic, line)
        spend = given.spend.strip("'\"") if given.spend else None
        question = civic_kernel.sql(cell)
        if given.price:
            return question.price(spend, team=given.team, purpose=given.purpose)
        frame = question.ask(spend, team=given.team, purpose=given.purpose, fresh=given.fresh)
        if given.name and self.shell is not None:
            self.shell.user_ns[given.name] = frame
        return frame


def register(shell: InteractiveShell) -> None:
    shell.register_magics(CivicMagics)
