"""The wire's messages, loaded at their first use: with numpy they take ten times as long as the rest of the extension.

Enabling an extension is part of Blender's start. The first connection is not.
"""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any


def _postponed(name: str) -> ModuleType:
    """A module, relative to this package, whose code runs when something of it is asked for."""
    full_name = importlib.util.resolve_name(name, __package__)
    if full_name in sys.modules:
        return sys.modules[full_name]
    spec: Any = importlib.util.find_spec(full_name)
    spec.loader = importlib.util.LazyLoader(spec.loader)
    module = sys.modules[full_name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if TYPE_CHECKING:
    from ._shared.wire import messages as messages
else:
    messages = _postponed("._shared.wire.messages")
