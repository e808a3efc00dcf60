"""What the readers of flows in XML share: collecting actions, attributes that have no effect, and values with bounds.

Attributes that have no effect here are told as ignored; what cannot be carried out makes the document wrong, with its
place. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final, TypeVar

from pydantic import BaseModel, ValidationError

from longline.calls.bridge import FOR_EVER
from longline.calls.manner import Method
from longline.flows import verbs
from longline.flows.language import Document, FlowRequest, Question
from longline.flows.parse import ActManner, Flow, FlowInvalid
from longline.flows.steps import Step
from longline.flows.xml import Element, XmlInvalid, parse_xml

V = TypeVar("V", bound=BaseModel)
Act = verbs.Verb | Step

MAX_LOOP: Final = 1000
ANY_KEY: Final = "1234567890*#"
"""What ends a <Record> unless it says otherwise."""
DIGITS: Final = re.compile(r"[0-9A-D*#wW]{1,128}")
_NOT_IN_NUMBERS: Final = re.compile(r"[\s().\-]")
_TRUE: Final = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False, "": False}
_FOREIGN_VOICES: Final = re.compile(r"(man|woman|alice|polly\..*|google\..*|amazon\..*|elevenlabs.*)", re.IGNORECASE)


def root_of(document: Document, called: str) -> Element:
    """The <Response> of a document. Raise FlowInvalid; `called` is what such a document is."""
    try:
        root = parse_xml(document.body)
    except XmlInvalid as error:
        raise FlowInvalid("$", f"is no {called}: {error}") from None
    if root.name != "Response":
        raise FlowInvalid(root.name, f"the root of {called} is <Response>")
    return root


class MarkupReader:
    """One document being read. Raise FlowInvalid."""

    called: ClassVar[str]
    """What such a document is."""
    elements: ClassVar[Mapping[str, Callable[[Any, Element], None]]]
    """What is done with an element, by its name."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._actions: list[Act] = []
        self._manners: list[ActManner] = []
        self._ignored: list[str] = []

    def read(self) -> Flow:
        """An empty body says that there is nothing to do."""
        if not self._document.body.strip():
            return Flow((verbs.Hangup(action="hangup"),))
        root = root_of(self._document, self.called)
        self._read_all(root)
        if not self._is_over:
            self._add(root, verbs.Hangup(action="hangup"))
        return Flow(tuple(self._actions), tuple(self._ignored), is_list=True, manners=tuple(self._manners))

    @property
    def _is_over(self) -> bool:
        """Nothing that stands behind is reached."""
        return bool(self._actions) and isinstance(self._actions[-1], verbs.LAST)

    def _read_all(self, parent: Element) -> None:
        for element in parent.children:
            if self._is_over:
                self._ignored.append(element.path)
                continue
            read = self.elements.get(element.name)
            if read is None:
                raise FlowInvalid(element.path, f"is not known here; known are {', '.join(self.elements)}")
            read(self, element)

    def _add(self, element: Element, action: Act, *, is_last: bool = False) -> None:
        self._actions.append(action)
        self._manners.append(ActManner(element.path, method_of(element), is_last))

    def _know(self, element: Element, *names: str) -> None:
        """Every other attribute has no effect here."""
        self._ignored += [f"{element.path}@{name}" for name in element.attributes if name not in names]

    def _make(self, element: Element, model: type[V], **fields: Any) -> V:
        try:
            return model.model_validate({name: value for name, value in fields.items() if value is not None})
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            place = ".".join(str(part) for part in first["loc"])
            raise FlowInvalid(element.path, f"{place}: {first['msg'].removeprefix('Value error, ')}") from None

    def _voice(self, element: Element) -> dict[str, str]:
        """The voice that is asked for, if it can be one of ours, and the language."""
        said: dict[str, str] = {}
        voice = element.attributes.get("voice")
        if voice is not None and _FOREIGN_VOICES.fullmatch(voice):
            self._ignored.append(f"{element.path}@voice")
        elif voice:
            said["voice"] = voice
        if element.attributes.get("language"):
            said["language"] = element.attributes["language"]
        return said

    def _url(self, element: Element, text: str) -> str:
        try:
            return self._document.absolute(text)
        except ValueError as error:
            raise FlowInvalid(element.path, str(error)) from None

    def _optional_url(self, element: Element, name: str) -> str | None:
        text = element.attributes.get(name)
        return None if text is None else self._url(element, text)


class MarkupLanguage:
    """A language of documents in XML. `base_url` is where this node's recordings are had from."""

    reader: ClassVar[type[MarkupReader]]

    def __init__(self, base_url: str = "") -> None:
        self._base_url = base_url.rstrip("/")

    @staticmethod
    def asks(question: Question, base_url: str, secret: str | None) -> FlowRequest:
        """How an application is asked for a document."""
        raise NotImplementedError

    def request(self, question: Question, secret: str | None) -> FlowRequest:
        return self.asks(question, self._base_url, secret)

    def read(self, document: Document) -> Flow:
        """Raise FlowInvalid."""
        return self.reader(document).read()


def number(element: Element, name: str, default: float, least: float, most: float) -> float:
    """A number within our bounds; one beyond them is taken for the bound."""
    text = element.attributes.get(name, "")
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if value != value:  # nan
        raise FlowInvalid(f"{element.path}@{name}", "must be a number")
    return min(max(value, least), most)


def flag(element: Element, name: str, default: bool) -> bool:
    text = element.attributes.get(name)
    if text is None:
        return default
    value = _TRUE.get(text.lower())
    if value is None:
        raise FlowInvalid(f"{element.path}@{name}", "must be true or false")
    return value


def loop_of(element: Element) -> dict[str, int]:
    """How often it is heard: 0 is until something else happens."""
    times = int(number(element, "loop", 1, 0, MAX_LOOP))
    return {"loop": FOR_EVER if times == 0 else times}


def method_of(element: Element, name: str = "method") -> Method:
    text = element.attributes.get(name, "POST").upper()
    if text not in ("GET", "POST"):
        raise FlowInvalid(f"{element.path}@{name}", "must be GET or POST")
    return "GET" if text == "GET" else "POST"


def telephone_number(text: str) -> str:
    """As people write it, or a SIP URI."""
    return text if text.startswith(("sip:", "sips:")) else _NOT_IN_NUMBERS.sub("", text)
