"""A test that needs a service is left out where it is missing, and fails where it is required."""

from __future__ import annotations

from pathlib import Path

import pytest

CONFTEST = Path(__file__).with_name("conftest.py").read_text()


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makeconftest(CONFTEST + "\nSERVICES['nowhere'] = lambda: False\n")
    pytester.makeini("[pytest]\nmarkers = service(name): needs a service\n")
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.service("nowhere")
        def test_it(): pass

        def test_other(): pass
        """
    )
    return pytester


def test_a_missing_service_leaves_its_tests_out_and_says_so(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SCHEDULE_ZERO_REQUIRE_SERVICES", raising=False)
    result = suite.runpytest_subprocess()
    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines(["left out: 1 tests that need nowhere*"])


def test_a_required_service_that_is_missing_fails(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCHEDULE_ZERO_REQUIRE_SERVICES", "1")
    result = suite.runpytest_subprocess()
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*service 'nowhere' is required*"])
