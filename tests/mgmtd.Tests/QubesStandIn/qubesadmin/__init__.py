"""A stand-in for the library of Qubes OS, for the tests of this project only.

It is not qubesadmin, and shares no code with it: as much of the same names as docs/qubes-list-and-start.py uses, over the
same bytes on the socket, which $QUBESADMIN_STAND_IN_SOCKET names instead of /var/run/qubesd.sock.
"""
import os
import socket

from . import exc


class Qubes:
    """The host."""

    def __init__(self):
        self.domains = Domains(self)

    def qubesd_call(self, dest, method, arg="", payload=b""):
        """One call: the header, which always has a plus sign, the payload, the end of it; then the reply to its end."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stream:
            stream.connect(os.environ["QUBESADMIN_STAND_IN_SOCKET"])
            stream.sendall(f"{method}+{arg} dom0 name {dest}\0".encode("ascii") + payload)
            stream.shutdown(socket.SHUT_WR)
            with stream.makefile("rb") as reply:
                return content(reply.read())


def content(reply):
    """What a reply holds. An empty one is a denial; an exception is raised as the class of its name."""
    if reply == b"":
        raise exc.QubesDaemonAccessError("Got empty response from qubesd")
    if reply[:2] == b"0\0":
        return reply[2:]
    if reply[:2] != b"2\0":
        raise exc.QubesDaemonCommunicationError("Invalid response format")
    _, name, _, template, fields = reply.split(b"\0", 4)
    kind = getattr(exc, name.decode("ascii"), exc.QubesException)
    raise kind(template.decode("utf-8"), *(field.decode("utf-8") for field in fields.split(b"\0")[:-1]))


class Domains:
    """The VMs by name; looked up once."""

    def __init__(self, app):
        self.app = app
        self._vms = None

    def _all(self):
        if self._vms is None:
            text = self.app.qubesd_call("dom0", "admin.vm.List").decode("ascii")
            assert text.endswith("\n")
            self._vms = {}
            for line in text.splitlines():
                name, facts = line.split(" ", 1)
                self._vms[name] = Domain(self.app, name, dict(fact.split("=", 1) for fact in facts.split(" "))["class"])
        return self._vms

    def __iter__(self):
        return iter(self._all().values())

    def __getitem__(self, name):
        return self._all()[name]


class Domain:
    """A VM."""

    def __init__(self, app, name, klass):
        self.app = app
        self.name = name
        self.klass = klass

    def get_power_state(self):
        """One word; NA when it cannot be told."""
        try:
            facts = self.app.qubesd_call(self.name, "admin.vm.CurrentState").decode("ascii").split(" ")
        except exc.QubesDaemonAccessError:
            return "NA"
        return dict(fact.split("=", 1) for fact in facts)["power_state"]

    def start(self):
        """Nothing happens to one that runs."""
        self.app.qubesd_call(self.name, "admin.vm.Start")
