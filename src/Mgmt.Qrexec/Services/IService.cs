namespace Mgmt.Qrexec;

/// <summary>What a guest's call can be connected to: a program or a socket of the host, a service in another guest.</summary>
public interface IService
{
    /// <summary>
    /// Runs to its end, with the call's input and output, and gives the exit code; the call was accepted and is ended by whoever calls this. ERRORS: OperationCanceledException when the token
    /// ends, and then nothing of it runs any more; IOException, TimeoutException and QrexecProtocolException when it cannot be carried out.
    /// </summary>
    Task<int> RunAsync(GuestCall call, CancellationToken cancellation);
}
