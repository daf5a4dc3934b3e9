namespace Mgmt.Qrexec;

/// <summary>
/// How a service is to be run, from its file in <c>rpc-config</c>.
/// <code>
/// file  = *line
/// line  = blank | "#" anything | key "=" value [ "#" anything ]
/// key   = "force-user" | "wait-for-session" | "skip-service-descriptor" | "exit-on-client-eof" | "exit-on-service-eof"
/// value = "'" text without a quote "'" | "true" | "false"        a text for force-user, else true or false
/// </code>
/// SOURCE: qrexec, as of qubes-core-qrexec 4.3. A host has no sessions: wait-for-session is read and means nothing. A socket
/// service is over when it has said all, whatever exit-on-service-eof says.
/// </summary>
public sealed record ServiceConfig
{
    private const int MaxBytes = 64 * 1024;

    /// <summary>The user that a program runs as; null is the daemon's own.</summary>
    public string? ForceUser { get; init; }

    /// <summary>Whether a socket is told nothing first.</summary>
    public bool SkipDescriptor { get; init; }

    /// <summary>Whether a socket service is over when its caller has said all.</summary>
    public bool ExitOnClientEof { get; init; }

    /// <summary>Reads a file's text. ERRORS: FormatException with a line number: an unknown or doubled key, a bad value.</summary>
    public static ServiceConfig Parse(string text)
    {
        var config = new ServiceConfig();
        var seen = new HashSet<string>(StringComparer.Ordinal);
        var number = 0;
        foreach (var line in text.Split('\n').Select(line => line.Trim()))
        {
            number++;
            if (line.Length == 0 || line[0] == '#')
            {
                continue;
            }
            var equals = line.IndexOf('=', StringComparison.Ordinal);
            var key = equals < 0 ? line : line[..equals].TrimEnd();
            if (equals < 0 || !seen.Add(key) || With(config, key, Value(line[(equals + 1)..].Trim())) is not { } changed)
            {
                throw new FormatException($"line {number}: {key}: unknown, twice, or not a value for it");
            }
            config = changed;
        }
        return config;
    }

    internal static ServiceConfig Read(string path)
    {
        using var file = File.OpenRead(path);
        return file.Length <= MaxBytes ? Parse(new StreamReader(file).ReadToEnd()) : throw new FormatException($"longer than {MaxBytes} bytes");
    }

    private static ServiceConfig? With(ServiceConfig config, string key, object? value) => (key, value) switch
    {
        ("force-user", string { Length: > 0 } user) => config with { ForceUser = user },
        ("wait-for-session", bool) => config,
        ("skip-service-descriptor", bool skip) => config with { SkipDescriptor = skip },
        ("exit-on-client-eof", bool exit) => config with { ExitOnClientEof = exit },
        ("exit-on-service-eof", bool) => config,
        _ => null,
    };

    /// <summary>A text, a flag, or null for neither.</summary>
    private static object? Value(string text)
    {
        var (word, rest) = ("", text);
        if (text.StartsWith('\''))
        {
            var end = text.IndexOf('\'', 1);
            (word, rest) = end < 0 ? ("", text) : (text[..(end + 1)], text[(end + 1)..]);
        }
        else if (text.IndexOfAny([' ', '\t', '#']) is var stop)
        {
            (word, rest) = stop < 0 ? (text, "") : (text[..stop], text[stop..]);
        }
        rest = rest.TrimStart();
        return rest.Length > 0 && rest[0] != '#' ? null : word switch
        {
            "true" => true,
            "false" => false,
            ['\'', .. var inner, '\''] => inner,
            _ => null,
        };
    }
}
