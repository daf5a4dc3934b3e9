using Mgmt.Core;
using Mgmt.Machined.Bus;

namespace Mgmt.Machined;

/// <summary>Starts containers as units of systemd. SOURCE: org.freedesktop.systemd1(5), StartUnit; systemd-nspawn(1).</summary>
internal sealed class ContainerUnits(MachinedOptions options, MachinedClient client, JobWatch jobs, TimeProvider time)
{
    /// <summary>Starts the container of an image and waits until systemd says that it runs. One that runs already is left as it is.</summary>
    public async Task StartAsync(HostMachineName image, CancellationToken cancellation)
    {
        await client.AskAsync(ImageCalls.Get(image.Value), reader => reader.ObjectPath(), image.Value, cancellation);
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
