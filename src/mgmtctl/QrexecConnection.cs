using System.Diagnostics;
using System.Globalization;
using System.Text;
using Mgmt.Core;
using Mgmt.Wire;

namespace Mgmt.Cli;

/// <summary>
/// A call by a run of qrexec-client-vm: its input is the payload, its output the reply, and its exit code says why there is none. ERRORS: PermissionDenied when it was refused,
/// MgmtUnavailableError for whatever else it ends with.
/// </summary>
internal sealed class QrexecConnection : CallConnection
{
    // Exit codes of qrexec-client-vm. SOURCE: docs/guests.md.
    private const int NoChannels = 1;
    private const int NoHost = 125;
    private const int Refused = 126;
    private const int Lost = 255;

    private const int ComplaintChars = 1024;
    private static readonly TimeSpan s_complaintGrace = TimeSpan.FromSeconds(1);
    private readonly Process _process;
    private readonly string _method;
    private readonly string _target;
    private readonly Stream _input;
    private readonly Stream _output;
    private readonly CancellationTokenSource _over = new();
    private readonly Task _listening;
    private volatile string _complaint = "it does not say why";

    public QrexecConnection(Process process, string method, string target)
    {
        (_process, _method, _target) = (process, method, target);
        (_input, _output) = (process.StandardInput.BaseStream, process.StandardOutput.BaseStream);
        _listening = ListenAsync(process.StandardError.BaseStream, _over.Token);
    }

    public override async ValueTask<int> SendAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        await _input.WriteAsync(bytes, cancellationToken);
        return bytes.Length;
    }

    public override async ValueTask<int> ReceiveAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        var received = await _output.ReadAsync(buffer, cancellationToken);
        if (received == 0)
        {
            await JudgeAsync(cancellationToken);
        }
        return received;
    }

    public override void EndInput()
    {
        try
        {
            _input.Dispose();
        }
        catch (IOException)
        {
            // It has ended.
        }
    }

    /// <summary>First it ends and then its input, so that what was broken off does not look as if it were whole.</summary>
    protected override void Dispose(bool disposing)
    {
        _process.Kill();
        _over.Cancel();
        EndInput();
        _output.Dispose();
        _process.Dispose();
        _over.Dispose();
    }

    private async Task JudgeAsync(CancellationToken cancellationToken)
    {
        await _process.WaitForExitAsync(cancellationToken);
        if (_process.ExitCode == 0)
        {
            return;
        }
        await Task.WhenAny(_listening, Task.Delay(s_complaintGrace, cancellationToken));
        throw _process.ExitCode switch
        {
            Refused => new MgmtException(ErrorCode.PermissionDenied, "Denied by policy: %s to %s (the host's audit log says why)", _method, _target),
            Lost => new MgmtException(ErrorCode.MgmtUnavailableError, "The connection to the host was lost during %s; what it did, if anything, the host knows", _method),
            NoHost => new MgmtException(ErrorCode.MgmtUnavailableError, "The host was not reached: %s", _complaint),
            NoChannels => new MgmtException(ErrorCode.MgmtUnavailableError, "This guest has no channels to its host, or you may not use them: %s", _complaint),
            var code => new MgmtException(ErrorCode.MgmtUnavailableError, "qrexec-client-vm ended with exit code %s: %s", code.ToString(CultureInfo.InvariantCulture), _complaint),
        };
    }

    /// <summary>Keeps the last line of what it says. Never throws.</summary>
    private async Task ListenAsync(Stream errors, CancellationToken cancellationToken)
    {
        var said = "";
        var block = new byte[ComplaintChars];
        try
        {
            await using (errors)
            {
                for (int n; (n = await errors.ReadAsync(block, cancellationToken)) > 0;)
                {
                    said += Encoding.UTF8.GetString(block, 0, n);
                    said = said[Math.Max(0, said.Length - ComplaintChars)..];
                    _complaint = said.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).LastOrDefault(_complaint);
                }
            }
        }
        catch (Exception error) when (error is IOException or OperationCanceledException)
        {
            // The call was given up.
        }
    }
}
