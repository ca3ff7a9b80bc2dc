"""What befalls the frames between two hosts."""

from __future__ import annotations

from attrs import frozen

HEARTBEAT_TIMEOUT = 4.0
"""After how many seconds of silence an end of a link takes the other for lost."""

CAPACITY = 128
"""How many frames may be under way on one direction of a link before `send` waits."""


@frozen(kw_only=True)
class Conditions:
    """How one direction between two hosts treats frames.

    `delay` and `jitter` are seconds: a frame takes `delay`, and up to `jitter` more. `loss`,
    `duplication` and `reordering` are probabilities, each frame's own. At zero a link is what TCP
    makes of it: in order, nothing lost, nothing twice. A frame that is reordered arrives up to
    `overtaken_within` seconds later, while others go on.
    """

    delay: float = 0.001
    jitter: float = 0.0
    loss: float = 0.0
    duplication: float = 0.0
    reordering: float = 0.0
    overtaken_within: float = 0.01


CALM = Conditions()
"""A good local network."""
