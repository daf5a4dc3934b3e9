#!/usr/bin/python3
"""Lists the VMs, and starts those that are named: qubes-list-and-start.py [VM...]

Uses the library of Qubes OS as it is (package qubes-core-admin-client); docs/qubes-compat.md says how it finds mgmtd.
"""
import sys

import qubesadmin
import qubesadmin.exc

app = qubesadmin.Qubes()
for vm in sorted(app.domains, key=lambda vm: vm.name):
    print(f"{vm.name:31} {vm.klass:13} {vm.get_power_state()}")
for name in sys.argv[1:]:
    try:
        app.domains[name].start()
        print(f"{name}: {app.domains[name].get_power_state()}")
    except (KeyError, qubesadmin.exc.QubesException) as error:
        sys.exit(f"{name}: {error}")
