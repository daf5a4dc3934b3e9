using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;

namespace Mgmt.Testing;

/// <summary>The real systemd-machined and a systemd on a bus of their own, by the script tests/machined-host.</summary>
public sealed partial class MachinedHost : IAsyncDisposable
{
    private const int SigKill = 9;
    private const int SigCont = 18;
    private const int SigStop = 19;
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(30);

    private readonly string _directory = Directory.CreateTempSubdirectory("mgmt-machined-").FullName;
    private bool _up;
    private int _busPid;

    private MachinedHost()
    {
    }

    /// <summary>The address of the bus; the same after <see cref="StopAsync"/> and <see cref="UpAsync"/>.</summary>
    public string BusAddress => $"unix:path={_directory}/bus.sock";

    /// <summary>The pid of the machined that runs, or ran last.</summary>
    public int MachinedPid { get; private set; }

    /// <summary>Starts one. Without root or a tool the test is ignored, and on CI fails.</summary>
    public static async Task<MachinedHost> StartAsync(CancellationToken cancellation)
    {
        if (!Environment.IsPrivilegedProcess)
        {
            Requirement.Missing("machined-host needs root");
        }
        var host = new MachinedHost();
        try
        {
            await host.UpAsync(cancellation);
        }
        catch (IOException failure) when (failure.Message.Contains(" is missing", StringComparison.Ordinal))
        {
            await host.DisposeAsync();
            Requirement.Missing(failure.Message);
        }
        return host;
    }

    /// <summary>Starts it again after <see cref="StopAsync"/>.</summary>
    public async Task UpAsync(CancellationToken cancellation)
    {
        _up = true;
        MachinedPid = PidIn(await ScriptAsync(["up", _directory], cancellation));
    }

    /// <summary>Ends bus, systemd, machined and every machine.</summary>
    public async Task StopAsync(CancellationToken cancellation)
    {
        _up = false;
        await ScriptAsync(["down", _directory], cancellation);
    }

    /// <summary>machined answers nobody until <see cref="Thaw"/>.</summary>
    public void Freeze() => Signal(MachinedPid, SigStop);

    /// <summary>machined goes on.</summary>
    public void Thaw() => Signal(MachinedPid, SigCont);

    /// <summary>machined dies; bus, systemd and machines live on.</summary>
    public void KillMachined() => Signal(MachinedPid, SigKill);

    /// <summary>The bus itself answers nobody until <see cref="ThawBus"/>.</summary>
    public async Task FreezeBusAsync(CancellationToken cancellation)
    {
        var pid = await RunAsync(["systemctl", "--user", "show", "--property=MainPID", "--value", "dbus.service"], cancellation);
        _busPid = int.Parse(pid, CultureInfo.InvariantCulture);
        Signal(_busPid, SigStop);
    }

    /// <summary>The bus goes on.</summary>
    public void ThawBus() => Signal(_busPid, SigCont);

    /// <summary>Starts machined again after <see cref="KillMachined"/>.</summary>
    public async Task StartMachinedAsync(CancellationToken cancellation) =>
        MachinedPid = PidIn(await ScriptAsync(["machined", _directory], cancellation));

    /// <summary>Makes an image whose container boots a systemd and has /usr of this host.</summary>
    public Task MakeContainerAsync(string name, CancellationToken cancellation) => ScriptAsync(["container", _directory, name], cancellation);

    /// <summary>The output of a command run where machinectl and systemctl see this host.</summary>
    public Task<string> RunAsync(string[] command, CancellationToken cancellation) =>
        ScriptAsync(["exec", _directory, .. command], cancellation);

    /// <summary>
    /// Words that run a program as a service of that name, with the settings, and stay until it is stopped; its output is theirs. Restarted on a failure after 100 ms.
    /// </summary>
    public string[] AsService(string name, params string[] settings) =>
    [
        ScriptPath(), "exec", _directory, "systemd-run", "--user", "--unit=" + name, "--wait", "--pipe", "--quiet", "--service-type=notify",
        .. settings.Prepend("Restart=on-failure").Prepend("RestartSec=100ms").SelectMany(setting => new[] { "-p", setting }),
    ];

    /// <summary>Ends it and removes its directory.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_up)
        {
            await StopAsync(CancellationToken.None);
        }
        Directory.Delete(_directory, recursive: true);
    }

    private static async Task<string> ScriptAsync(string[] arguments, CancellationToken cancellation)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(Deadline);
        using var process = Process.Start(new ProcessStartInfo(ScriptPath(), arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        var output = process.StandardOutput.ReadToEndAsync(limit.Token);
        var error = process.StandardError.ReadToEndAsync(limit.Token);
        await process.WaitForExitAsync(limit.Token);
        return process.ExitCode == 0
            ? await output
            : throw new IOException($"machined-host {arguments[0]}: exit {process.ExitCode}: {await error}");
    }

    private static string ScriptPath()
    {
        for (var at = new DirectoryInfo(AppContext.BaseDirectory); at is not null; at = at.Parent)
        {
            var path = Path.Combine(at.FullName, "tests", "machined-host");
            if (File.Exists(path))
            {
                return path;
            }
        }
        throw new FileNotFoundException("tests/machined-host is not above the tests");
    }

    private static int PidIn(string output)
    {
        var line = output.Split('\n').Single(text => text.StartsWith("MACHINED_PID=", StringComparison.Ordinal));
        return int.Parse(line.AsSpan(line.IndexOf('=') + 1), CultureInfo.InvariantCulture);
    }

    private static void Signal(int pid, int signal)
    {
        if (Kill(pid, signal) != 0)
        {
            throw new IOException($"kill {pid}: {Marshal.GetLastPInvokeErrorMessage()}");
        }
    }

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    private static partial int Kill(int pid, int signal);
}
