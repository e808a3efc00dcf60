"""The settings as a table, and the reference page made of it.

    python -m longline.base.config_table > docs/reference/configuration.md

The page is made from the models, so that a default or a bound is stated once.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import NoneType
from typing import Any, Final, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from longline.base.config import Config
from longline.base.config_source import ENV_PREFIX, NESTING, model_of, options_of

_ANY_NAME: Final = "NAME"

_HEAD: Final = f"""\
# Configuration

`longline serve --config longline.toml` reads a TOML file, puts the environment over it, and checks the whole before it
starts. A setting that is unknown or not allowed stops the start, with its path and what is allowed. Every setting has a
default: a node also starts without a file.

In the environment a setting is `{ENV_PREFIX}` and its name in upper case; a setting inside a table is joined by two
underscores. A list is separated by commas, or JSON; a whole table is JSON. The environment wins, setting by setting.
A variable that begins with `{ENV_PREFIX}` and then names neither a setting nor a table is ignored.

```toml
sip_listen = "192.0.2.10:5060"
default_trunk = "carrier"

[trunks.carrier]
uri = "sip:sip.example.com;transport=udp"
username = "longline"
password = "…"

[inbound]
flow_url = "https://app.example.com/flow"
webhook_url = "https://app.example.com/status"
```

"required" means: once anything else of its table is given. This page is generated from the settings themselves.

| Setting | Type | Default | Environment | Meaning |
|---|---|---|---|---|
"""


@dataclass(frozen=True, slots=True)
class Setting:
    """One row. `default` is "required" where there is none."""

    name: str
    type: str
    default: str
    env: str
    doc: str


def settings_table() -> list[Setting]:
    """Every setting, in the order of the configuration's own."""
    return list(_settings(Config, ()))


def _settings(model: type[BaseModel], path: tuple[str, ...]) -> Iterator[Setting]:
    for name, field in model.model_fields.items():
        here = (*path, name)
        is_table = get_origin(field.annotation) is dict
        below = model_of(get_args(field.annotation)[1]) if is_table else model_of(field.annotation)
        if below is not None:
            yield from _settings(below, (*here, _ANY_NAME) if is_table else here)
        else:
            yield Setting(
                name=".".join(here),
                type=_type(field),
                default=_default(field),
                env=ENV_PREFIX + NESTING.join(here).upper(),
                doc=field.description or "",
            )


def _type(field: FieldInfo) -> str:
    names = [_type_name(option) for option in options_of(field.annotation) if option is not NoneType]
    return " or ".join(names) + _bounds(field)


def _type_name(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return " or ".join(f'"{value}"' for value in get_args(annotation))
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "table"
    if get_origin(annotation) is list:
        return f"list of {_type_name(get_args(annotation)[0])}"
    if hasattr(annotation, "__metadata__"):
        return _type_name(get_args(annotation)[0])
    names = {str: "string", int: "integer", float: "number", bool: "boolean", Path: "path"}
    return names.get(annotation, str(annotation))


def _bounds(field: FieldInfo) -> str:
    found = {name: getattr(item, name) for item in field.metadata for name in ("gt", "ge", "le") if hasattr(item, name)}
    if "le" not in found:
        return ""
    low = f"above {found['gt']:g}" if "gt" in found else f"{found['ge']:g}"
    return f", {low} to {found['le']:g}"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if field.default_factory is not None:
        return "[]" if get_origin(field.annotation) is list else "`$XDG_DATA_HOME/longline`"
    if field.default is None:
        return "none"
    if isinstance(field.default, bool):
        return str(field.default).lower()
    return f"`{field.default}`"


def reference_page() -> str:
    """docs/reference/configuration.md, whole."""
    rows = (f"| `{s.name}` | {s.type} | {s.default} | `{s.env}` | {s.doc} |" for s in settings_table())
    return _HEAD + "\n".join(rows) + "\n"


if __name__ == "__main__":
    print(reference_page(), end="")
