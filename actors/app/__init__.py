"""The composition root: settings, components and the command line."""
