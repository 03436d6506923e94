"""Letters as plain text: templates in three languages, filled with what a notification says.

A subject holds the step and the short reference, never anything about the person. The texts live in
``letters/<language>.toml``, one table a template, so that a translator works in one file.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

from jinja2 import Environment, StrictUndefined

from chassis.decision import Network


@dataclass(frozen=True, slots=True)
class Text:
    """A letter's subject (one line) and body (plain text, lines of any length)."""

    subject: str
    body: str


def write(template: str, language: str, parameters: Mapping[str, object], network: Network) -> Text:
    """Fill a template in a language.

    Args:
        template: Name of the template, such as ``referral-accepted``.
        language: fi, sv or en.
        parameters: What the notification says; mappings of languages are worded in the letter's language.
        network: Names of the organisations.

    Raises:
        KeyError: There is no such template in that language.
        jinja2.UndefinedError: The template names a parameter that is not there.
    """
    texts = _texts(language)
    words = texts["words"]
    values = {**parameters, "words": words, "worded": lambda names: _worded(names, language)}
    values["organisation_name"] = network.name(str(parameters.get("organisation", "")), language)
    values["name_of"] = lambda code: network.name(code, language)
    parts = texts[template]
    return Text(
        subject=" ".join(_fill(parts["subject"], values).split()),
        body=f"{_fill(parts['body'], values).strip()}\n\n{words['signature']}\n",
    )


def _worded(names: Mapping[str, str], language: str) -> str:
    """A name in the letter's language, else in the first of fi, sv, en that there is."""
    return next((names[code] for code in (language, "fi", "sv", "en") if names.get(code)), "")


@cache
def _texts(language: str) -> Mapping[str, Mapping[str, str]]:
    return tomllib.loads(resources.files("notify").joinpath("letters", f"{language}.toml").read_text("utf-8"))


@cache
def _environment() -> Environment:
    # Plain text needs no HTML escaping; nothing of a letter is ever shown as HTML.
    return Environment(undefined=StrictUndefined, autoescape=False, trim_blocks=True, lstrip_blocks=True)  # noqa: S701


def _fill(text: str, values: Mapping[str, object]) -> str:
    return _environment().from_string(text).render(values)
