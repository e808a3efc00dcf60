"""Reading the XML of a flow: small documents of strangers, as plain elements. Pure.

Nothing is ever expanded or fetched: a document type, and with it every entity of its own, is refused. What is left of
XML is elements, attributes and text; comments and processing instructions are skipped. How deep, how many and how long
they may be is bounded.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, NoReturn
from xml.parsers import expat

from longline.base.errors import LonglineError

MAX_ELEMENTS: Final = 1000
MAX_DEPTH: Final = 8
MAX_ATTRIBUTES: Final = 64
"""Of one element. What is beyond a bound makes the document wrong."""


class XmlInvalid(LonglineError):
    """`line` counts from 1."""

    def __init__(self, problem: str, line: int) -> None:
        super().__init__(f"line {line}: {problem}")
        self.problem = problem
        self.line = line


@dataclass(slots=True)
class Element:
    """`text` is what stands in it outside of its children, `content` what stands in it and in them, both without white
    space at their ends; `path` tells people where it is, as "Response/Gather[2]/Say"."""

    name: str
    path: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list[Element] = field(default_factory=list)
    text: str = ""
    content: str = ""


def is_xml(body: bytes, content_type: str = "") -> bool:
    """Whether an answer is XML, by what it is said to be or by how it begins."""
    kind = content_type.partition(";")[0].strip().lower()
    return kind in ("text/xml", "application/xml") or body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")


def parse_xml(document: bytes | str) -> Element:
    """The root. Raise XmlInvalid."""
    return _Reader().read(document.encode() if isinstance(document, str) else document)


class _Reader:
    def __init__(self) -> None:
        self._root: Element | None = None
        self._open: list[Element] = []
        self._elements = 0
        # A text is in our hands and no longer in whatever encoding its declaration names.
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters
        self._parser.StartDoctypeDeclHandler = self._doctype

    def read(self, document: bytes) -> Element:
        try:
            self._parser.Parse(document.lstrip(b" \t\r\n"), True)
        except expat.ExpatError as error:
            raise XmlInvalid(expat.errors.messages.get(error.code, "is not XML"), error.lineno) from None
        except (ValueError, LookupError) as error:  # an encoding that Python does not know
            self._refuse(str(error))
        assert self._root is not None  # expat refuses a document without any element
        return self._root

    def _refuse(self, problem: str) -> NoReturn:
        raise XmlInvalid(problem, max(1, self._parser.CurrentLineNumber))

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._elements += 1
        if self._elements > MAX_ELEMENTS:
            self._refuse(f"more than {MAX_ELEMENTS} elements")
        if len(self._open) >= MAX_DEPTH:
            self._refuse(f"elements within more than {MAX_DEPTH} others")
        if len(attributes) > MAX_ATTRIBUTES:
            self._refuse(f"more than {MAX_ATTRIBUTES} attributes")
        if not self._open:
            self._root = element = Element(name, name, attributes)
        else:
            parent = self._open[-1]
            same = 1 + sum(child.name == name for child in parent.children)
            element = Element(name, f"{parent.path}/{name}" + (f"[{same}]" if same > 1 else ""), attributes)
            parent.children.append(element)
        self._open.append(element)

    def _end(self, name: str) -> None:
        element = self._open.pop()
        element.text, element.content = element.text.strip(), element.content.strip()

    def _characters(self, text: str) -> None:
        self._open[-1].text += text
        for element in self._open:
            element.content += text

    def _doctype(self, *_: object) -> NoReturn:
        self._refuse("a document type is not allowed")
