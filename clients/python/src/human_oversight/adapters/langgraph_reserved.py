"""Arguments whose names LangChain takes for its own."""

import inspect
from typing import Any

from langchain_core.tools import FILTERED_ARGS
from langchain_core.tools.base import _get_runnable_config_param
from langchain_core.utils.pydantic import get_fields

from .arguments import defaults


def refuse_reserved(tool: Any, function: Any, arguments: dict[str, Any]) -> None:
    """LangChain keeps arguments with the names of its managers of callbacks out of sight, and does not pass on those
    for which the tool's method has a parameter of LangChain's, such as `config`.

    Raises:
        ValueError: if one is out of sight and the tool's schema does not name it, or does not reach the function.
    """
    schema = tool.args_schema
    known = (schema.get("properties") or {}) if isinstance(schema, dict) else get_fields(tool.get_input_schema())
    if unknown := [it for it in FILTERED_ARGS if it in arguments and it not in known]:
        raise ValueError(f"there is no argument {', '.join(unknown)}")
    methods, values = [tool._run, function], defaults(function)
    managers = {name for name in FILTERED_ARGS for it in methods if name in inspect.signature(it).parameters}
    reserved = arguments.keys() & (managers | {_get_runnable_config_param(it) for it in methods})
    # Where a call does not name it, the function has its own default in any case.
    if lost := sorted(name for name in reserved if name not in values or values[name] != arguments[name]):
        raise ValueError(f"LangChain replaces {', '.join(lost)} by its own: leave it out, or rename it in the tool")
