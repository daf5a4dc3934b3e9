using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using NUnit.Framework;

namespace Mgmt.Testing;

/// <summary>
/// A real mgmtd, on a test host unless told otherwise, in directories of its own, killed when it is disposed. Which one: MGMTD_BINARY, else out/bin/mgmtd of
/// the repository, else mgmtd.dll beside the tests.
/// </summary>
public sealed partial class DaemonProcess : IAsyncDisposable
{
    private const int SigTerm = 15;
    private readonly DaemonOptions _options;
    private readonly string _directory = Directory.CreateTempSubdirectory("mgmtd-").FullName;
    private readonly StringBuilder _log = new();
    private Process? _process;

    private DaemonProcess(DaemonOptions options)
    {
        _options = options;
        StateDirectory = options.StateDirectory ?? Path.Combine(_directory, "state");
        RunDirectory = options.RunDirectory ?? Path.Combine(_directory, "run");
        PolicyDirectory = Path.Combine(_directory, "policy");
        Directory.CreateDirectory(PolicyDirectory);
        if (options.WithDefaultPolicy)
        {
            CopyDefaultPolicy();
        }
        foreach (var (name, text) in options.Policy)
        {
            File.WriteAllText(Path.Combine(PolicyDirectory, name), text);
        }
        File.WriteAllText(ConfigPath, options.Config ?? "{}");
        if (options.Host is { } host)
        {
            File.WriteAllText(HostPath, host);
        }
        if (options.Uid is { } uid)
        {
            GuestFiles.Run("chown", "-R", string.Create(CultureInfo.InvariantCulture, $"{uid}:{uid}"), _directory);
            // Others get as far as the daemon's own directories.
            File.SetUnixFileMode(_directory, File.GetUnixFileMode(_directory) | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute);
        }
    }

    /// <summary>The longest wait for anything that a test expects to happen.</summary>
    public static TimeSpan Deadline { get; } = TimeSpan.FromSeconds(20);

    /// <summary>Where its store and audit log are.</summary>
    public string StateDirectory { get; }

    /// <summary>Where its socket is.</summary>
    public string RunDirectory { get; }

    /// <summary>Where its rule files are.</summary>
    public string PolicyDirectory { get; }

    /// <summary>Its socket.</summary>
    public string SocketPath => Path.Combine(RunDirectory, "mgmtd.sock");

    /// <summary>What it wrote to its log so far, over all its restarts.</summary>
    public string Log
    {
        get
        {
            lock (_log)
            {
                return _log.ToString();
            }
        }
    }

    /// <summary>Whether it has ended.</summary>
    public bool HasExited => _process is not { HasExited: false };

    /// <summary>Its process id.</summary>
    public int Pid => _process!.Id;

    private string ConfigPath => Path.Combine(_directory, "mgmtd.conf");

    private string HostPath => Path.Combine(_directory, "host.json");

    /// <summary>Starts one and waits until it serves.</summary>
    public static Task<DaemonProcess> StartAsync() => StartAsync(new DaemonOptions());

    /// <summary>Starts one and waits until it serves.</summary>
    public static async Task<DaemonProcess> StartAsync(DaemonOptions options)
    {
        var daemon = new DaemonProcess(options);
        try
        {
            daemon.Launch();
            await daemon.ServesAsync();
            return daemon;
        }
        catch
        {
            await daemon.DisposeAsync();
            throw;
        }
    }

    /// <summary>Runs one that is expected to refuse to start: its exit status and what it wrote.</summary>
    public static async Task<(int ExitCode, string Output)> RunAsync(DaemonOptions options)
    {
        await using var daemon = new DaemonProcess(options);
        daemon.Launch();
        await daemon.ExitAsync();
        return (daemon._process!.ExitCode, daemon.Log);
    }

    /// <summary>SIGKILL, and waits for its end.</summary>
    public async Task KillHardAsync()
    {
        _process!.Kill();
        await ExitAsync();
    }

    /// <summary>SIGTERM, and waits for its end: its exit status.</summary>
    public async Task<int> StopAsync()
    {
        if (Kill(_process!.Id, SigTerm) != 0)
        {
            throw new IOException($"kill: {Marshal.GetLastPInvokeErrorMessage()}");
        }
        await ExitAsync();
        return _process.ExitCode;
    }

    /// <summary>Starts it again on the same directories, after it was stopped or killed.</summary>
    public async Task StartAgainAsync()
    {
        _process?.Dispose();
        Launch();
        await ServesAsync();
    }

    /// <summary>SIGTERM, and starts it again.</summary>
    public async Task RestartAsync()
    {
        await StopAsync();
        await StartAgainAsync();
    }

    /// <summary>The lines of the audit log.</summary>
    public List<JsonElement> Audit()
    {
        using var file = new FileStream(Path.Combine(StateDirectory, "audit.log"), FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        using var reader = new StreamReader(file);
        var lines = reader.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries);
        return [.. lines.Select(line => JsonDocument.Parse(line).RootElement)];
    }

    /// <summary>The audit lines of one call, in order. Connections that ended before their header have lines without a method, at any time.</summary>
    public List<JsonElement> Audit(string method) => [.. Audit().Where(line => line.TryGetProperty("method", out var named) && named.GetString() == method)];

    /// <summary>Kills it and removes its directories.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_process is { } process)
        {
            if (!process.HasExited)
            {
                await KillHardAsync();
            }
            process.Dispose();
            _process = null;
        }
        Directory.Delete(_directory, recursive: true);
        if (Log.Contains("incident", StringComparison.Ordinal))
        {
            Assert.Fail("mgmtd met a defect of its own:\n" + Log);
        }
    }

    private void Launch()
    {
        string[] program = [.. _options.StartedBy, .. Identity(), .. Program()];
        var backend = _options.Backend ?? (_options.Host is null ? "test:///default" : "test://" + HostPath);
        string[] words = [.. program[1..], "--config", ConfigPath, "--backend", backend, "--state-dir", StateDirectory, "--run-dir", RunDirectory, "--policy-dir", PolicyDirectory];
        var start = new ProcessStartInfo(program[0], words) { RedirectStandardError = true, RedirectStandardOutput = true };
        foreach (var (name, value) in Surroundings())
        {
            start.Environment[name] = value;
        }
        _process = Process.Start(start)!;
        _process.ErrorDataReceived += (_, line) => Append(line.Data);
        _process.OutputDataReceived += (_, line) => Append(line.Data);
        _process.BeginErrorReadLine();
        _process.BeginOutputReadLine();
    }

    /// <summary>The words that start mgmtd: MGMTD_BINARY, else out/bin/mgmtd, else what was built beside the tests.</summary>
    public static string[] Program()
    {
        if (Environment.GetEnvironmentVariable("MGMTD_BINARY") is { Length: > 0 } given)
        {
            return [given];
        }
        var built = Path.Combine(Repository.Root, "out", "bin", "mgmtd");
        return File.Exists(built) ? [built] : ["dotnet", Path.Combine(AppContext.BaseDirectory, "mgmtd.dll")];
    }

    private string[] Identity() => _options.Uid is { } uid
        ? ["setpriv", string.Create(CultureInfo.InvariantCulture, $"--reuid={uid}"), string.Create(CultureInfo.InvariantCulture, $"--regid={uid}"), "--clear-groups", "--"]
        : [];

    private IEnumerable<KeyValuePair<string, string>> Surroundings() => _options.Uid is null
        ? _options.Environment
        : new[] { "HOME", "TMPDIR", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR" }.Select(name => KeyValuePair.Create(name, _directory)).Concat(_options.Environment);

    private void Append(string? line)
    {
        if (line is not null)
        {
            lock (_log)
            {
                _log.AppendLine(line);
            }
        }
    }

    private async Task ServesAsync()
    {
        var until = Environment.TickCount64 + (long)Deadline.TotalMilliseconds;
        while (true)
        {
            using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            try
            {
                await socket.ConnectAsync(new UnixDomainSocketEndPoint(SocketPath));
                // A connection is taken when the socket listens; an answer is given when it serves.
                await CallAsync("mgmt.Info");
                return;
            }
            catch (SocketException) when (!_process!.HasExited && Environment.TickCount64 < until)
            {
                await Task.Delay(10);
            }
            catch (SocketException)
            {
                throw new IOException($"mgmtd does not serve {SocketPath}:\n{Log}");
            }
        }
    }

    private async Task ExitAsync()
    {
        using var limit = new CancellationTokenSource(Deadline);
        try
        {
            await _process!.WaitForExitAsync(limit.Token);
        }
        catch (OperationCanceledException)
        {
            throw new TimeoutException($"mgmtd did not end:\n{Log}");
        }
    }

    private void CopyDefaultPolicy()
    {
        var from = Path.Combine(Repository.Root, "policy");
        Directory.CreateDirectory(Path.Combine(PolicyDirectory, "include"));
        foreach (var file in Directory.EnumerateFiles(from, "*", SearchOption.AllDirectories))
        {
            File.Copy(file, Path.Combine(PolicyDirectory, Path.GetRelativePath(from, file)));
        }
    }

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    private static partial int Kill(int pid, int signal);
}
