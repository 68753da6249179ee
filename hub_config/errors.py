"""Every way in which starting or running the workspace is refused, for a person at the command line.

WorkspaceError            1
├── SettingInvalid        2  a CIVIC_* setting cannot be used
├── PortTaken             3  another process holds a port that the workspace needs
├── PartMissing           3  set-up has not been done: a program or an account is not there
├── StartFailed           4  a part of the workspace did not come up
├── PersonRefused         5  a name, role or team that cannot be
├── WorkshopRefused       5  a workshop or seat that cannot be, or is over
├── SignInRefused         7  a link or a right was not accepted by the running Hub
├── BackupRefused        10  a backup that cannot be made, is damaged, or would not fit
└── StepFailed            8  a step of the demonstration was refused; its own sentence says why

The sentence of a class is the text `error.<code>` of the domain `workspace`. Facts are names of settings,
ports, people's sign-in names; never a secret and never a path.
"""

from __future__ import annotations

from typing import ClassVar

from hub_config.texts import Language, text


class WorkspaceError(Exception):
    """Base; `code` is stable, `exit_code` is the command line's."""

    code: ClassVar[str] = "workspace"
    exit_code: ClassVar[int] = 1

    def __init__(self, **facts: str | int) -> None:
        self.facts = facts
        super().__init__(self.code, *sorted(facts.items()))

    def __str__(self) -> str:
        return self.sentence("en")

    def sentence(self, language: Language) -> str:
        """What a person reads."""
        return text(language, f"error.{self.code}", **self.facts)


class SettingInvalid(WorkspaceError):
    """Facts: `setting`, `reason` (a key of `setting.<reason>`, already a sentence in English and Korean)."""

    code = "setting_invalid"
    exit_code = 2

    def sentence(self, language: Language) -> str:
        reason = text(language, f"setting.{self.facts['reason']}")
        return text(
            language,
            "error.setting_invalid",
            setting=self.facts["setting"],
            reason=reason,
        )


class PortTaken(WorkspaceError):
    """Facts: `port`, `setting`."""

    code = "port_taken"
    exit_code = 3


class PartMissing(WorkspaceError):
    """Facts: `part`, the name of a program or an account."""

    code = "part_missing"
    exit_code = 3


class StartFailed(WorkspaceError):
    """Facts: `part` (hub, data, site), `log` (the log's name under CIVIC_HOME/logs)."""

    code = "start_failed"
    exit_code = 4


class PersonRefused(WorkspaceError):
    """Facts: `name`, `reason` (a key of `person.<reason>`)."""

    code = "person_refused"
    exit_code = 5

    def sentence(self, language: Language) -> str:
        reason = text(language, f"person.{self.facts['reason']}")
        return text(language, "error.person_refused", name=self.facts["name"], reason=reason)


class WorkshopRefused(WorkspaceError):
    """Facts: `reason` (a key of `workshop.refused.<reason>`, a sentence with its remedy)."""

    code = "workshop_refused"
    exit_code = 5

    def sentence(self, language: Language) -> str:
        reason = text(language, f"workshop.refused.{self.facts['reason']}")
        return text(language, "error.workshop_refused", reason=reason)


class SignInRefused(WorkspaceError):
    """Facts: `status` (HTTP)."""

    code = "sign_in_refused"
    exit_code = 7


class StepFailed(WorkspaceError):
    """Facts: `step` (the verb), `reason` (that verb's own sentence, or empty)."""

    code = "step_failed"
    exit_code = 8


class BackupRefused(WorkspaceError):
    """Facts: `reason` (a key of `backup.refused.<reason>`), `file` (a name inside the backup, where one is meant)."""

    code = "backup_refused"
    exit_code = 10

    def sentence(self, language: Language) -> str:
        file = self.facts.get("file", "")
        reason = text(language, f"backup.refused.{self.facts['reason']}", file=file)
        return text(language, "error.backup_refused", reason=reason)
