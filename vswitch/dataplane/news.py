"""What a switch has to tell whoever runs it: what no frame can be sent about.

Theory of operation. What happens while frames flow may concern the world around the switch: an
address that a client has learnt is to be known to others, a lease to be written to a log, a query
to be put to a server. The dataplane does none of this. It leaves its news where they came up, and
goes on; whoever runs the switch looks behind each round whether there `is_any`, and takes them,
each once. No frame waits for that.

Not everything is taken here: queries (`Queries.take`), who is to listen for those by TCP
(`Listening.is_wanted`) and what filters have to say (`FilterChain.take_logged`) have a place of
their own, as they are more than news.
"""

from __future__ import annotations

from collections import deque

from vswitch.dataplane.changes import Changes
from vswitch.dataplane.dhcp.client.outcome import News
from vswitch.dataplane.dhcp.server.news import LeaseNews
from vswitch.dataplane.publications import Publication
from vswitch.dataplane.tables import Tables


class SwitchNews:
    """Those of one switch."""

    def __init__(self, tables: Tables, changes: Changes) -> None:
        self._tables = tables
        self._changes = changes

    @property
    def is_any(self) -> bool:
        """Whether something waits to be taken note of: what DHCP clients have learnt, what has come
        of DHCP servers, what filters have to say, what is published no longer, or is used up,
        queries that servers are to be asked, and whether somebody is to listen for those by TCP."""
        tables = self._tables
        leased = tables.learnt or tables.dhcp_servers.news
        published = self._changes.ended_publications or tables.publications.served
        asked = tables.queries.has_fresh or tables.listening.is_wanted
        return bool(leased or published or asked or tables.filters.has_logged)

    def take_learnt(self) -> list[tuple[int, News]]:
        """What the DHCP clients have learnt since the last call, by number of the network."""
        learnt, self._tables.learnt = list(self._tables.learnt), deque()
        return learnt

    def take_leased(self) -> list[tuple[int, LeaseNews]]:
        """What has come of the DHCP servers since the last call beside what is kept of grants, by
        number of the network."""
        servers = self._tables.dhcp_servers
        leased, servers.news = list(servers.news), deque()
        return leased

    def take_ended_publications(self) -> list[Publication]:
        """What has come to its end by itself since the last call: it is published no longer."""
        ended, self._changes.ended_publications = self._changes.ended_publications, []
        return ended

    def take_served_publications(self) -> list[Publication]:
        """What was for one connection that has come since the last call."""
        publications = self._tables.publications
        served, publications.served = publications.served, []
        return served
