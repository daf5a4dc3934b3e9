using System.Text;

namespace Mgmt.Api;

/// <summary>docs/calls.md.</summary>
internal static class CallsPage
{
    internal static string Write(CallTable table)
    {
        var text = new StringBuilder("""
            <!-- Generated from the call table by `make generate`; do not edit. -->
            # Calls

            Each call is sent as `mgmt.NAME`; one that begins with `qubes.` as it is named. *Dest* says what the destination may be; *arg* and *payload* whether they have to be there (in
            parentheses: may be absent); *role* which role file of the default policy allows the call; *also admin.* whether the name is
            served with the prefix `admin.` too. What the formats mean in detail: [wire.md](wire.md). Errors: [errors.md](errors.md).

            | call | dest | arg | payload | returns | role | also admin. | what it does |
            |---|---|---|---|---|---|---|---|

            """);
        foreach (var row in table.Rows)
        {
            var target = row.Target switch { CallTarget.Dom0 => "dom0", CallTarget.Vm => "VM", _ => "any" };
            var argument = row.Argument.Name is null ? "-" : row.Argument.IsRequired ? row.Argument.Name : $"({row.Argument.Name})";
            var payload = row.Payload.Shape is null ? "-" : row.Payload.Kind switch
            {
                PayloadKind.Optional => $"({row.Payload.Shape})",
                PayloadKind.Stream => $"{row.Payload.Shape}, streamed",
                _ => row.Payload.Shape,
            };
            var admin = row.Dialects == CallDialects.Both ? "yes" : "no";
            text.Append($"| `{row.Name}` | {target} | {argument} | {payload} | {(row.Content == ContentKind.Frames ? "[frames](wire.md#framed-contents)" : row.Returns)} | {(row.Dialects == CallDialects.Own ? "none" : PolicyGenerator.Role(row))} | {admin} | {row.Summary} |\n");
        }
        return text.ToString();
    }
}
