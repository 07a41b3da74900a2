"""Users with machines of their own: the multitenant scheduler over real daemons, of which three supervisors
stand for three machines (C 6.5).
"""

import pytest

import peers
import secured
from cluster import Cluster, eventually, free_ports
from contract import rules

# Names of this machine: one for each supervisor.
HOSTS = ["localhost", "127.0.0.1", "127.0.0.2"]
POOLS = {"ann": 1, "bob": 1}


@pytest.fixture
def daemons(tmp_path):
    """Nimbus, by user pools, and a supervisor of two slots on each host; all ask for logins."""
    nimbus_port, coordination_port = free_ports(2)
    shared = {
        **secured.digest(tmp_path),
        "nimbus.seeds": ["127.0.0.1"],
        "nimbus.thrift.port": nimbus_port,
        "stormwire.coordination.port": coordination_port,
        "nimbus.monitor.freq.secs": 1,
        "storm.scheduler": "org.apache.storm.scheduler.multitenant.MultitenantScheduler",
        "multitenant.scheduler.user.pools": POOLS,
    }
    nimbus = Cluster(tmp_path / "nimbus", settings=shared, command="nimbus")
    supervisors = [
        Cluster(
            tmp_path / host,
            slots=2,
            settings={**shared, "storm.local.hostname": host},
            command="supervisor",
        )
        for host in HOSTS
    ]
    try:
        for each in [nimbus, *supervisors]:
            each.start()
        yield nimbus, dict(zip(HOSTS, supervisors))
    finally:
        for each in [nimbus, *supervisors]:
            each.kill_all()


def test_users_have_their_machines_for_themselves(daemons):
    """C 6.5: isolated topologies of two users and one of nobody's pool: three machines, and no worker
    of one on a machine of another; beyond a user's pool a topology waits and says why.
    """
    nimbus, supervisors = daemons
    types = peers.Apache().types
    address = nimbus.nimbus

    def submit(user, name, **conf):
        with secured.login(address, user) as client:
            return rules.submit(client, types, name=name, conf={"topology.workers": 2, **conf}).id

    with secured.login(address, "root") as root:
        eventually("three supervisors", lambda: len(root.getClusterInfo().supervisors) == 3)
        isolated = {"topology.isolate.machines": 1}
        anns = submit("ann", "anns", **isolated)
        bobs = submit("bob", "bobs", **isolated)
        others = submit("rae", "others")

        def hosts(id):
            return {each.host for each in root.getTopologyInfo(id).executors}

        def apart():
            placed = [hosts(id) for id in (anns, bobs, others)]
            assert all(len(each) == 1 for each in placed), placed
            assert len(set.union(*placed)) == 3, placed
            return placed

        placed = eventually("each has a machine", apart)
        for id, (host,) in zip((anns, bobs, others), placed):
            eventually(f"its workers run on {host}", lambda: len(supervisors[host].workers(id)) == 2)
            elsewhere = [other for other in HOSTS if other != host]
            assert not any(supervisors[other].workers(id) for other in elsewhere)

        more = submit("ann", "more", **isolated)
        told = eventually("it says why it waits", lambda: waits(root, more))
        assert not hosts(more) and "Max" in told, told
        assert apart() == placed, "nobody moved for it"
        with secured.login(address, "ann") as client:
            rules.kill(client, types, "anns")
        eventually("ann's machine is free for it", lambda: len(hosts(more)) == 1)
        assert hosts(more).isdisjoint(hosts(bobs) | hosts(others))


def waits(nimbus, id):
    summary = nimbus.getTopologySummary(id)
    return summary.sched_status if not summary.num_workers else None
