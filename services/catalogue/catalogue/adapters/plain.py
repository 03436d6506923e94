"""Texts of other systems as plain text: HTML without its tags, spaces evened out, lengths bounded."""

from __future__ import annotations

import html
import re
import unicodedata

_BLOCKS = frozenset(
    {"p", "div", "br", "li", "ul", "ol", "tr", "table", "section", "article", "h1", "h2", "h3", "h4", "h5", "h6"}
)
_HIDDEN = frozenset({"script", "style", "template"})
_LOOKS_LIKE_HTML = re.compile(r"<[a-zA-Z/!]|&[a-zA-Z#]")
_TAG = re.compile(r"<(?:(?P<closes>/?)(?P<name>[a-zA-Z][^\s/<>]*+)[^<>]*+|[!?/][^<>]*+)>")
_TAG_OPENS = re.compile(r"<(?=[a-zA-Z/!?])")
_INVISIBLE = re.compile(r"[\u0000-\u0008\u000b-\u001f\u007f\u200b-\u200f\u202a-\u202e\u2060\ufeff]")


def plain(text: str) -> str:
    """A text without tags, entities, control characters and needless spaces; paragraphs become lines."""
    if _LOOKS_LIKE_HTML.search(text):
        text = _without_tags(text)
    text = _INVISIBLE.sub("", unicodedata.normalize("NFC", text))
    # An entity may have stood for a tag that is spoken of; it stays readable, and is a tag for nobody.
    text = _TAG_OPENS.sub("< ", text)
    lines = (" ".join(line.split()) for line in text.splitlines())
    return "\n".join(line for line in lines if line)


def clipped(text: str, most: int) -> str:
    """A text of at most so many characters, cut between words and marked where it was cut."""
    if len(text) <= most:
        return text
    return f"{text[: most - 2].rsplit(None, 1)[0]} …"


def _without_tags(text: str) -> str:
    # html.parser looks from each "<" to the end of the text for its tag's end, so that 20 kB of them took it seconds,
    # and it fails at "<![". Here a tag ends before the next "<", and each character is looked at a few times.
    parts: list[str] = []
    hidden = end = 0
    text = _without_comments(text)
    for tag in _TAG.finditer(text):
        if not hidden:
            parts.append(text[end : tag.start()])
        end = tag.end()
        name = (tag["name"] or "").lower()
        if name in _HIDDEN:
            hidden = max(0, hidden - 1) if tag["closes"] else hidden + 1
        if name in _BLOCKS:
            parts.append("\n")
    if not hidden:
        parts.append(text[end:])
    return html.unescape("".join(parts))


def _without_comments(text: str) -> str:
    first, *others = text.split("<!--")
    return first + "".join(other.partition("-->")[2] for other in others)
