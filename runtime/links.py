"""Links: two actors share their fate. The failure of one is the failure of the other.

OTP's rules: a link is two-way, and made once however often it is asked for; a normal end (or an
ordered one) breaks it and harms nobody; an abnormal end fails the linked actor; linking to an actor
that has ended fails the one that links, with `noproc`; losing the node of a linked actor fails the
other with `noconnection`. A link is of one life: after a restart it is made anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from schedule_zero.runtime.errors import LinkedActorEnded
from schedule_zero.runtime.reason import NOPROC, Reason
from schedule_zero.runtime.remote import RemoteActor, Target

if TYPE_CHECKING:
    from schedule_zero.runtime.cell import Cell


def link(one: Cell, other: Target) -> None:
    """Link two actors; `one` asks for it."""
    if one is other:
        return
    if isinstance(other, RemoteActor):
        gone = other.why_gone
    else:
        gone = NOPROC if other.state in ("halted", "stopped") else None
    if gone is not None:
        one.fail_beside(LinkedActorEnded(other.path, gone))
        return
    is_new = not one.links or other not in one.links
    join(one, other)
    if is_new and isinstance(other, RemoteActor):
        other.peer.fates.link(one, other)


def unlink(one: Cell, other: Target) -> None:
    """Part two actors; harmless when they were not linked."""
    part(one, other)
    if isinstance(other, RemoteActor):
        other.peer.fates.unlink(one, other)


def join(one: Target, other: Target) -> None:
    """Note the link on both sides."""
    for each, partner in ((one, other), (other, one)):
        each.links = each.links or {}
        each.links[partner] = None


def part(one: Target, other: Target) -> None:
    """Forget the link on both sides."""
    for each, partner in ((one, other), (other, one)):
        if each.links is not None:
            each.links.pop(partner, None)


def break_links(ended: Cell, reason: Reason) -> None:
    """A life has ended: part it from its partners, and fail them if the end was abnormal."""
    links, ended.links = ended.links, None
    for partner in links or ():
        if partner.links is not None:
            partner.links.pop(ended, None)
        if not isinstance(partner, RemoteActor):
            if reason.is_abnormal:
                partner.fail_beside(LinkedActorEnded(ended.path, reason))
        elif reason.is_abnormal:
            partner.peer.fates.exit(ended, partner, reason)
        else:
            partner.peer.fates.unlink(ended, partner)
