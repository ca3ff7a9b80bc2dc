"""Chance: the only file that draws random numbers or makes up ids."""

from __future__ import annotations

import random
from uuid import UUID


class Chance(random.Random):
    """A node's random numbers; seeded in tests and simulations, from the system otherwise.

    Example::

        delay = node.random.uniform(0.5, 1.5)
        run_id = node.random.new_id()
    """

    def new_id(self) -> UUID:
        """A random (version 4) UUID drawn from this source."""
        return UUID(int=self.getrandbits(128), version=4)
