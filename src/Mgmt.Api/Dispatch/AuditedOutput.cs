namespace Mgmt.Api;

/// <summary>An output that has the call's opening written down before its first byte goes out.</summary>
internal sealed class AuditedOutput(IByteSink output, Action opening) : IByteSink
{
    private bool _isOpen;

    /// <inheritdoc/>
    public ValueTask SendAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellation)
    {
        if (!_isOpen)
        {
            _isOpen = true;
            opening();
        }
        return output.SendAsync(bytes, cancellation);
    }
}
