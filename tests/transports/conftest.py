"""What the tests of the transports share: no test hangs."""

from __future__ import annotations

from tests.runtime.conftest import _no_hang  # noqa: F401 - a fixture
