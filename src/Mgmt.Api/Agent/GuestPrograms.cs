using System.Globalization;
using System.Text;

namespace Mgmt.Api;

/// <summary>Runs a program in a guest to its end, for services that are such a program.</summary>
internal sealed class GuestPrograms(LifecycleServices services)
{
    private const string AgentsUser = "root";
    private const int MaxErrorText = 1024;
    private static readonly TimeSpan s_firstPause = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan s_longestPause = TimeSpan.FromSeconds(1);

    /// <summary>
    /// What it printed. <paramref name="script"/> is a line of sh that sees the words as <c>$@</c>. A caller that gives up leaves it running. ERRORS: QubesException with the end of
    /// its errors when its status is not 0; those of the agent.
    /// </summary>
    internal async Task<ReadOnlyMemory<byte>> RunAsync(VmSession session, string script, IEnumerable<string> words, string user, ReadOnlyMemory<byte> input, CancellationToken cancellation)
    {
        // Both util-linux and busybox hand on what follows the user to the shell.
        string[] line = user == AgentsUser ? ["/bin/sh", "-c", script, "sh", .. words] : ["/bin/su", "-s", "/bin/sh", "-c", script, "--", user, "sh", .. words];
        var agent = session.Vm.Agent;
        var number = agent.Session;
        var started = await agent.RunAsync(AgentCommands.Exec, new(line[0], line[1..], null, input.IsEmpty ? null : input, CaptureOutput: true), cancellation);
        for (var pause = s_firstPause; ; pause = pause * 2 < s_longestPause ? pause * 2 : s_longestPause)
        {
            if (agent.Session != number)
            {
                throw new MgmtException(ErrorCode.MgmtUnavailableError, "The guest's agent was started anew: nobody knows what became of the program");
            }
            var status = await agent.RunAsync(AgentCommands.ExecStatus, new(started.Pid), cancellation);
            if (status.Exited)
            {
                return Output(status);
            }
            await Task.Delay(pause, services.Clock, cancellation);
        }
    }

    private static ReadOnlyMemory<byte> Output(GuestExecStatus status)
    {
        if (status is { Signal: null, Exitcode: 0 or null })
        {
            return status.OutData ?? default;
        }
        var how = status.Signal is { } signal ? $"signal {signal.ToString(CultureInfo.InvariantCulture)}" : $"status {(status.Exitcode ?? 0).ToString(CultureInfo.InvariantCulture)}";
        throw new MgmtException(ErrorCode.QubesException, "The program ended with %s: %s", how, Words(status.ErrData ?? default));
    }

    // The guest chose them: the end of them, and nothing that moves a cursor.
    private static string Words(ReadOnlyMemory<byte> errors)
    {
        var end = errors.Length > MaxErrorText ? errors[^MaxErrorText..] : errors;
        return string.Concat(Encoding.UTF8.GetString(end.Span).Trim().Select(c => char.IsControl(c) || char.IsSurrogate(c) ? ' ' : c));
    }
}
