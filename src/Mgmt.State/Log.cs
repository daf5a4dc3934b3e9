using Microsoft.Extensions.Logging;

namespace Mgmt.State;

/// <summary>Every message of the state store. Event ids 2000 to 2099.</summary>
internal static partial class Log
{
    [LoggerMessage(2000, LogLevel.Information, "Opened the state in {Directory}: {Vms} VMs, journal up to {Newest}")]
    internal static partial void Opened(ILogger logger, string directory, int vms, string newest);

    [LoggerMessage(2001, LogLevel.Information, "Made a new state store in {Directory}")]
    internal static partial void Created(ILogger logger, string directory);

    [LoggerMessage(2002, LogLevel.Information, "Brought the state database to schema {Version}")]
    internal static partial void Migrated(ILogger logger, long version);

    [LoggerMessage(2003, LogLevel.Warning, "The state database is a copy of another one: event cursors given out before are void, the new epoch is {Epoch}")]
    internal static partial void EpochRenewed(ILogger logger, string epoch);

    [LoggerMessage(2004, LogLevel.Critical, "The state store failed and takes no more changes: {Reason}")]
    internal static partial void Died(ILogger logger, Exception error, string reason);

    [LoggerMessage(2005, LogLevel.Error, "A group of {Changes} changes was not written")]
    internal static partial void GroupFailed(ILogger logger, Exception error, int changes);

    [LoggerMessage(2006, LogLevel.Error, "A receiver of committed events failed")]
    internal static partial void ReceiverFailed(ILogger logger, Exception error);

    [LoggerMessage(2007, LogLevel.Warning, "Old events could not be removed from the journal")]
    internal static partial void PruneFailed(ILogger logger, Exception error);

    [LoggerMessage(2008, LogLevel.Debug, "Removed events before {Oldest} from the journal")]
    internal static partial void Pruned(ILogger logger, ulong oldest);
}
