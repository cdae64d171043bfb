"""Fault injection: rules that make requests to servers fail, late, lost or fatal (docs/faults.md)."""

from __future__ import annotations

from linuxemu.inject.injector import Injected as Injected
from linuxemu.inject.injector import Injector as Injector
from linuxemu.inject.rules import InjectError as InjectError
from linuxemu.inject.rules import Rule as Rule
from linuxemu.inject.rules import When as When
from linuxemu.inject.spec import parse as parse
from linuxemu.inject.spec import parse_toml as parse_toml

__all__ = ["InjectError", "Injected", "Injector", "Rule", "When", "parse", "parse_toml"]
