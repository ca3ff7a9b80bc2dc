"""Links: two actors share their fate. The failure of one is the failure of the other.

OTP's rules: a link is two-way, and made once however often it is asked for; a normal end (or an
ordered one) breaks it and harms nobody; an abnormal end fails the linked actor; linking to an actor
that has ended fails the one that links, with `noproc`. A link is of one life: after a restart it is
made anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from schedule_zero.runtime.errors import LinkedActorEnded
from schedule_zero.runtime.reason import NOPROC, Reason

if TYPE_CHECKING:
    from schedule_zero.runtime.cell import Cell


def link(one: Cell, other: Cell) -> None:
    """Link two actors; `one` asks for it."""
    if one is other:
        return
    if other.actor is None:
        one.fail_beside(LinkedActorEnded(other.path, NOPROC))
        return
    for each, partner in ((one, other), (other, one)):
        each.links = each.links or {}
        each.links[partner] = None


def unlink(one: Cell, other: Cell) -> None:
    """Part two actors; harmless when they were not linked."""
    for each, partner in ((one, other), (other, one)):
        if each.links is not None:
            each.links.pop(partner, None)


def break_links(ended: Cell, reason: Reason) -> None:
    """A life has ended: part it from its partners, and fail them if the end was abnormal."""
    links, ended.links = ended.links, None
    for partner in links or ():
        if partner.links is not None:
            partner.links.pop(ended, None)
        if reason.is_abnormal:
            partner.fail_beside(LinkedActorEnded(ended.path, reason))
