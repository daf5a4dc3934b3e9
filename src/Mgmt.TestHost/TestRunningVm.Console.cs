using Mgmt.Core;

namespace Mgmt.TestHost;

/// <content>The console.</content>
public sealed partial class TestRunningVm
{
    private TestConsole? _console;

    /// <inheritdoc/>
    public Task<Stream> OpenConsoleAsync(CancellationToken cancellation)
    {
        lock (_gate)
        {
            ThrowIfGone();
            return _console is null
                ? Task.FromResult<Stream>(_console = new TestConsole(Name, LetGo))
                : throw new MgmtException(ErrorCode.MgmtBusyError, "Somebody has the console already");
        }
    }

    private void LetGo()
    {
        lock (_gate)
        {
            _console = null;
        }
    }
}
