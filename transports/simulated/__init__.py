"""A network in one process, on trio's clock: delays and faults as a seed draws them."""

from __future__ import annotations

from schedule_zero.transports.simulated.conditions import CALM, Conditions
from schedule_zero.transports.simulated.network import SimulatedNetwork

__all__ = ["CALM", "Conditions", "SimulatedNetwork"]
