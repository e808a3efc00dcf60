"""Where settings come from and how a wrong one is explained: environment variables, merging, error messages.

Works for any pydantic model; `config.py` holds the settings themselves.
"""

import difflib
import json
import types
from collections.abc import Iterator, Mapping
from typing import Any, Final, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from longline.base.errors import ConfigError

ENV_PREFIX: Final = "LONGLINE_"
NESTING: Final = "__"


def read_environment(environ: Mapping[str, str], model: type[BaseModel]) -> dict[str, Any]:
    """The settings of `model` in the environment. Variables that name no setting are not ours: they are left alone.

    A list is written as JSON or separated by commas; a table may be written whole, as JSON.
    """
    settings: dict[str, Any] = {}
    for name in sorted(environ):
        path = name.removeprefix(ENV_PREFIX).lower().split(NESTING)
        if not name.startswith(ENV_PREFIX) or path[0] not in model.model_fields:
            continue
        target = settings
        for part in path[:-1]:
            target = target.setdefault(part, {})
            if not isinstance(target, dict):
                raise ConfigError(f"{name} goes into a setting that another variable sets whole", ".".join(path))
        target[path[-1]] = _value(environ[name], name, _annotation(model, path))
    return settings


def _annotation(model: type[BaseModel], path: list[str]) -> Any:
    annotation: Any = model
    for part in path:
        fields = model_of(annotation)
        if fields is not None:
            if part not in fields.model_fields:
                return str
            annotation = fields.model_fields[part].annotation
        elif get_origin(annotation) is dict:
            annotation = get_args(annotation)[1]
        else:
            return str
    return annotation


def model_of(annotation: Any) -> type[BaseModel] | None:
    """The table that an annotation stands for, None when it is no table."""
    for option in options_of(annotation):
        if isinstance(option, type) and issubclass(option, BaseModel):
            return option
    return None


def options_of(annotation: Any) -> tuple[Any, ...]:
    """The members of a union; of anything else, itself."""
    return get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)


def _value(text: str, name: str, annotation: Any) -> Any:
    is_list = any(get_origin(option) is list for option in options_of(annotation))
    is_table = model_of(annotation) is not None or get_origin(annotation) is dict
    if is_table or (is_list and text.lstrip().startswith("[")):
        try:
            return json.loads(text)
        except ValueError:
            raise ConfigError(f"{name} must be JSON", name.removeprefix(ENV_PREFIX).lower()) from None
    if is_list:
        return [item.strip() for item in text.split(",") if item.strip()]
    return text


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """`below` with every setting of `above` put over it, table by table."""
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        both = isinstance(under, Mapping) and isinstance(value, Mapping)
        merged[key] = merge(under, value) if both else value  # type: ignore[arg-type]
    return merged


def explain(error: ValidationError, model: type[BaseModel]) -> ConfigError:
    """The first lines an operator needs: one per wrong setting, with its path and what is allowed."""
    problems = list(_problems(error, model))
    return ConfigError(
        "\n".join(f"{path}: {text}" if path else text for path, text in problems), problems[0][0] or None
    )


def _problems(error: ValidationError, model: type[BaseModel]) -> Iterator[tuple[str, str]]:
    for item in error.errors(include_url=False, include_context=False, include_input=False):
        parts = [str(part) for part in item["loc"]]
        if item["type"] == "extra_forbidden":
            yield ".".join(parts), _unknown(parts, model)
        else:
            yield ".".join(parts), item["msg"].removeprefix("Value error, ")


def _unknown(parts: list[str], model: type[BaseModel]) -> str:
    section = model_of(_annotation(model, parts[:-1])) or model
    names = list(section.model_fields)
    near = difflib.get_close_matches(parts[-1].lower(), names, n=1, cutoff=0.5)
    return f"unknown setting; did you mean {near[0]}?" if near else f"unknown setting; known: {', '.join(names)}"
