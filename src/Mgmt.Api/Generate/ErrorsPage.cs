using System.Text;

namespace Mgmt.Api;

/// <summary>docs/errors.md.</summary>
internal static class ErrorsPage
{
    internal static string Write()
    {
        var text = new StringBuilder("""
            <!-- Generated from the error codes by `make generate`; do not edit. -->
            # Errors

            The TYPE of an EXCEPTION reply. Names that begin with `Qubes` are those of Qubes OS, so that its clients know them. The message is a
            template with `%s` and the fields that fill it; any other `%` is doubled. Codes are only ever added.

            | code | TYPE | meaning |
            |---|---|---|

            """);
        foreach (var error in ErrorCatalog.All)
        {
            text.Append($"| {(int)error.Code} | `{error.Code}` | {error.Meaning} |\n");
        }
        return text.ToString();
    }
}
