using System.CommandLine;
using Mgmt.Core;
using Mgmt.Policy;

namespace Mgmt.Cli.Verbs;

/// <summary>Where the policy tools take rules, VMs and questions from.</summary>
internal static class PolicyInputs
{
    /// <summary>As the daemon compiles them.</summary>
    public static readonly PolicyOptions Options = new() { FoldManagementServices = true, BuiltinRule = true };

    public static readonly Option<string[]> Directories = new("--policy-dir")
    {
        Description = "A policy directory, the runtime one first; may be given again (default: /run/mgmt/policy.d /etc/mgmt/policy.d)",
        HelpName = "DIR",
    };

    public static readonly Option<string?> SystemInfo = new("--system-info")
    {
        Description = "JSON with the VMs: {\"domains\": {NAME: {\"type\", \"tags\", …}}}; without it the daemon is asked",
        HelpName = "FILE",
    };

    private static readonly string[] Defaults = ["/run/mgmt/policy.d", "/etc/mgmt/policy.d"];

    public static string[] Paths(Run run) =>
        [.. (run.Get(Directories) is { Length: > 0 } given ? given : Defaults).Select(path => Path.TrimEndingDirectorySeparator(Path.GetFullPath(path)))];

    /// <summary>All directories but the last one may be missing.</summary>
    public static PolicySource Source(Run run)
    {
        var paths = Paths(run);
        return PolicySource.FromDirectories([.. paths.Select((path, index) => new PolicyDirectory(path, MayBeMissing: index < paths.Length - 1))]);
    }

    /// <summary>The set; null when it has errors, which are told.</summary>
    public static PolicyLoad? Load(Run run)
    {
        var load = PolicySet.Load(Source(run), Options);
        foreach (var error in load.Errors)
        {
            run.Tell(error.ToString());
        }
        return load.Set is null ? null : load;
    }

    /// <summary>The VMs of --system-info, else those the daemon has. ERRORS: QubesValueError; those of the daemon.</summary>
    public static async Task<IDomainDirectory> DomainsAsync(Run run, CancellationToken cancellationToken)
    {
        if (run.Get(SystemInfo) is { } file)
        {
            return Policy.SystemInfo.Parse(await File.ReadAllBytesAsync(file, cancellationToken));
        }
        var document = HostDocument.Read((await run.Daemon.CallAsync("mgmt.host.Export", "", Daemon.Host, "", cancellationToken)).Span);
        return new SystemInfo(document.Seed.Vms.Select(vm => Info(vm, document)));
    }

    /// <summary>The question for SERVICE[+ARG]. A call that sets a value is asked with the value as well, as the daemon does.</summary>
    public static PolicyRequest Request(string call, string source, string target)
    {
        var plus = call.IndexOf('+', StringComparison.Ordinal);
        var (service, argument) = plus < 0 ? (call, "") : (call[..plus], call[plus..]);
        var value = argument.IndexOf('+', Math.Min(1, argument.Length));
        if (!SetsValue(service) || value < 0)
        {
            return new PolicyRequest(service, argument, source, target);
        }
        // An empty value is asked by the name alone.
        return new PolicyRequest(service, argument[..value], source, target) { ValueArgument = value == argument.Length - 1 ? null : argument };
    }

    private static bool SetsValue(string service) =>
        service is "mgmt.property.Set" or "mgmt.vm.property.Set" or "mgmt.vm.feature.Set" or "admin.property.Set" or "admin.vm.property.Set" or "admin.vm.feature.Set";

    private static DomainInfo Info(VmRecord vm, HostDocumentContent document) => new()
    {
        Name = vm.Name.Value,
        Type = vm.Class.ToString(),
        Uuid = vm.Uuid.ToString("D"),
        Tags = [.. vm.Tags.Select(tag => tag.Value)],
        TemplateForDispvms = vm.Property("template_for_dispvms") == "True",
        DefaultDispvm = DispvmOf(vm, document) is { Length: > 0 } dispvm ? dispvm : null,
        PowerState = vm.Name == VmName.Dom0 || document.Started.Contains(vm.Name) ? "Running" : "Halted",
        Internal = vm.Features.GetValueOrDefault("internal") is { Length: > 0 },
        RelayVm = vm.Property("relayvm") is { Length: > 0 } relay ? relay : null,
        TransportRpc = vm.Property("transport_rpc") is { Length: > 0 } transport ? transport : null,
    };

    private static string? DispvmOf(VmRecord vm, HostDocumentContent document) => vm.Property("default_dispvm")
        ?? (vm.Class == VmClass.DispVM ? vm.Property("template") : document.Seed.Properties.GetValueOrDefault("default_dispvm"));
}
