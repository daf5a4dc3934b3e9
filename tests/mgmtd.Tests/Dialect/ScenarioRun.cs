using System.Diagnostics;
using System.Net.Sockets;
using System.Text.RegularExpressions;
using Mgmt.Testing;

namespace Mgmt.Daemon.Tests;

/// <summary>Plays a client by the file.</summary>
internal static class ScenarioRun
{
    private const string Until = "until:";

    /// <summary>Events that only this daemon has, and that come when a guest or the host is ready.</summary>
    private static readonly Regex Ours = new("1␀[^␀]*␀(?:agent-state|fault-set|fault-cleared|machine-new|machine-removed)␀(?:[^␀]+␀[^␀]*␀)*␀", RegexOptions.CultureInvariant, TimeSpan.FromSeconds(5));

    /// <summary>Disks of the host come and go with whatever else happens on it.</summary>
    private static readonly Regex OfTheHost = new("1␀dom0␀device-(?:added|removed|list-change):block␀(?:[^␀]+␀[^␀]*␀)*␀", RegexOptions.CultureInvariant, TimeSpan.FromSeconds(5));

    internal static async Task PlayAsync(DaemonProcess daemon, Scenario scenario, IReadOnlyDictionary<string, string> names)
    {
        var values = new Dictionary<string, string>(names, StringComparer.Ordinal);
        using var stream = scenario.Watch is { } watch ? await WatchAsync(daemon, watch) : null;
        foreach (var (request, reply) in scenario.Steps)
        {
            var sent = Scenario.Fill(request, values);
            var expected = Scenario.Fill(reply, values);
            var (came, match) = await AskAsync(daemon, sent, expected);
            Assert.That(match.Success, Is.True, () => $"{scenario.Source}\nsent      {sent}\nexpected  {expected}\ncame      {came}");
            foreach (var group in match.Groups.Cast<Group>().Where(group => !char.IsAsciiDigit(group.Name[0])))
            {
                values[group.Name] = group.Value;
            }
        }
        if (stream is not null)
        {
            await ExpectAsync(stream, scenario, values);
        }
    }

    /// <summary>Once; a request that begins with <c>until:</c> again and again, until the reply is the expected one or it is late.</summary>
    private static async Task<(string Came, Match Match)> AskAsync(DaemonProcess daemon, string request, string expected)
    {
        var isPatient = request.StartsWith(Until, StringComparison.Ordinal);
        var bytes = Scenario.Bytes(isPatient ? request[Until.Length..] : request);
        for (var limit = Stopwatch.StartNew(); ; await Task.Delay(20))
        {
            var came = Scenario.Text(await daemon.SendRawAsync(bytes));
            var match = Scenario.Match(expected, came);
            if (match.Success || !isPatient || limit.Elapsed > QemuDaemon.BootDeadline)
            {
                return (came, match);
            }
        }
    }

    private static async Task<Socket> WatchAsync(DaemonProcess daemon, string destination)
    {
        using var limit = new CancellationTokenSource(DaemonProcess.Deadline);
        var socket = await daemon.ConnectAsync();
        await socket.SendAsync(Scenario.Bytes($"admin.Events+ dom0 name {destination}␀"), SocketFlags.None, limit.Token);
        socket.Shutdown(SocketShutdown.Send);
        // The first frame, to the byte: from here on nothing is missed.
        var first = Scenario.Bytes("1␀␀connection-established␀␀");
        var came = new byte[first.Length];
        for (var read = 0; read < came.Length;)
        {
            read += await socket.ReceiveAsync(came.AsMemory(read), SocketFlags.None, limit.Token) is var count and > 0 ? count : throw new IOException("the stream ended at its beginning");
        }
        Assert.That(came, Is.EqualTo(first));
        return socket;
    }

    private static async Task ExpectAsync(Socket stream, Scenario scenario, Dictionary<string, string> values)
    {
        var pattern = new Regex("^" + string.Concat(scenario.Events.Select(e => Scenario.Pattern(Scenario.Fill(e, values)))) + "$", RegexOptions.Singleline | RegexOptions.CultureInvariant, TimeSpan.FromSeconds(5));
        using var limit = new CancellationTokenSource(DaemonProcess.Deadline);
        var buffer = new byte[64 * 1024];
        var came = "";
        while (!pattern.IsMatch(OfTheHost.Replace(Ours.Replace(came, ""), "")))
        {
            try
            {
                var read = await stream.ReceiveAsync(buffer, SocketFlags.None, limit.Token);
                Assert.That(read, Is.Positive, () => $"{scenario.Source}: the stream ended; it had\n{Show(came)}");
                came += Scenario.Text(buffer[..read]);
            }
            catch (OperationCanceledException)
            {
                Assert.Fail($"{scenario.Source}\nexpected\n{string.Join('\n', scenario.Events)}\ncame\n{Show(came)}");
            }
        }
    }

    private static string Show(string frames) => frames.Replace("␀␀1␀", "␀␀\n1␀", StringComparison.Ordinal);
}
