"""What an endpoint has in the system: made, or taken over from an earlier daemon, and removed.

Theory of operation. A namespace, the interfaces in it, a resolv.conf: each is recorded in the
journal as the endpoint's, so that who starts after a stop or a kill knows what is whose. Where a
thing that is wanted is recorded already, and is there as it is wanted, it is taken over as it
stands: its addresses and routes are not touched, as somebody inside may have added to them. What is
recorded and not as it is wanted is removed first; what is recorded of an endpoint of which a kill
left but a part, or by now belongs to none of its lines, is `discard`ed before anything is made.

Removing is pushed onto the caller's stack, and happens unless the endpoint `stays`: then whatever
outlives the daemon is left as it is, and only descriptors are closed.

A TAP whose descriptor is closed has no carrier and goes on to have its addresses. The descriptor
keeps the namespace alive that it was opened in, so it is closed when the endpoint goes, and the TAP
with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from contextlib import AsyncExitStack, suppress

from vswitch.daemon.kernel import links, netns
from vswitch.daemon.kernel.journal import NOBODY, Journal
from vswitch.daemon.kernel.links import EndpointLink
from vswitch.daemon.kernel.made import Made, MadeLink, MadeNamespace, MadeTap
from vswitch.daemon.kernel.netns import Namespace
from vswitch.daemon.resolving.files.resolvconffiles import ResolvConfFiles
from vswitch.devices.afpacket import PacketDevice
from vswitch.devices.tap import TapDevice


class Belongings:
    """Those of one endpoint."""

    def __init__(self, journal: Journal, endpoint: str) -> None:
        self._journal = journal
        self.endpoint = endpoint
        """Its name."""
        self.stays = False
        """Whether what outlives the daemon is left when it is taken down."""
        self.were_left = journal.is_whole(endpoint)
        """Whether an earlier daemon has left them, all of them."""

    @property
    def have_namespace(self) -> bool:
        """Whether the namespace that the endpoint lives in was made for it."""
        return any(isinstance(each, MadeNamespace) for each in self._journal.of(self.endpoint))

    async def discard(self, wanted: Collection[Made]) -> None:
        """Remove the interfaces that an earlier daemon made for it and that are not `wanted`, and
        everything where that has left but a part."""
        recorded = self._journal.of(self.endpoint)
        if not self.were_left:
            stale = recorded
        else:
            stale = tuple(
                each
                for each in recorded
                if isinstance(each, MadeTap | MadeLink) and each not in wanted
            )
        for thing in reversed(stale):
            await asyncio.to_thread(self._journal.undo, thing)

    def set_aside_namespace(self) -> AsyncExitStack:
        """Leave the namespace that was made for the endpoint, with what lives in it, when that is
        taken down. Closing the answer removes it, unless an endpoint has it again by then."""
        home = AsyncExitStack()
        for thing in self._journal.of(self.endpoint):
            if isinstance(thing, MadeNamespace):
                self._journal.hand_over(thing, NOBODY)
                home.push_async_callback(self._remove_of, thing, NOBODY)
        return home

    def finish(self) -> None:
        """Note that it has all that it is to have."""
        self._journal.finish(self.endpoint)

    async def namespace(self, name: str, undo: AsyncExitStack) -> None:
        """Have the namespace of that name. Raises NamespaceError."""
        thing = MadeNamespace(name)
        if not Namespace.named(name).exists():
            await asyncio.to_thread(self._journal.make_namespace, name, self.endpoint)
        if self._journal.has(thing):
            self._journal.hand_over(thing, self.endpoint)
            undo.push_async_callback(self._remove, thing)

    def resolv_conf(
        self, files: ResolvConfFiles, namespace: Namespace, undo: AsyncExitStack
    ) -> None:
        """Have one of the resolv.conf `files` in that namespace. Raises OSError."""
        undo.callback(lambda: files.remove(self.endpoint, stays=self.stays))
        files.install(self.endpoint, namespace, was_left=self.were_left)

    async def tap(
        self, namespace: Namespace, link: EndpointLink, undo: AsyncExitStack
    ) -> TapDevice:
        """Have a TAP in `namespace`. Raises NamespaceError, LinkError, OpenError or OSError."""
        thing = made_tap(namespace, link)
        if await self._is_left(thing, namespace, link):
            tap = await asyncio.to_thread(
                netns.run, lambda: TapDevice.take_over(link.name), namespace
            )
            undo.push_async_callback(self._close, tap, thing)
            return tap
        tap = await asyncio.to_thread(netns.run, TapDevice.open, namespace)
        undo.push_async_callback(self._close, tap, thing)
        await asyncio.to_thread(links.equip, namespace, tap.interface, link)
        with self._journal.making(thing, self.endpoint):
            tap.set_persistent(True)
        return tap

    async def veth(
        self, namespace: Namespace, link: EndpointLink, undo: AsyncExitStack
    ) -> PacketDevice:
        """Have a veth pair with its inner end in `namespace`, and a packet socket on its outer end.

        Raises LinkError or OpenError.
        """
        thing = made_veth(link)
        is_left = await self._is_left(thing, namespace, link)
        if not is_left:
            await asyncio.to_thread(
                self._journal.make_veth,
                *(thing.name, namespace, link.name),
                mtu=link.mtu,
                of=self.endpoint,
            )
        undo.push_async_callback(self._remove, thing)
        device = PacketDevice.open(thing.name)
        undo.callback(device.close)
        if not is_left:
            await asyncio.to_thread(links.equip, namespace, link.name, link)
        return device

    async def vm_tap(self, owner: int | None, mtu: int, undo: AsyncExitStack) -> PacketDevice:
        """Have the TAP for a virtual machine, and a packet socket on the kernel's side of it.

        Raises LinkError or OpenError.
        """
        thing = MadeLink(self.endpoint)
        left = await asyncio.to_thread(links.find, thing.name) if self._journal.has(thing) else None
        if left is None:
            await asyncio.to_thread(self._journal.make_vm_tap, thing.name, owner, mtu=mtu)
        undo.push_async_callback(self._remove, thing)
        device = PacketDevice.open(thing.name)
        undo.callback(device.close)
        return device

    async def _is_left(
        self, thing: MadeTap | MadeLink, namespace: Namespace, link: EndpointLink
    ) -> bool:
        """Whether an earlier daemon has left it as it is wanted; if it is another one, it goes."""
        if not self._journal.has(thing):
            return False
        if await asyncio.to_thread(links.is_equipped, namespace, link):
            return True
        await asyncio.to_thread(self._journal.undo, thing)
        return False

    async def _remove(self, thing: Made) -> None:
        if not self.stays:
            await self._remove_of(thing, self.endpoint)

    async def _remove_of(self, thing: Made, owner: str) -> None:
        if thing in self._journal.of(owner):
            await asyncio.to_thread(self._journal.undo, thing)

    async def _close(self, tap: TapDevice, thing: MadeTap) -> None:
        """With the descriptor of one that is persistent no more the interface goes."""
        is_gone = False
        if not self.stays:
            with suppress(OSError):  # somebody has removed it, or does not let us
                tap.set_persistent(False)
                is_gone = True
        tap.close()
        if is_gone:
            self._journal.forget(thing)
        else:
            await self._remove(thing)


def made_tap(namespace: Namespace, link: EndpointLink) -> MadeTap:
    """What is recorded of a TAP in an endpoint's namespace."""
    return MadeTap(str(namespace.path), link.name, str(link.mac))


def made_veth(link: EndpointLink) -> MadeLink:
    """What is recorded of the outer end of a veth pair."""
    return MadeLink(f"veth{link.mac[-4:].hex()}")
