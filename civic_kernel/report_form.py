"""The form of a report inside a notebook. It leads to the page of the seat's server, which knows price and progress.

Plain HTML: ipywidgets is not part of the workspace, and a widget of its own would need a kernel that is still there,
where a form goes on working in a notebook that is only looked at.
"""

from __future__ import annotations

from functools import partial

from civic_kernel.errors import ParameterUnknown
from civic_kernel.lab.forms.fields import Field, make_fields, wrong_fields
from civic_kernel.lab.forms.service import open_reports
from civic_kernel.reports.parameters import Parameters, Schema, check_parameters
from civic_kernel.settings import read_hub, read_settings
from civic_kernel.texts import Language, templates_root, text


class ReportForm:
    """A report's form as a cell shows it; without a screen for HTML, what may be chosen."""

    def __init__(self, schema: Schema, given: Parameters, language: Language, server: str) -> None:
        self._schema, self._language, self._server = schema, language, server
        self._fields = make_fields(schema, given, language, wrong_fields(schema, given))

    def __repr__(self) -> str:
        return "\n".join([self._schema.label[self._language], *map(_line, self._fields)])

    def _repr_html_(self) -> str:
        import jinja2

        environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(templates_root() / "forms"),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
            undefined=jinja2.StrictUndefined,
        )
        return environment.get_template("widget.html.j2").render(
            label=self._schema.label[self._language],
            report=self._schema.name,
            inputs=self._fields,
            action=f"{self._server}civic/reports",
            language=self._language,
            t=partial(text, self._language, "forms"),
        )


def report_form(name: str, **given: object) -> ReportForm:
    """The form of the report `name`, filled with `given`; its button leads to the price.

    Raises ParameterUnknown for a report that is not offered, ParameterUnknown or ParameterInvalid for `given`.
    """
    language = read_settings().language
    service = open_reports()
    try:
        offered = {report.name: report for report in service.reports()}
    finally:
        service.close()
    if name not in offered:
        raise ParameterUnknown.say(language, parameter=name[:40], known=", ".join(offered))
    schema = offered[name].declared
    if given:
        given = check_parameters(schema, given, language)
    return ReportForm(schema, dict(given), language, read_hub().server)


def _line(field: Field) -> str:
    chosen = [option.words for option in field.options if option.chosen] or [field.value]
    return f"{field.label}: {', '.join(chosen)}"
