namespace Mgmt.Daemon;

/// <summary>Where things are when nothing else is said. SOURCE: XDG Base Directory Specification for the session's.</summary>
internal sealed record DefaultPaths(string State, string Run, IReadOnlyList<string> Policy, string Config)
{
    internal static DefaultPaths For(bool session)
    {
        if (!session)
        {
            return new("/var/lib/mgmtd", "/run/mgmtd", ["/run/mgmt/policy.d", "/etc/mgmt/policy.d"], "/etc/mgmt/mgmtd.conf");
        }
        var home = Environment.GetEnvironmentVariable("HOME") ?? "/";
        var config = Xdg("XDG_CONFIG_HOME", Path.Combine(home, ".config"));
        var runtime = Xdg("XDG_RUNTIME_DIR", Path.Combine(Path.GetTempPath(), $"mgmtd-{Environment.UserName}"));
        return new(Path.Combine(Xdg("XDG_STATE_HOME", Path.Combine(home, ".local", "state")), "mgmtd"), Path.Combine(runtime, "mgmtd"),
            [Path.Combine(runtime, "mgmt", "policy.d"), Path.Combine(config, "mgmt", "policy.d")], Path.Combine(config, "mgmt", "mgmtd.conf"));
    }

    private static string Xdg(string variable, string otherwise) => Environment.GetEnvironmentVariable(variable) is { Length: > 0 } value ? value : otherwise;
}
