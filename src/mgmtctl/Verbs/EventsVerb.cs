using System.CommandLine;
using Mgmt.Core;
using Mgmt.Wire;

namespace Mgmt.Cli.Verbs;

/// <summary>events</summary>
internal static class EventsVerb
{
    private static readonly Option<bool> Follow = new("--follow") { Description = "Go on when the daemon is restarted, without losing events" };
    private static readonly Option<string?> Since = new("--since") { Description = "Begin after the event with this cursor (see --json)", HelpName = "CURSOR" };
    private static readonly Option<string[]> Subjects = new("--subject") { Description = "Only events of this VM; '' for events of the host; may repeat", HelpName = "VM" };
    private static readonly Option<string[]> Patterns = new("--event") { Description = "Only events of this name, * is any text; may repeat", HelpName = "PATTERN" };

    public static Command Create(CommandLine cli)
    {
        string[] examples = ["mgmtctl events --follow", "mgmtctl events --subject work --event 'domain-*'", "mgmtctl events --follow --json --since 0123456789abcdef.42"];
        return cli.Verb("events", "Show events as they happen, until the daemon closes the stream: SUBJECT, EVENT, KEY=VALUE…", examples,
            [Follow, Since, Subjects, Patterns], ShowAsync);
    }

    private static async Task<int> ShowAsync(Run run, CancellationToken cancellationToken)
    {
        var filter = Filter(run);
        var events = run.Get(Follow)
            ? new EventFollower(run.Daemon, run.Time).FollowAsync(Daemon.Host, filter, cancellationToken)
            : run.Daemon.EventsAsync(Daemon.Host, filter, cancellationToken);
        var exitCode = ExitCode.Done;
        await foreach (var next in events)
        {
            if (next.Name is "connection-established" or "bookmark")
            {
                continue;
            }
            Write(run, next);
            await run.Output.FlushAsync(cancellationToken);
            exitCode = Judge(run, next) ?? exitCode;
        }
        return exitCode;
    }

    private static EventFilter Filter(Run run)
    {
        var since = run.Get(Since);
        var filter = new EventFilter
        {
            Since = since is null or "now" ? null : EventCursor.TryParse(since) ?? throw new UsageException("--since takes a cursor such as 0123456789abcdef.42"),
            SinceNow = since is null or "now",
            Subjects = [.. run.Get(Subjects) ?? []],
            Patterns = [.. run.Get(Patterns) ?? []],
        };
        try
        {
            EventFilter.Parse(filter.ToBytes());
            return filter;
        }
        catch (MgmtException)
        {
            throw new UsageException("--subject takes the name of a VM, --event a pattern without spaces");
        }
    }

    /// <summary>Says on standard error what no reader of events must miss; gives the exit code when it ends the stream.</summary>
    private static int? Judge(Run run, MgmtEvent next)
    {
        switch (next.Name)
        {
            case "gone":
                run.Tell($"events were lost: the journal begins at {next["oldest"]}");
                return null;
            case "stream-closed":
                run.Tell($"the daemon closed the stream: {next["reason"]}");
                return next["reason"] switch
                {
                    "denied" => ExitCode.Denied,
                    "shutdown" => ExitCode.Done,
                    _ => ExitCode.Refused,
                };
            default:
                return null;
        }
    }

    private static void Write(Run run, MgmtEvent next)
    {
        if (!run.Output.Json)
        {
            run.Output.Cells([next.Subject, next.Name, .. next.Pairs.Where(pair => pair.Key != "cursor").Select(pair => $"{pair.Key}={pair.Value}")]);
            return;
        }
        run.Output.JsonLine(writer =>
        {
            writer.WriteStartObject();
            writer.WriteString("subject", next.Subject);
            writer.WriteString("event", next.Name);
            writer.WriteStartObject("values");
            foreach (var pair in next.Pairs.Where(pair => pair.Key != "cursor"))
            {
                writer.WriteString(pair.Key, pair.Value);
            }
            writer.WriteEndObject();
            writer.WriteString("cursor", next["cursor"]);
            writer.WriteEndObject();
        });
    }
}
