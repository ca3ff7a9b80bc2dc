"""`python -m schedule_zero.actors.app`: the command line, where its script is not on the path."""

from __future__ import annotations

from schedule_zero.actors.app.cli import main

main()
