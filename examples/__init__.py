"""Handlers to run, read and copy: `schedule-zero run examples.hello`."""
