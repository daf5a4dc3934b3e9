using System.Globalization;
using System.Text.Json;
using Mgmt.Core;

namespace Mgmt.Daemon;

/// <summary>How the daemon is to run: defaults, then the configuration file, then the command line.</summary>
internal sealed record DaemonSettings
{
    internal required string Backend { get; init; }

    internal required string StateDirectory { get; init; }

    internal required string RunDirectory { get; init; }

    internal required IReadOnlyList<string> PolicyDirectories { get; init; }

    internal bool Debug { get; init; }

    internal string Group { get; init; } = "mgmt";

    internal IReadOnlyList<uint> FrontEndUids { get; init; } = [];

    internal bool AuditRequired { get; init; } = true;

    internal bool BrokenPolicyDenies { get; init; }

    internal IReadOnlyList<string> PoolRoots { get; init; } = [];

    internal IReadOnlyList<string> ExportedFiles { get; init; } = [];

    internal int DevicePorts { get; init; } = 16;

    internal string AudioBackend { get; init; } = "";

    internal int UidBase { get; init; } = 1_900_000_000;

    internal int SnapshotMiBPerSecond { get; init; }

    internal required long MachineCopyBytes { get; init; }

    internal bool Machined { get; init; } = true;

    internal int MaxConnections { get; init; } = 4096;

    internal TimeSpan RequestDeadline { get; init; } = TimeSpan.FromSeconds(10);

    internal int JournalMaxEvents { get; init; } = 100_000;

    internal TimeSpan JournalMaxAge { get; init; } = TimeSpan.FromDays(7);

    internal IReadOnlyList<string> AskAgents { get; init; } = [];

    internal TimeSpan AskTimeout { get; init; } = TimeSpan.FromSeconds(60);

    internal IReadOnlyList<string> QubesdSockets { get; init; } = [];

    internal QrexecSockets Qrexec { get; init; } = QrexecSockets.None;

    internal int GuestPorts { get; init; } = 8;

    internal int GuestAgentPorts { get; init; } = 2;

    internal bool GuestVsock { get; init; }
    /// <summary>Bytes of payloads that may be held in memory for all calls of one VM together; the longest that one may have fits.</summary>
    internal long GuestPayloadBytes { get; init; } = 4 << 20;

    internal string? VchanDirectory { get; init; }

    internal ServiceSettings Services { get; init; } = new();

    internal bool IsSession => Backend == "qemu:///session";

    internal bool IsTest => Backend.StartsWith("test:", StringComparison.Ordinal);

    internal string SocketPath => Path.Combine(RunDirectory, "mgmtd.sock");

    /// <summary>Puts the settings together. ERRORS: FormatException with a sentence.</summary>
    internal static DaemonSettings Load(DaemonArguments arguments)
    {
        var file = ConfigurationFile.Read(arguments.Config ?? ConfigurationFile.DefaultPath(arguments.Backend), mayBeMissing: arguments.Config is null);
        // Each setting is read, also where the command line wins: what nothing has read is refused at the end.
        var (fileBackend, fileState, fileRun, filePolicy, fileDebug) =
            (file.Text("backend"), file.Text("state-dir"), file.Text("run-dir"), file.Texts("policy-dirs"), file.Flag("debug"));
        var backend = arguments.Backend ?? fileBackend ?? "qemu:///system";
        CheckBackend(backend);
        var paths = DefaultPaths.For(backend == "qemu:///session");
        var state = arguments.StateDirectory ?? fileState ?? paths.State;
        var run = Path.GetFullPath(arguments.RunDirectory ?? fileRun ?? paths.Run);
        var settings = new DaemonSettings
        {
            Backend = backend,
            StateDirectory = Path.GetFullPath(state),
            RunDirectory = run,
            PolicyDirectories = arguments.PolicyDirectories.Count > 0 ? arguments.PolicyDirectories : filePolicy ?? paths.Policy,
            Debug = arguments.Debug || fileDebug == true,
            PoolRoots = file.Texts("pool-roots") ?? [Path.Combine(Path.GetFullPath(state), "pools")],
            ExportedFiles = [.. (file.Texts("exported-files") ?? []).Select(ParseDirectory)],
            DevicePorts = file.Number("device-ports", 1, 24) ?? 16,
            AudioBackend = file.OneOf("audio-backend", "off", "none", "alsa") is { } audio and not "off" ? audio : "",
            Group = file.Text("group") ?? "mgmt",
            FrontEndUids = [.. (file.Texts("front-end-uids") ?? []).Select(ParseUid)],
            AuditRequired = file.OneOf("audit", "required", "best-effort") != "best-effort",
            BrokenPolicyDenies = file.OneOf("broken-policy", "keep", "deny") == "deny",
            UidBase = file.Number("uid-base", 100_000, 2_147_000_000) ?? 1_900_000_000,
            SnapshotMiBPerSecond = file.Number("snapshot-mib-per-second", 0, 1_000_000) ?? 0,
            MachineCopyBytes = (long)(file.Number("machine-copy-mib", 1, 1 << 30) ?? 16_384) << 20,
            Machined = file.Flag("machined") ?? true,
            MaxConnections = file.Number("max-connections", 16, 65_536) ?? 4096,
            RequestDeadline = TimeSpan.FromSeconds(file.Number("request-deadline-s", 1, 3600) ?? 10),
            JournalMaxEvents = file.Number("journal-max-events", 1000, 10_000_000) ?? 100_000,
            JournalMaxAge = TimeSpan.FromDays(file.Number("journal-max-days", 1, 3650) ?? 7),
            AskAgents = [.. (file.Texts("ask-agents") ?? [Path.Combine(run, "policy-agent.sock")]).Select(path => Socket(path)).OfType<string>()],
            AskTimeout = TimeSpan.FromSeconds(file.Number("ask-timeout-s", 1, 3600) ?? 60),
            GuestPorts = file.Number("guest-ports", 0, 16) ?? 8,
            GuestAgentPorts = file.Number("guest-agent-ports", 0, 8) ?? 2,
            GuestVsock = file.OneOf("guest-vsock", "off", "on") == "on",
            GuestPayloadBytes = (long)(file.Number("guest-payload-mib", 1, 1024) ?? 4) << 20,
            VchanDirectory = Absolute(file.Text("vchan-dir"), "directory of vchan sockets"),
            QubesdSockets = [.. (file.Texts("qubesd-sockets") ?? []).Select(path => Socket(path)).OfType<string>()],
            Services = ServiceSettings.Read(file),
            Qrexec = new(Socket(file.Text("qrexec-policy-socket")), Socket(file.Text("qrexec-eval-simple-socket")), Socket(file.Text("qrexec-eval-gui-socket"))),
        };
        file.RefuseUnread();
        return settings;
    }

    private static string ParseDirectory(string path) => path.StartsWith('/') ? path : throw new FormatException($"a directory of exported-files has to begin with /, not {path}");

    private static uint ParseUid(string text) => uint.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var uid)
        ? uid
        : throw new FormatException($"front-end-uids has to be an array of user numbers, not {text}");

    /// <summary>Null for none, which is also the empty text.</summary>
    private static string? Socket(string? path) => Absolute(path, "socket");

    private static string? Absolute(string? path, string what) => path is not { Length: > 0 }
        ? null
        : path.StartsWith('/') ? path : throw new FormatException($"the path of a {what} has to begin with /, not {path}");

    private static void CheckBackend(string backend)
    {
        if (backend is not ("qemu:///system" or "qemu:///session") && !backend.StartsWith("test:///", StringComparison.Ordinal))
        {
            throw new FormatException($"unknown backend {backend}; there are qemu:///system, qemu:///session, test:///default and test:///path/to/file.json");
        }
    }
}
