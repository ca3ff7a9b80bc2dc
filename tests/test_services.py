"""A test that needs a service is left out where it is missing, and fails where it is required."""

from __future__ import annotations

from pathlib import Path

import pytest

CONFTEST = Path(__file__).with_name("conftest.py").read_text()
SUITE = """
    import pytest

    @pytest.mark.service("nowhere")
    def test_elsewhere(): pass

    @pytest.mark.service("here")
    def test_here(): pass

    @pytest.mark.slow
    def test_slow(): pass

    def test_other(): pass
    """
MARKERS = "[pytest]\nmarkers =\n  service(name): needs a service\n  slow: takes long\n"


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A suite of four tests, two of which need a service, of which one is missing."""
    monkeypatch.delenv("SCHEDULE_ZERO_REQUIRE_SERVICES", raising=False)
    services = "SERVICES.update(nowhere=lambda: 'it was switched off', here=lambda: None)"
    pytester.makeconftest(f"{CONFTEST}\n{services}\n")
    pytester.makeini(MARKERS)
    pytester.makepyfile(SUITE)
    return pytester


@pytest.mark.parametrize("workers", [(), ("-n1",)], ids=["in one process", "in workers"])
def test_a_missing_service_leaves_its_tests_out_and_says_so(
    suite: pytest.Pytester, workers: tuple[str, ...]
) -> None:
    result = suite.runpytest_subprocess("-q", *workers)
    result.assert_outcomes(passed=2, skipped=2)
    result.stdout.fnmatch_lines(
        [
            "left out: 1 test that needs nowhere: it was switched off",
            "left out: 1 test that needs time: *make test-all*",
        ]
    )


def test_a_required_service_that_is_missing_fails(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCHEDULE_ZERO_REQUIRE_SERVICES", "1")
    result = suite.runpytest_subprocess("-q")
    result.assert_outcomes(passed=3, errors=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*nowhere is required: it was switched off*"])


def test_a_mark_that_names_no_service_is_an_error(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(CONFTEST)
    pytester.makeini(MARKERS)
    pytester.makepyfile("import pytest\n@pytest.mark.service('redsi')\ndef test_it(): pass\n")
    result = pytester.runpytest_subprocess("-q")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*no service 'redsi'; known are: postgresql, redis*"])
