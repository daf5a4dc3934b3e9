namespace Mgmt.Daemon;

/// <summary>The command line. Anything unknown is a usage error.</summary>
internal sealed record DaemonArguments
{
    internal const string Usage = """
        Usage: mgmtd [--config FILE] [--backend URI] [--state-dir DIR] [--run-dir DIR] [--policy-dir DIR]... [--debug]
               mgmtd generate DIR
               mgmtd rpc SERVICE [ARGUMENT]
               mgmtd --help | --version

        Serves the management API on RUN_DIR/mgmtd.sock.

          --config FILE      configuration, JSON with comments (default /etc/mgmt/mgmtd.conf; a missing default file is no error)
          --backend URI      qemu:///system (default), qemu:///session, test:///default, test:///path/to/file.json
          --state-dir DIR    what must survive (default /var/lib/mgmtd; session: $XDG_STATE_HOME/mgmtd)
          --run-dir DIR      socket and control sockets (default /run/mgmtd; session: $XDG_RUNTIME_DIR/mgmtd)
          --policy-dir DIR   rule files; may repeat, the first hides same-named files of later ones
                             (default /run/mgmt/policy.d then /etc/mgmt/policy.d; session: $XDG_CONFIG_HOME/mgmt/policy.d)
          --debug            log more, and put tracebacks into EXCEPTION replies
          generate DIR       write the default policy, rpc-services and docs tables derived from the call table into DIR
          rpc SERVICE [ARG]  be a service of qrexec: standard input is the payload, the reply goes to standard output

        Exit status: 0 stopped when asked, 1 could not start (the reason is on stderr), 2 wrong usage.
        """;

    internal string? Config { get; init; }

    internal string? Backend { get; init; }

    internal string? StateDirectory { get; init; }

    internal string? RunDirectory { get; init; }

    internal IReadOnlyList<string> PolicyDirectories { get; init; } = [];

    internal bool Debug { get; init; }

    internal string? GenerateInto { get; init; }

    /// <summary>The service, and its argument or nothing, to be a program of qrexec for; null to be a daemon.</summary>
    internal (string Service, string Argument)? Rpc { get; init; }

    internal bool ShowHelp { get; init; }

    internal bool ShowVersion { get; init; }

    /// <summary>Reads the command line. ERRORS: FormatException with a sentence.</summary>
    internal static DaemonArguments Parse(ReadOnlySpan<string> words)
    {
        if (words.Length > 0 && words[0] == "generate")
        {
            return words.Length == 2 ? new() { GenerateInto = words[1] } : throw new FormatException("generate takes one directory");
        }
        if (words.Length > 0 && words[0] == "rpc")
        {
            return words.Length is 2 or 3 ? new() { Rpc = (words[1], words.Length == 3 ? words[2] : "") } : throw new FormatException("rpc takes a service and at most one argument");
        }
        var arguments = new DaemonArguments();
        for (var i = 0; i < words.Length; i++)
        {
            var equals = words[i].IndexOf('=', StringComparison.Ordinal);
            var name = equals < 0 ? words[i] : words[i][..equals];
            if (name is "--debug" or "--help" or "-h" or "--version" && equals < 0)
            {
                arguments = arguments.WithFlag(name);
                continue;
            }
            if (name is not ("--config" or "--backend" or "--state-dir" or "--run-dir" or "--policy-dir"))
            {
                throw new FormatException($"unknown option {words[i]}");
            }
            var value = equals >= 0 ? words[i][(equals + 1)..] : ++i < words.Length ? words[i] : "";
            arguments = value.Length > 0 ? arguments.With(name, value) : throw new FormatException($"{name} needs a value");
        }
        return arguments;
    }

    private DaemonArguments WithFlag(string name) => name switch
    {
        "--debug" => this with { Debug = true },
        "--version" => this with { ShowVersion = true },
        _ => this with { ShowHelp = true },
    };

    private DaemonArguments With(string name, string value) => name switch
    {
        "--config" => this with { Config = value },
        "--backend" => this with { Backend = value },
        "--state-dir" => this with { StateDirectory = value },
        "--run-dir" => this with { RunDirectory = value },
        _ => this with { PolicyDirectories = [.. PolicyDirectories, value] },
    };
}
