"""From one configuration to another while the switch runs: all of it, or as far as it goes."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.daemon.reloading import Kernel, granting, in_directory, picture, started, toml
from tests.network.test_difference import documents, sound
from vswitch.daemon.daemon import Daemon
from vswitch.daemon.kernel import netns
from vswitch.daemon.kernel.netns import Namespace
from vswitch.daemon.messages.filters import FilterBody
from vswitch.daemon.reload import ReloadError, Source
from vswitch.daemon.store import Shelf, StoreError
from vswitch.leasing import Lease
from vswitch.network import publish
from vswitch.network.configuration.mistakes import ConfigurationError
from vswitch.network.model import EndpointRequest, NetworkRequest
from vswitch.wire.values import IpAddress, IpNetwork, MacAddress

UPLINK = '[uplink]\ninterface = "eth1"\naddress = "192.0.2.50/24"\naddresses = ["192.0.2.51"]\n'
FRONT = '[networks.front]\nsubnet = "172.20.0.0/16"\n'
WEB = '[endpoints.web]\nnetwork = "front"\n'

_runs = itertools.count()


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    with granting(tmp_path) as kernel:
        yield kernel


class Running:
    """A switch that runs, and texts to bring it to."""

    def __init__(self, daemon: Daemon, directory: Path) -> None:
        self.daemon = daemon
        self._directory = directory

    async def reload(self, text: str) -> list[str]:
        changes = await self.daemon.reload.reload(self._source(text))
        return [str(each) for each in changes]

    async def diff(self, text: str) -> list[str]:
        return [str(each) for each in await self.daemon.reload.diff(self._source(text))]

    async def refused(self, text: str) -> str:
        """Why a reload is refused that changes nothing."""
        before = picture(self.daemon)
        with pytest.raises(ReloadError) as refused:
            await self.reload(text)
        assert picture(self.daemon) == before
        (line,) = str(refused.value).splitlines()
        start = "nothing is changed: "
        assert line.startswith(start)
        return line.removeprefix(start)

    def _source(self, text: str) -> Source:
        return Source(in_directory(text, self._directory), "lab.toml")


Story = Callable[[Running], Awaitable[None]]


def play(directory: Path, text: str, story: Story) -> None:
    async def run() -> None:
        async with started(text, directory) as daemon:
            await story(Running(daemon, directory))

    asyncio.run(run())


# Any configuration to any other


@given(documents.filter(sound), documents.filter(sound))
@settings(
    max_examples=20,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_switch_that_was_brought_there_is_as_one_that_was_started_so(
    kernel: Kernel, tmp_path: Path, before: dict[str, object], after: dict[str, object]
) -> None:
    run = tmp_path / str(next(_runs))
    expected: list[dict[str, object]] = []

    async def look(running: Running) -> None:
        expected.append(picture(running.daemon))

    async def story(running: Running) -> None:
        await running.reload(toml(after))
        assert picture(running.daemon) == expected[0]
        assert await running.diff(toml(after)) == []

    play(run.with_suffix(".after"), toml(after), look)
    play(run, toml(before), story)


def test_subnet_that_nobody_chose_is_the_same_after_a_restart_whatever_came_before_it(
    kernel: Kernel, tmp_path: Path
) -> None:
    """Else it could become that of a network made at run time, which would have to go."""
    held: list[dict[str, str]] = []

    async def make(running: Running) -> None:
        await running.daemon.networks.create(NetworkRequest("jobs"))
        await running.reload("[networks.late]\n")
        await look(running)

    async def look(running: Running) -> None:
        networks = running.daemon.inventory.networks
        held.append({each.name: str(each.subnet) for each in networks})

    play(tmp_path, "", make)
    play(tmp_path, "[networks.late]\n[networks.more]\n", look)
    before, after = held
    more = after.pop("more")
    assert after == before
    assert more not in before.values()


def test_links_and_roles_change_in_place(kernel: Kernel, tmp_path: Path) -> None:
    before = f"{FRONT}[endpoints.db]\nnetwork = 'front'\n[endpoints.app]\nnetwork = 'front'\n"
    serving = "[endpoints.db]\nexpose = ['5432']\nrole = 'promiscuous'\n"
    after = before.replace("[endpoints.db]\n", serving) + "links = ['db']\n"
    expected: list[dict[str, object]] = []

    async def look(running: Running) -> None:
        expected.append(picture(running.daemon))

    async def story(running: Running) -> None:
        lines = await running.reload(after)
        assert all(line.endswith("(in place)") for line in lines), lines
        assert picture(running.daemon) == expected[0]

    play(tmp_path / "after", after, look)
    play(tmp_path / "before", before, story)


# All or nothing


def test_what_needs_a_restart_is_refused_as_a_whole(kernel: Kernel, tmp_path: Path) -> None:
    async def story(running: Running) -> None:
        said = await running.refused(f"{FRONT}[limits]\nconnections = 1000\n[recorder]\nsize = 0\n")
        assert said == "limits: needs a restart; recorder: needs a restart"

    play(tmp_path, "", story)


def test_network_made_at_run_time_stays_and_what_is_in_its_way_is_refused(
    kernel: Kernel, tmp_path: Path
) -> None:
    async def story(running: Running) -> None:
        jobs = NetworkRequest("jobs", IpNetwork.parse("172.20.0.0/16"))
        await running.daemon.networks.create(jobs)
        said = await running.refused(FRONT)
        assert said == (
            "network jobs, made at run time: invalid pool request: Pool overlaps with other one on "
            "this address space (172.20.0.0/16 of network front)"
        )
        assert await running.reload(FRONT.replace("20", "21")) != []
        assert "jobs" in {each.name for each in running.daemon.inventory.networks}

    play(tmp_path, "", story)


def test_network_does_not_go_from_under_an_endpoint_made_at_run_time(
    kernel: Kernel, tmp_path: Path
) -> None:
    async def story(running: Running) -> None:
        await attach(running, "job")
        said = await running.refused("")
        assert said == "network front: endpoints are on it since run time: job"
        said = await running.refused(f"{FRONT}mtu = 1400\n")
        assert said == "network front: endpoints are on it since run time: job"
        assert await running.reload(f"{FRONT}icc = false\n") != []

    play(tmp_path, FRONT, story)


def test_endpoint_of_the_configuration_does_not_take_what_one_made_at_run_time_has(
    kernel: Kernel, tmp_path: Path
) -> None:
    async def story(running: Running) -> None:
        await attach(running, "job", publish=(publish.parse("8080:80"),))
        said = await running.refused(f'{UPLINK}{FRONT}{WEB}publish = ["8080:80"]\n')
        assert "Bind for 0.0.0.0:8080 failed: port is already allocated" in said
        said = await running.refused(f'{UPLINK}{FRONT}[endpoints.job]\nnetwork = "front"\n')
        assert said == "endpoint job: endpoint with name job already exists in network front"
        assert await running.reload(f"{UPLINK}{FRONT}{WEB}") != []
        addresses = [str(each.address) for each in running.daemon.inventory.endpoints]
        assert addresses == ["172.20.0.2", "172.20.0.3"]

    play(tmp_path, UPLINK + FRONT, story)


def test_endpoint_of_the_configuration_does_not_take_what_a_guest_is_leased(
    kernel: Kernel, tmp_path: Path
) -> None:
    leased = IpAddress.parse("172.20.0.9")

    async def story(running: Running) -> None:
        inventory = running.daemon.inventory
        guest = Lease(leased, MacAddress.parse("52:54:00:12:34:56"), "printer")
        inventory.lease(inventory.network("front"), guest)
        said = await running.refused(f'{FRONT}{WEB}address = "172.20.0.9"\n')
        assert said == (
            "endpoint web: Address already in use (leased to 52:54:00:12:34:56 (printer))"
        )
        inventory.end_lease(inventory.network("front"), leased)
        assert await running.reload(f'{FRONT}{WEB}address = "172.20.0.9"\n') != []

    play(tmp_path, FRONT, story)


def test_reservation_is_kept_for_its_station_from_the_reload_on(
    kernel: Kernel, tmp_path: Path
) -> None:
    reserved = f'{FRONT}[networks.front.dhcp.reservations]\nprinter = "172.20.0.2"\n'

    async def story(running: Running) -> None:
        assert await running.reload(reserved) == [
            "~ network front: dhcp + true, dhcp.reservations + printer = 172.20.0.2 (in place)"
        ]
        endpoint = running.daemon.inventory.add_endpoint(EndpointRequest("job", "front"))
        assert str(endpoint.address) == "172.20.0.3"
        front = running.daemon.inventory.network("front")
        servers = running.daemon.switch.tables.dhcp_servers.by_network
        assert servers[running.daemon.networks.number(front)].terms.leasing == front.leasing
        running.daemon.inventory.remove_endpoint("job")

    play(tmp_path, FRONT, story)


def test_name_of_a_command_beside_the_switch_is_not_an_endpoints(
    kernel: Kernel, tmp_path: Path
) -> None:
    async def story(running: Running) -> None:
        running.daemon.inventory.reserve_name("web", "host")
        said = await running.refused(FRONT + WEB)
        assert said == "endpoint web: endpoint with name web already exists in network host"

    play(tmp_path, FRONT, story)


def test_mistake_in_the_file_changes_nothing(kernel: Kernel, tmp_path: Path) -> None:
    async def story(running: Running) -> None:
        with pytest.raises(ConfigurationError, match=r"lab\.toml: networks\.front\.mtu"):
            await running.reload("[networks.front]\nmtu = 1\n")

    play(tmp_path, "", story)


async def attach(running: Running, name: str, **wish: object) -> None:
    request = EndpointRequest(name, "front", **wish)  # type: ignore[arg-type]
    netns.create(name)
    await running.daemon.endpoints.add(request, Namespace.named(name))


def test_endpoint_that_is_down_keeps_what_it_publishes_over_a_reload(
    kernel: Kernel, tmp_path: Path
) -> None:
    text = f'{UPLINK}{FRONT}{WEB}publish = ["8080:80"]\n'

    async def go(running: Running) -> None:
        await running.daemon.endpoints.detach("web", "its namespace is gone")
        await running.reload(text)

    async def look(running: Running) -> None:
        (web,) = running.daemon.inventory.endpoints
        assert [str(each) for each in web.publications] == ["0.0.0.0:8080->80/tcp"]

    play(tmp_path, text, go)
    play(tmp_path, text, look)


def test_endpoint_made_at_run_time_in_the_place_of_one_that_went_is_left_alone(
    kernel: Kernel, tmp_path: Path
) -> None:
    async def story(running: Running) -> None:
        await running.daemon.endpoints.detach("web", "removed")
        await attach(running, "web")
        for text in (f"{FRONT}{WEB}aliases = ['www']\n", FRONT):
            assert await running.reload(text) != []
            assert list(running.daemon.endpoints.attached) == ["web"]

    play(tmp_path, FRONT + WEB, story)


def test_endpoint_that_can_not_be_written_down_is_not_there(
    kernel: Kernel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise StoreError("the disk is full")

    async def story(running: Running) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(Shelf, "put", refuse)
            with pytest.raises(ReloadError, match="the disk is full"):
                await running.reload(FRONT + WEB)
        assert running.daemon.inventory.endpoints == ()
        assert not running.daemon.endpoints.attached
        await running.reload(FRONT + WEB)
        assert list(running.daemon.endpoints.attached) == ["web"]

    play(tmp_path, FRONT, story)


def test_switch_that_is_to_leave_nothing_ends_where_the_state_can_not_be_written(
    kernel: Kernel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise StoreError("the disk is full")

    async def story(running: Running) -> None:
        await attach(running, "job")
        running.daemon.removes = True
        monkeypatch.setattr(Shelf, "remove", refuse)

    play(tmp_path, FRONT, story)
    assert kernel.homes == {"job"}


# As far as it goes


def test_step_that_is_refused_is_told_with_what_is_done_and_what_is_left(
    kernel: Kernel, tmp_path: Path
) -> None:
    text = f'{FRONT}[networks.back]\nsubnet = "172.21.0.0/16"\n{WEB}[endpoints.late]\n'

    async def story(running: Running) -> None:
        kernel.refuses.add("web")
        with pytest.raises(ReloadError) as stopped:
            await running.reload(text)
        assert str(stopped.value) == (
            "attach endpoint web: endpoint web: the kernel does not want to; "
            "done: + network front: subnet 172.20.0.0/16, + network back: subnet 172.21.0.0/16; "
            "left: + endpoint web: network front, + endpoint late: network bridge"
        )
        left = ["+ endpoint web: network front", "+ endpoint late: network bridge"]
        assert await running.diff(text) == left
        kernel.refuses.clear()
        assert await running.reload(text) == left
        assert set(running.daemon.endpoints.attached) == {"web", "late"}

    play(tmp_path, "", story)


def test_namespace_of_an_endpoint_that_is_to_come_again_waits_for_the_next_reload(
    kernel: Kernel, tmp_path: Path
) -> None:
    async def story(running: Running) -> None:
        running.daemon.publishing.publish("web", [publish.parse("8080:80")])
        kernel.refuses.add("eth2")
        wan = '[uplinks.wan]\ninterface = "eth2"\naddress = "203.0.113.2/24"\n'
        text = f"{UPLINK}{wan}{FRONT}mtu = 1400\n{WEB}"
        with pytest.raises(ReloadError, match=r"left: .* network front: .* endpoint web"):
            await running.reload(text)
        assert kernel.homes_left == []
        kernel.refuses.clear()
        await running.reload(text)
        assert kernel.homes_left == []
        assert published(running.daemon) == {"8080->80/tcp"}

    play(tmp_path, UPLINK + FRONT + WEB, story)
    assert kernel.homes_left == ["web"]


def test_uplink_that_can_not_be_had_is_left(kernel: Kernel, tmp_path: Path) -> None:
    async def story(running: Running) -> None:
        kernel.refuses.add("eth1")
        with pytest.raises(ReloadError, match="make the uplink: the uplink: eth1: the kernel"):
            await running.reload(UPLINK)
        assert running.daemon.inventory.uplinks == ()
        kernel.refuses.clear()
        assert len(await running.reload(UPLINK)) == 1

    play(tmp_path, "", story)


def test_one_reload_is_done_at_a_time(kernel: Kernel, tmp_path: Path) -> None:
    async def story(running: Running) -> None:
        first = asyncio.create_task(running.reload(FRONT))
        await asyncio.sleep(0)
        with pytest.raises(ReloadError, match="being changed already"):
            await running.reload(FRONT)
        assert len(await first) == 1
        assert running.daemon.reload.progress is None

    play(tmp_path, "", story)


# What belongs to run time


def test_port_that_was_published_by_hand_is_published_again_where_its_endpoint_is_made_anew(
    kernel: Kernel, tmp_path: Path
) -> None:
    before = f'{UPLINK}{FRONT}{WEB}publish = ["80:80", "90:90"]\n'

    async def story(running: Running) -> None:
        daemon = running.daemon
        daemon.publishing.publish("web", [publish.parse("8080:80")])
        daemon.publishing.withdraw("web", "90")
        await running.reload(before.replace("80:80", "81:80"))
        assert published(daemon) == {"81->80/tcp", "8080->80/tcp"}
        await running.reload(f'{UPLINK}{FRONT}{WEB}kind = "veth"\n')
        assert published(daemon) == {"8080->80/tcp"}

    play(tmp_path, before, story)


def published(daemon: Daemon) -> set[str]:
    (web,) = daemon.inventory.endpoints
    return {str(each).removeprefix("0.0.0.0:") for each in web.publications}


def test_endpoint_that_went_by_itself_does_not_come_again_with_its_network(
    kernel: Kernel, tmp_path: Path
) -> None:
    async def story(running: Running) -> None:
        await running.daemon.endpoints.detach("web", "its namespace is gone")
        await running.reload(f"{FRONT}mtu = 1400\n{WEB}")
        assert set(running.daemon.endpoints.attached) == set()

    play(tmp_path, FRONT + WEB, story)


def test_filters_of_run_time_keep_their_place(kernel: Kernel, tmp_path: Path) -> None:
    def rules(*actions: str) -> str:
        return "".join(f"[[filters]]\naction = '{each}'\n" for each in actions)

    async def story(running: Running) -> None:
        daemon = running.daemon
        daemon.filters.add(FilterBody(action="drop", protocol=47, before=2))
        await running.reload(rules("accept", "drop", "log"))
        asked = [str(each.filter) for each in daemon.switch.tables.filters]
        assert asked == ["accept", "drop protocol 47", "drop", "log"]

    play(tmp_path, rules("log", "drop"), story)


# What stays


def test_endpoint_that_is_made_anew_keeps_namespace_address_and_station(
    kernel: Kernel, tmp_path: Path
) -> None:
    async def story(running: Running) -> None:
        before = running.daemon.inventory.endpoint("web")
        await running.reload(f'{FRONT}mtu = 1400\n[endpoints.a]\nnetwork = "front"\n{WEB}')
        after = running.daemon.inventory.endpoint("web")
        assert (after.address, after.mac) == (before.address, before.mac)
        assert kernel.homes_left == []

    play(tmp_path, FRONT + WEB, story)


def test_subnet_that_nobody_chose_stays(kernel: Kernel, tmp_path: Path) -> None:
    async def story(running: Running) -> None:
        assert await running.reload("[networks.back]\n[networks.front]\n") == [
            "+ network back: subnet 172.19.0.0/16"
        ]

    play(tmp_path, "[networks.front]\n", story)


def test_what_was_chosen_is_the_same_after_a_restart(kernel: Kernel, tmp_path: Path) -> None:
    ids: list[str] = []

    async def brought(running: Running) -> None:
        await running.reload(FRONT)
        ids.append(running.daemon.inventory.network("front").id)

    async def begun(running: Running) -> None:
        ids.append(running.daemon.inventory.network("front").id)

    play(tmp_path, "", brought)
    play(tmp_path, FRONT, begun)
    assert ids[0] == ids[1]


def test_host_comes_and_goes_in_place(kernel: Kernel, tmp_path: Path) -> None:
    async def story(running: Running) -> None:
        (line,) = await running.reload(f"{FRONT}host = true\n{WEB}")
        assert line == "~ network front: host false → true (in place)"
        assert kernel.host_is_on == {"front"}
        await running.reload(FRONT + WEB)
        assert kernel.host_is_on == set()

    play(tmp_path, FRONT + WEB, story)


def test_host_is_answered_elsewhere_in_place_or_as_before(kernel: Kernel, tmp_path: Path) -> None:
    def text(listen: str) -> str:
        return f'[dns]\nlisten = "{listen}"\n'

    async def story(running: Running) -> None:
        names = running.daemon.responder.host_names
        assert names.place is not None
        (line,) = await running.reload(text("127.0.0.2:53"))
        assert line == "~ dns: listen 127.0.0.1:53 → 127.0.0.2:53 (in place)"
        assert str(names.place[0]) == "127.0.0.2"
        kernel.refuses.add("127.0.0.3")
        with pytest.raises(
            ReloadError, match=r"cannot listen at 127.0.0.3: .* left: ~ dns: listen"
        ):
            await running.reload(text("127.0.0.3:53"))
        assert str(names.place[0]) == "127.0.0.2"
        await running.reload("")
        assert names.place is None

    play(tmp_path, text("127.0.0.1:53"), story)


def test_gateway_answers_or_not_in_place(kernel: Kernel, tmp_path: Path) -> None:
    quiet = FRONT + "dns = { at_gateway = false }\n" + WEB

    async def story(running: Running) -> None:
        daemon = running.daemon
        number = daemon.networks.number(daemon.inventory.network("front"))
        domain = daemon.switch.tables.networks[number]
        assert domain.answers_queries
        (line,) = await running.reload(quiet)
        assert line == "~ network front: dns.at_gateway true → false (in place)"
        assert not domain.answers_queries
        await running.reload(FRONT + WEB)
        assert domain.answers_queries

    play(tmp_path, FRONT + WEB, story)


def test_own_file_is_read_again_and_the_log_says_what_came_of_it(
    kernel: Kernel, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")

    async def story(running: Running) -> None:
        file = running.daemon.reload.file
        assert file is not None
        await running.daemon.reload.reload_and_log()
        assert "the configuration is read again: nothing to do" in caplog.text
        file.write_text(in_directory("[networks.front]\nmtu = 1\n", tmp_path))
        await running.daemon.reload.reload_and_log()
        assert "the configuration is not changed as a whole: " in caplog.text
        running.daemon.reload.file = None
        await running.daemon.reload.reload_and_log()
        assert "the switch was started without a file" in caplog.text

    play(tmp_path, "", story)
