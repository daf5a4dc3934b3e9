using System.Runtime.CompilerServices;
using Mgmt.Api;
using Mgmt.Core;
using Mgmt.Qrexec;
using Microsoft.Extensions.Logging;

namespace Mgmt.Daemon;

/// <summary>Agents of Qubes OS on vchan sockets, one link per VM that runs. Whoever asks for one of a VM that has just begun to run waits for it.</summary>
internal sealed class AgentLinks : IDisposable
{
    private readonly VchanDirectory _directory;
    private readonly TimeProvider _clock;
    private readonly ILogger _log;
    // For as long as somebody knows the session.
    private readonly ConditionalWeakTable<VmSession, TaskCompletionSource<AgentLink>> _links = new();

    private AgentLinks(string directory, TimeProvider clock, ILogger log) => (_directory, _clock, _log) = (new VchanDirectory(directory, clock), clock, log);

    /// <summary>Those of the directory that is set; null when there is to be none. ERRORS: MgmtUnavailableError with a sentence.</summary>
    internal static AgentLinks? Open(DaemonSettings settings, TimeProvider clock, ILoggerFactory logs)
    {
        try
        {
            return settings.VchanDirectory is { } path ? new AgentLinks(path, clock, logs.CreateLogger<AgentLink>()) : null;
        }
        catch (ArgumentException error)
        {
            throw new MgmtException(error, ErrorCode.MgmtUnavailableError, "vchan-dir: %s", error.Message);
        }
    }

    /// <summary>The link of a VM that runs from now on; whoever takes it runs it.</summary>
    internal AgentLink Add(VmSession session, uint domain, IGuestCallHandler calls, IKeptControl kept)
    {
        var link = new AgentLink(domain, $"{session.Name.Value} vchan", _directory, calls, new AgentLimits(), _clock, _log, kept);
        Signal(session).SetResult(link);
        return link;
    }

    /// <summary>Waits until the VM has an agent that has said HELLO.</summary>
    internal async Task<AgentLink> GreetedAsync(VmSession session, CancellationToken cancellation)
    {
        var link = await Signal(session).Task.WaitAsync(cancellation);
        await link.GreetedAsync(cancellation);
        return link;
    }

    public void Dispose() => _directory.Dispose();

    private TaskCompletionSource<AgentLink> Signal(VmSession session) => _links.GetValue(session, _ => new(TaskCreationOptions.RunContinuationsAsynchronously));
}
