namespace Mgmt.Cli.Tests;

/// <summary>A directory for PATH in which qrexec-client-vm is a script of the test's. Removed when it is disposed.</summary>
internal sealed class ClientScript : IDisposable
{
    /// <summary>
    /// A client on a host without guests: its calls go to a daemon's socket, as those of the VM "work". $SOCKET is that. As the real one it waits for a daemon that is not there, ends with 126
    /// and without output when it is denied, and with 255 when an event stream ends without its last word.
    /// </summary>
    private const string ToSocket = """
        case $2 in *+*) call=$2 ;; *) call=$2+ ;; esac
        kept=$(mktemp -d -p "${0%/*}")
        { printf '%s work name %s\0' "$call" "$1"; cat; } | socat -t 30 - "UNIX-CONNECT:$SOCKET,retry=600,interval=0.05" | {
            read -r -n 1 kind
            if [ "$kind" = 2 ]; then
                cat >"$kept/refusal"
                if grep -q PermissionDenied "$kept/refusal"; then echo "Request refused" >&2; exit 126; fi
                printf 2; cat "$kept/refusal"
            else
                printf %s "$kind"; tee "$kept/reply"
            fi
        }
        code=$?
        case $2 in mgmt.Events*) [ $code != 0 ] || grep -q stream-closed "$kept/reply" || { echo "the connection to the host was lost" >&2; code=255; } ;; esac
        exit $code
        """;

    public ClientScript(string body)
    {
        var file = Path.Combine(Directory, "qrexec-client-vm");
        File.WriteAllText(file, "#!/bin/bash\n" + body + "\n");
        File.SetUnixFileMode(file, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }

    public string Directory { get; } = System.IO.Directory.CreateTempSubdirectory("client-").FullName;

    public static ClientScript To(string socket) => new($"SOCKET={socket}\n{ToSocket}");

    /// <summary>mgmtctl in that guest.</summary>
    public Ctl Ctl(string? input = null)
    {
        var ctl = new Ctl("/none") { Input = input };
        ctl.Variables["PATH"] = Directory;
        return ctl;
    }

    /// <summary>What the script wrote to a file beside it.</summary>
    public string Written(string name) => File.ReadAllText(Path.Combine(Directory, name));

    public void Dispose() => System.IO.Directory.Delete(Directory, recursive: true);
}
