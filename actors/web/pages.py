"""The page, as HTML. Imported when the server starts: it needs Jinja2 and Litestar."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import MediaType, get
from litestar.di import NamedDependency

from schedule_zero.actors.web import words
from schedule_zero.actors.web.assets import address_of
from schedule_zero.actors.web.overview import RUNS, SCHEDULES, Overviews

_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.filters.update(utc=words.utc, span=words.span)
_templates.globals.update(
    asset=address_of, distance=words.distance, most_runs=RUNS, most_schedules=SCHEDULES
)


def message_page(title: str, text: str, *, again: bool = False) -> str:
    """A page that says one thing; with `again` it asks for itself once more."""
    return _templates.get_template("message.html").render(title=title, text=text, again=again)


@get("/", media_type=MediaType.HTML, include_in_schema=False)
async def get_page(overviews: NamedDependency[Overviews]) -> str:
    """The page."""
    return _templates.get_template("page.html").render(view=await overviews.get())


@get("/overview", media_type=MediaType.HTML, include_in_schema=False)
async def get_overview(overviews: NamedDependency[Overviews]) -> str:
    """The part of the page that changes."""
    return _templates.get_template("overview.html").render(view=await overviews.get())


ROUTES = [get_page, get_overview]
