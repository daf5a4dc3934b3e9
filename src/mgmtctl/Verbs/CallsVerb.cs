using System.CommandLine;
using Mgmt.Cli.Formats;

namespace Mgmt.Cli.Verbs;

/// <summary>calls: what the daemon is busy with.</summary>
internal static class CallsVerb
{
    public const string CallId = "CALL";

    private static readonly string[] Columns = ["id", "method", "source", "target", "age_ms", "via"];

    public static Command Create(CommandLine cli)
    {
        var id = new Argument<string>(CallId) { Description = "The call, as calls lists it" };
        var cancel = cli.Verb("cancel", "Cancel a call that runs", ["mgmtctl calls cancel 17"], [id], async (run, token) =>
        {
            await run.Daemon.CallAsync("mgmt.call.Cancel", run.Get(id)!, Daemon.Host, "", token);
            return ExitCode.Done;
        });
        return cli.Verb("calls", "List the calls that run now and the channels of VMs, or cancel a call", ["mgmtctl calls", "mgmtctl calls channels", "mgmtctl calls cancel 17"], [cancel, CallChannelsVerb.Create(cli)], async (run, token) =>
        {
            var lines = await run.Daemon.LinesAsync("mgmt.call.List", "", Daemon.Host, token);
            run.Output.Table(Columns, [.. lines.Select(KeyValues.OfWords).Select(Row)]);
            return ExitCode.Done;
        });
    }

    /// <summary>SHAPE: <c>ID method=… source=… target=… age_ms=N via=CHANNEL</c>.</summary>
    private static object?[] Row(IReadOnlyList<KeyValuePair<string, string>> words) => [words[0].Key, .. Columns[1..].Select(words.Find)];
}
