using Mgmt.Core;

namespace Mgmt.Qemu;

/// <summary>Waiting for the end of a process that no watcher has, by looking every few milliseconds.</summary>
internal static class ProcessEnd
{
    private static readonly TimeSpan Step = TimeSpan.FromMilliseconds(5);

    /// <summary>Returns when it is gone. ERRORS: MgmtTimeoutError.</summary>
    public static async Task WaitAsync(PidFd process, TimeSpan deadline, TimeProvider time)
    {
        var began = time.GetTimestamp();
        while (!process.HasExited())
        {
            if (time.GetElapsedTime(began) > deadline)
            {
                throw new MgmtException(ErrorCode.MgmtTimeoutError, "the VM's process was killed and is not gone yet");
            }
            await Task.Delay(Step, time);
        }
    }
}
