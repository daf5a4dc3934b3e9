using Mgmt.Core;
using Mgmt.Machined.Bus;

namespace Mgmt.Machined;

/// <summary>Starts containers as units of systemd. SOURCE: org.freedesktop.systemd1(5), StartUnit; systemd-nspawn(1).</summary>
internal sealed class ContainerUnits(MachinedOptions options, MachinedClient client, JobWatch jobs, TimeProvider time)
{
    private static readonly TimeSpan s_settle = TimeSpan.FromMilliseconds(100);

    /// <summary>Starts the container of an image and waits until systemd says that it runs. One that runs already is left as it is.</summary>
    public async Task StartAsync(HostMachineName image, CancellationToken cancellation)
    {
        await client.AskAsync(ImageCalls.Get(image.Value), reader => reader.ObjectPath(), image.Value, cancellation);
        var until = time.GetTimestamp();
        while (true)
        {
            await StartUnitAsync(image, cancellation);
            if (await IsThereAsync(image, cancellation))
            {
                return;
            }
            // The unit of a container that has just ended is active a little longer than its machine, and starting what is active does nothing.
            if (time.GetElapsedTime(until) > options.ContainerStartDeadline)
            {
                throw new MgmtException(ErrorCode.QubesException, "%s runs and has registered no machine %s", MachineName.Container(image), image.Value);
            }
            await Task.Delay(s_settle, time, cancellation);
        }
    }

    private async Task<bool> IsThereAsync(HostMachineName image, CancellationToken cancellation)
    {
        try
        {
            await client.GetMachineAsync(image.Value, cancellation);
            return true;
        }
        catch (MgmtException error) when (error.Code == ErrorCode.QubesException)
        {
            return false;
        }
    }

    private async Task StartUnitAsync(HostMachineName image, CancellationToken cancellation)
    {
        var unit = MachineName.Container(image);
        var job = await client.AskAsync(Start(unit), jobs.Expect, image.Value, cancellation);
        string result;
        try
        {
            result = await job.Result.WaitAsync(options.ContainerStartDeadline, time, cancellation);
        }
        catch (TimeoutException)
        {
            throw new MgmtException(ErrorCode.MgmtTimeoutError, "%s has not come up in time; systemd goes on starting it", unit);
        }
        finally
        {
            jobs.Forget(job);
        }
        if (result != "done")
        {
            throw new MgmtException(ErrorCode.QubesException, "%s did not start (%s); its journal says why", unit, result);
        }
    }

    // StartUnit(s name, s mode) -> o job
    private static BusCall Start(string unit) => new(MachineCalls.Systemd, MachineCalls.SystemdPath, MachineCalls.SystemdManager, "StartUnit", writer =>
    {
        writer.String(unit);
        writer.String("fail");
    });
}
