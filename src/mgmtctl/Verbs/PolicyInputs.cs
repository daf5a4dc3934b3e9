using System.CommandLine;
using System.Text;
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
        Description = "A policy directory, the runtime one first; may be given again. Without it the daemon's rules are taken",
        HelpName = "DIR",
    };

    public static readonly Option<string?> SystemInfo = new("--system-info")
    {
        Description = "JSON with the VMs: {\"domains\": {NAME: {\"type\", \"tags\", …}}}; without it the daemon is asked",
        HelpName = "FILE",
    };

    /// <summary>The rules that are meant: of the directories that were given, else those in force at the daemon. ERRORS: those of the daemon.</summary>
    public static async Task<PolicyRules> RulesAsync(Run run, CancellationToken cancellationToken)
    {
        if (run.Get(Directories) is { Length: > 0 } given)
        {
            return PolicyRules.Of(given);
        }
        try
        {
            return PolicyRules.Of(PolicyDocument.Read(await run.Daemon.CallAsync("mgmt.policy.Export", "", Daemon.Host, "", cancellationToken)));
        }
        catch (MgmtException error) when (error.Code == ErrorCode.MgmtUnavailableError)
        {
            throw new MgmtException(error, error.Code, "%s; --policy-dir DIR takes the rules of a directory", error.Message);
        }
    }

    /// <summary>The set; null when it has errors, which are told.</summary>
    public static async Task<PolicySet?> LoadAsync(Run run, CancellationToken cancellationToken) => (await RulesAsync(run, cancellationToken)).Load(run);

    /// <summary>Whether neither rules nor VMs are given, so that the daemon can be asked for an answer.</summary>
    public static bool AllAtDaemon(Run run) => run.Get(Directories) is not { Length: > 0 } && run.Get(SystemInfo) is null;

    /// <summary>What policy.Eval and policy.Explain say to a question. ERRORS: those of the daemon.</summary>
    public static async Task<string> AskDaemonAsync(Run run, string method, PolicyRequest request, CancellationToken cancellationToken)
    {
        var question = new StringBuilder();
        void Add(string key, string? value) => question.Append(value is null ? "" : $"{key}={value}\n");
        Add("service", request.Service);
        Add("argument", request.Argument.Length == 0 ? "+" : request.Argument);
        Add("source", request.Source);
        Add("target", request.Target);
        Add("value", request.ValueArgument?[(request.Argument.Length + 1)..]);
        Add("requested_source", request.RequestedSource);
        return Encoding.UTF8.GetString((await run.Daemon.CallAsync(method, "", Daemon.Host, question.ToString(), cancellationToken)).Span);
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
