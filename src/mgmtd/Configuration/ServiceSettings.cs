using Mgmt.Qrexec;

namespace Mgmt.Daemon;

/// <summary>Services that guests call: where those of the host are, and how much of them at once.</summary>
internal sealed record ServiceSettings
{
    internal HostServiceOptions Host { get; init; } = new();

    /// <summary>Calls of one service at once, over all VMs.</summary>
    internal int PerService { get; init; } = 64;

    /// <summary>Calls of services at once by one VM.</summary>
    internal int PerVm { get; init; } = 16;

    /// <summary>The longest that one call may take.</summary>
    internal TimeSpan Deadline { get; init; } = TimeSpan.FromDays(1);

    internal static ServiceSettings Read(ConfigurationFile file)
    {
        var usual = new HostServiceOptions();
        return new()
        {
            Host = new()
            {
                Directories = file.Texts("service-dirs") ?? usual.Directories,
                ConfigDirectories = file.Texts("service-config-dirs") ?? usual.ConfigDirectories,
                // Root only where somebody says so.
                User = file.Text("service-user") ?? (Environment.IsPrivilegedProcess ? "nobody" : null),
                ErrorsToCaller = file.OneOf("service-errors", "caller", "log") == "caller",
            },
            PerService = file.Number("service-calls", 1, 10_000) ?? 64,
            PerVm = file.Number("service-calls-per-vm", 1, 1000) ?? 16,
            Deadline = TimeSpan.FromSeconds(file.Number("service-deadline-s", 1, 31_536_000) ?? 86_400),
        };
    }
}
