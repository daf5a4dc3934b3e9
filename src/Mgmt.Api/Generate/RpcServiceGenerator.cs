using System.Text;

namespace Mgmt.Api;

/// <summary>
/// The directory rpc-services, for a host with qrexec: one entry per call and name, each to become a link to the socket, or a program where clients run
/// the service by its path; the rpc-config of them all; and the policy that lets qrexec hand the calls on.
/// </summary>
internal static class RpcServiceGenerator
{
    private const string Header = "# Generated from the call table by `make generate`; do not edit.\n";

    /// <summary>Clients of Qubes OS run these by their path, with the data on standard input; a link to a socket cannot be run.</summary>
    private static readonly string[] Programs = ["vm.volume.Import", "vm.volume.ImportWithSize", "vm.Console"];

    internal static void AddTo(IDictionary<string, string> files, CallTable table)
    {
        files["rpc-services/README.md"] = """
            <!-- Generated from the call table by `make generate`; do not edit. -->
            # rpc-services

            One file per call, named as the service. `make install` makes of each what a host with qrexec needs in /etc/qubes-rpc:

            * `socket=PATH`: a link to that socket. qrexec sends the header and the payload as `mgmtd` reads them.
            * `program=mgmtd-rpc`: a program, for services that clients of Qubes OS run by their path with data on standard input.

            `rpc-config` becomes /etc/qubes/rpc-config/NAME of each. `qrexec.policy` becomes /etc/qubes/policy.d/90-mgmt.policy: it has qrexec hand every call on
            to `mgmtd`, whose own policy (docs/policy.md) decides. On a host where Qubes' own services stand nothing is installed.

            """;
        files["rpc-services/rpc-config"] = Header + "# A service that has answered is over; a caller that has sent everything is not: it waits for the answer.\n"
            + "skip-service-descriptor=false\nexit-on-service-eof=true\nexit-on-client-eof=false\n";
        var policy = new StringBuilder(Header).Append("# qrexec hands the calls on; who may make them is decided by the policy of mgmtd, below /etc/mgmt/policy.d.\n");
        foreach (var row in table.Rows.Where(row => row.Dialects != CallDialects.Own && !row.Name.StartsWith("internal.", StringComparison.Ordinal)))
        {
            foreach (var prefix in row.Dialects == CallDialects.Both ? new[] { "mgmt.", "admin." } : ["mgmt."])
            {
                Add(files, policy, row, prefix);
            }
        }
        files["rpc-services/qrexec.policy"] = policy.ToString();
    }

    private static void Add(IDictionary<string, string> files, StringBuilder policy, CallRow row, string prefix)
    {
        var isProgram = prefix == "admin." && Programs.Contains(row.Name);
        files[$"rpc-services/{prefix}{row.Name}"] = $"""
            # Generated from the call table by `make generate`; do not edit.
            # {row.Summary}
            {(isProgram ? "program=mgmtd-rpc" : "socket=/run/mgmtd/mgmtd.sock")}

            """;
        policy.Append(prefix).Append(row.Name).Append(" * @anyvm @adminvm allow target=dom0\n");
        if (row.Target != CallTarget.Dom0)
        {
            policy.Append(prefix).Append(row.Name).Append(" * @anyvm @anyvm allow target=dom0\n");
        }
    }
}
