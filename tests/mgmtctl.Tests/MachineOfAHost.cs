using Mgmt.Testing;

namespace Mgmt.Cli.Tests;

/// <summary>A real daemon on a real systemd-machined that has a container, and mgmtctl against it.</summary>
internal sealed class MachineOfAHost : IAsyncDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("mgmt-machine-").FullName;

    public required MachinedHost Machined { get; init; }

    public required DaemonProcess Daemon { get; init; }

    public static async Task<MachineOfAHost> StartAsync(string config = "{}")
    {
        var machined = await MachinedHost.StartAsync(CancellationToken.None);
        try
        {
            await machined.MakeContainerAsync("web", CancellationToken.None);
            var daemon = await DaemonProcess.StartAsync(new DaemonOptions
            {
                Backend = "qemu:///system",
                Config = config,
                Environment = new Dictionary<string, string>(StringComparer.Ordinal) { ["DBUS_SYSTEM_BUS_ADDRESS"] = machined.BusAddress },
            });
            return new MachineOfAHost { Machined = machined, Daemon = daemon };
        }
        catch
        {
            await machined.DisposeAsync();
            throw;
        }
    }

    public string File(string name) => Path.Combine(_directory, name);

    public async Task<(int Code, string Out, string Error)> CtlAsync(CancellationToken token, params string[] args)
    {
        var ctl = new Ctl(Daemon.SocketPath);
        return (await ctl.RunAsync(token, args), ctl.Out, ctl.Error);
    }

    /// <summary>The output of a verb that has to succeed.</summary>
    public async Task<string> DoneAsync(CancellationToken token, params string[] args)
    {
        var (code, output, error) = await CtlAsync(token, args);
        Assert.That((code, error), Is.EqualTo((0, "")), string.Join(' ', args));
        return output;
    }

    public async ValueTask DisposeAsync()
    {
        await Daemon.DisposeAsync();
        await Machined.DisposeAsync();
        Directory.Delete(_directory, recursive: true);
    }
}
