"""Texts of other systems as plain text: HTML without its tags, spaces evened out, lengths bounded."""

from __future__ import annotations

import re
import unicodedata
from html.parser import HTMLParser

_BLOCKS = frozenset(
    {"p", "div", "br", "li", "ul", "ol", "tr", "table", "section", "article", "h1", "h2", "h3", "h4", "h5", "h6"}
)
_HIDDEN = frozenset({"script", "style", "template"})
_LOOKS_LIKE_HTML = re.compile(r"<[a-zA-Z/!]|&[a-zA-Z#]")
_TAG_OPENS = re.compile(r"<(?=[a-zA-Z/!?])")
_INVISIBLE = re.compile(r"[\u0000-\u0008\u000b-\u001f\u007f\u200b-\u200f\u202a-\u202e\u2060\ufeff]")


def plain(text: str) -> str:
    """A text without tags, entities, control characters and needless spaces; paragraphs become lines."""
    if _LOOKS_LIKE_HTML.search(text):
        stripper = _Stripper()
        stripper.feed(text)
        stripper.close()
        text = "".join(stripper.parts)
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


class _Stripper(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        self._hidden += tag in _HIDDEN
        if tag in _BLOCKS:
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self._hidden = max(0, self._hidden - (tag in _HIDDEN))
        if tag in _BLOCKS:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.parts.append(data)
