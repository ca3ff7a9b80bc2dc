"""Under which conditions a run was made: the day, the machine, and the versions of all."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from shutil import which

_PEERS = ("Pykka", "xoscar", "Thespian")
_OTP = 'io:format("~s", [erlang:system_info(otp_release)]), halt().'


def conditions(repetitions: int) -> str:
    """One sentence."""
    python = f"{platform.python_implementation()} {platform.python_version()}"
    machine = f"{python}, {platform.system()}, {os.cpu_count()} cores"
    day = datetime.date.today().isoformat()
    return f"{day}; {machine}; medians of {repetitions}; {', '.join(_versions())}."


def _versions() -> list[str]:
    found = []
    for package in _PEERS:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    if which("erl"):
        command = ["erl", "-noshell", "-noinput", "-eval", _OTP]
        asked = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        found.append(f"Erlang/OTP {asked.stdout}")
    return found or ["no peers"]
