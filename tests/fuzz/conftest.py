"""Fuzzing shares what the tests of the runtime share: no test hangs."""

from __future__ import annotations

from tests.runtime.conftest import _no_hang  # noqa: F401 - a fixture
