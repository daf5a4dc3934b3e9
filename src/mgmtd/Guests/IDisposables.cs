using Mgmt.Core;

namespace Mgmt.Daemon;

/// <summary>Disposable VMs for one call.</summary>
internal interface IDisposables
{
    /// <summary>Makes one of a template. ERRORS: MgmtException.</summary>
    Task<VmName> CreateAsync(VmName template, CancellationToken cancellation);

    /// <summary>Ends and removes it. ERRORS: MgmtException.</summary>
    Task RemoveAsync(VmName name);
}

/// <summary>There are none yet.</summary>
internal sealed class NoDisposables : IDisposables
{
    public Task<VmName> CreateAsync(VmName template, CancellationToken cancellation) =>
        throw new MgmtException(ErrorCode.MgmtUnavailableError, "This daemon does not make disposables for calls yet (of %s)", template.Value);

    public Task RemoveAsync(VmName name) => throw new InvalidOperationException("it made none");
}
