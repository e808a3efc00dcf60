"""The schema of a flow as JSON Schema (draft 2020-12), made of the models that parse it.

    python -m longline.flows.schema > docs/reference/flows.md

What it does not say: an action is compared whatever its case, `file_url` stands for `media_url`, and keys that a verb
does not have are ignored.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Annotated, Any, Final

from pydantic import Field, TypeAdapter

from longline.flows.verbs import MAX_ACTIONS, VERBS, Verb

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

_NESTED: Final = {
    "PlaySound": "`play`",
    "SaySound": "`say`",
    "PauseSound": "`pause`",
    "NestedHangup": "`hangup`",
}

Action = Annotated[Verb, Field(discriminator="action")]
Flow = Action | Annotated[list[Action], Field(min_length=1, max_length=MAX_ACTIONS)]

_HEAD: Final = f"""\
# Call flows

A flow says what is done with a call: one action, or a list of 1 to {MAX_ACTIONS} actions that are done in order. It
is the answer to the flow request (`POST flow_url`, see [writing an application](../guide/applications.md)), or the
`flow` of a call that the API places. This page is made from the schema that parses flows; a node serves that as JSON
Schema at `GET /flow-schema.json`.

The case of `action` does not matter. Keys that a verb does not have are ignored, and named in the event
`flow.received`, as are actions that are never reached. A flow that is wrong gets the event `flow.failed`, and a line
in the log, with every mistake and its place: `$[1].prompt[0].text: is missing`. Times are in seconds unless they say
otherwise.

**What comes next.** When the last action is over, so is the flow, and the call is hung up. A verb that has a
`flow_url` asks it for the next flow when it is done; `gather` and `record` ask the URL that their own flow came from
if they have none. Nothing that follows `hangup`, `redirect`, `reject` or `record` in a list is ever reached.

**What the next flow is told.** The request has the five fields of every flow request, and what the last verb has come
to:

| after | fields |
|---|---|
| `gather` | `action`, `digits` (a string, perhaps empty), `reason`: `num_digits`, `finish_key` or `timeout` |
| `record` | `action`, `recording_id`, `duration_ms`, `reason`: `finish_key`, `silence`, `max_length`, `failed`; `key` |
| `dial` | `action`, `was_joined`, `reason`: why its leg ended, or did not come about; `leg_id`, `duration_seconds` |
| `say` | `action` |
| a flow that failed | `flow_error`: `flow_url`, `reason`, `detail`; only the `fallback_url` is told this |

**When it fails.** When a flow URL does not answer, answers a flow that is wrong, or a flow cannot be carried out (a
file or a text that cannot be had, a stream that cannot be connected or is lost), the call's `fallback_url` is asked;
without one, or when its own flow fails, the call ends with the reason: `flow_unreachable`, `flow_timeout`,
`flow_invalid`, `speech_failed`, `stream_failed`. A call goes through at most 1,000 flows, and ends when more than 20
in a row were each over within 0.2 s.

**Who answers.** Verbs that make themselves heard or listen (`stream`, `play`, `say`, `gather`, `record`, a `dial`
with music) answer an inbound call, once what they need is there. `pause`, `redirect` and `reject` do not.

**Speech.** `say` is spoken by espeak-ng or flite if this host has one, or by an HTTP service (`[speech]` in [the
configuration](configuration.md)). What was spoken is kept in `data_dir/speech`, up to `speech.cache_mb`, so that a
prompt is spoken once. The text is not logged.
"""


@cache
def flow_schema() -> dict[str, Any]:
    """The document."""
    schema = TypeAdapter(Flow).json_schema()
    return {"$schema": DIALECT, "title": "Call flow", "description": "One action, or a list of actions."} | schema


def reference_page() -> str:
    """docs/reference/flows.md, whole."""
    return _HEAD + "".join(_section(name) for name in VERBS) + _nested()


def _section(action: str) -> str:
    schema = TypeAdapter(VERBS[action]).json_schema()
    rows = "".join(_rows(schema))
    table = f"\n| field | type | default | meaning |\n|---|---|---|---|\n{rows}" if rows else ""
    return f"\n## {action}\n\n{schema['description']}\n{table}"


def _nested() -> str:
    """What may stand in `prompt`, `dial_music` and the branches."""
    text = "\n## Nested actions\n\nWhat stands in `prompt`, `dial_music`, `confirm_sound` and the branches of `dial`.\n"
    definitions = flow_schema()["$defs"]
    for name in _NESTED:
        schema = definitions[name]
        rows = "".join(_rows(schema))
        table = f"\n| field | type | default | meaning |\n|---|---|---|---|\n{rows}" if rows else ""
        text += f"\n**{_NESTED[name]}.** {schema['description']}\n{table}"
    return text


def _rows(schema: dict[str, Any]) -> Iterator[str]:
    for name, field in schema["properties"].items():
        if name == "action":
            continue
        default = "required" if name in schema.get("required", ()) else _default(field)
        yield f"| `{name}` | {_type(field)} | {default} | {field.get('description', '')} |\n"


def _default(field: dict[str, Any]) -> str:
    value = field.get("default")
    if value is None or value == {}:
        return ""
    shown = str(value).lower() if isinstance(value, bool) else '""' if value == "" else str(value)
    return f"`{shown}`"


def _type(field: dict[str, Any]) -> str:
    if "$ref" in field:
        return _NESTED[field["$ref"].rpartition("/")[2]]
    options = field.get("anyOf") or field.get("oneOf")
    if options:
        return " or ".join(dict.fromkeys(_type(option) for option in options if option.get("type") != "null"))
    if "enum" in field:
        return " or ".join(f"`{value}`" for value in field["enum"])
    if "const" in field:
        return f"`{field['const']}`"
    if field.get("type") == "array":
        return f"list of at most {field['maxItems']}"
    bounds = [field[key] for key in ("minimum", "maximum") if key in field]
    suffix = f", {bounds[0]:g} to {bounds[1]:g}" if len(bounds) == 2 else ""
    if "maxLength" in field:
        suffix = f", at most {field['maxLength']} characters"
    return f"{field.get('type', 'any')}{suffix}"


if __name__ == "__main__":
    print(reference_page(), end="")
