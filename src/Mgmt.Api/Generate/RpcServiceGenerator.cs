namespace Mgmt.Api;

/// <summary>The directory rpc-services: one entry per call for a host with qrexec, each to become a link to the socket.</summary>
internal static class RpcServiceGenerator
{
    internal static void AddTo(IDictionary<string, string> files, CallTable table)
    {
        files["rpc-services/README.md"] = """
            <!-- Generated from the call table by `make generate`; do not edit. -->
            # rpc-services

            One file per call, named as the service. A host with qrexec reaches `mgmtd` when /etc/qubes-rpc/NAME is a link to
            the socket that the file names: qrexec then sends the header and the payload as `mgmtd` reads them. `make install` makes the links.

            """;
        foreach (var row in table.Rows.Where(row => row.Dialects != CallDialects.Own))
        {
            files[$"rpc-services/mgmt.{row.Name}"] = $"""
                # Generated from the call table by `make generate`; do not edit.
                # {row.Summary}
                socket=/run/mgmtd/mgmtd.sock

                """;
        }
    }
}
