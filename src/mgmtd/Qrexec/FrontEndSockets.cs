using Mgmt.Api;
using Microsoft.Extensions.Logging;

namespace Mgmt.Daemon;

/// <summary>Those of qrexec's policy sockets that the configuration names.</summary>
internal sealed class FrontEndSockets : IDisposable
{
    private readonly List<FrontEndSocket> _sockets = [];

    /// <summary>ERRORS: MgmtException with a sentence when one cannot be made.</summary>
    internal FrontEndSockets(DaemonSettings settings, FrontEndPolicy policy, HangupSweeper sweeper, ILogger<FrontEndSocket> log)
    {
        var peers = new PeerIdentity(settings);
        foreach (var (name, path, service) in new (string, string?, IFrontEndService)[]
        {
            ("policy", settings.Qrexec.Policy, new PolicyService(policy)),
            ("policy.EvalSimple", settings.Qrexec.EvalSimple, new EvalService("policy.EvalSimple", needsGui: false, policy)),
            ("policy.EvalGUI", settings.Qrexec.EvalGui, new EvalService("policy.EvalGUI", needsGui: true, policy)),
        })
        {
            if (path is not null)
            {
                _sockets.Add(new(name, ServerSocket.Open(settings, path), service, peers, sweeper, settings.RequestDeadline, log));
                Log.ServingQrexec(log, name, path);
            }
        }
    }

    internal Task RunAsync(CancellationToken stopping) => Task.WhenAll(_sockets.Select(socket => socket.RunAsync(stopping)));

    public void Dispose() => _sockets.ForEach(socket => socket.Dispose());
}
