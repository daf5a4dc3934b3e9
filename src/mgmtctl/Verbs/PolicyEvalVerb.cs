using System.CommandLine;
using System.Text.Json;
using Mgmt.Core;
using Mgmt.Policy;

namespace Mgmt.Cli.Verbs;

/// <summary>policy eval</summary>
internal static class PolicyEvalVerb
{
    private static readonly Argument<string?> Call = new("SERVICE[+ARG]") { Description = "The service, with its argument", Arity = ArgumentArity.ZeroOrOne };
    private static readonly Argument<string?> Source = new("SOURCE") { Description = "Who calls", Arity = ArgumentArity.ZeroOrOne };
    private static readonly Argument<string?> Target = new("TARGET") { Description = "A VM, dom0, @adminvm, @default, @dispvm or @dispvm:TEMPLATE", Arity = ArgumentArity.ZeroOrOne };
    private static readonly Option<string?> RequestedSource = new("--requested-source") { Description = "The RemoteVM that SOURCE relays for", HelpName = "VM" };
    private static readonly Option<bool> Lines = new("--jsonl") { Description = "Read cases from standard input, a JSON object a line, and write a line of answers for each, in the pure language. Cases without rules are asked of the ones meant" };

    public static Command Create(CommandLine cli) =>
        cli.Verb("eval", "Answer a question by the rules in force, or those of a directory; exit status 0 allow, 126 anything else",
            ["mgmtctl policy eval mgmt.vm.Start monitor work", "mgmtctl policy eval qubes.Filecopy work vault --policy-dir ./policy.d --system-info vms.json", "mgmtctl policy eval --jsonl < cases.jsonl"],
            [Call, Source, Target, RequestedSource, Lines, PolicyInputs.Directories, PolicyInputs.SystemInfo], ActAsync);

    private static async Task<int> ActAsync(Run run, CancellationToken cancellationToken)
    {
        if (run.Get(Lines))
        {
            if (run.Get(Call) is not null)
            {
                throw new UsageException("--jsonl takes no SERVICE, SOURCE and TARGET");
            }
            return await AnswerCasesAsync(run, cancellationToken);
        }
        if (run.Get(Target) is not { } target)
        {
            throw new UsageException("SERVICE[+ARG], SOURCE and TARGET are needed, or --jsonl");
        }
        var request = PolicyInputs.Request(run.Get(Call)!, run.Get(Source)!, target) with { RequestedSource = run.Get(RequestedSource) };
        if (await OutcomeAsync(run, request, cancellationToken) is not { } outcome)
        {
            return ExitCode.Refused;
        }
        run.Output.Facts([new("decision", outcome.Decision), new("rule", outcome.Rule), new("message", outcome.Message)]);
        return outcome.Decision == "allow" ? ExitCode.Done : ExitCode.Denied;
    }

    private static async Task<PolicyOutcome?> OutcomeAsync(Run run, PolicyRequest request, CancellationToken cancellationToken)
    {
        if (PolicyInputs.AllAtDaemon(run))
        {
            return PolicyExplanationText.Parse(await PolicyInputs.AskDaemonAsync(run, "mgmt.policy.Eval", request, cancellationToken)).Outcome;
        }
        return await PolicyInputs.LoadAsync(run, cancellationToken) is { } set ? PolicyOutcome.Of(set, request, await PolicyInputs.DomainsAsync(run, cancellationToken)) : null;
    }

    private static async Task<int> AnswerCasesAsync(Run run, CancellationToken cancellationToken)
    {
        using var reader = new StreamReader(run.Terminal.OpenInput());
        (PolicySource Rules, IDomainDirectory Vms)? others = null;
        for (var number = 1; await reader.ReadLineAsync(cancellationToken) is { } line; number++)
        {
            if (string.IsNullOrWhiteSpace(line))
            {
                continue;
            }
            using var document = ReadCase(line, number);
            if (PolicyCase.LacksRules(document.RootElement))
            {
                others ??= ((await PolicyInputs.RulesAsync(run, cancellationToken)).Source, await PolicyInputs.DomainsAsync(run, cancellationToken));
            }
            try
            {
                run.Output.JsonLine(writer => PolicyCase.Answer(document.RootElement, writer, others?.Rules, others?.Vms));
            }
            catch (MgmtException error)
            {
                throw NoCase(number, error);
            }
        }
        return ExitCode.Done;
    }

    private static JsonDocument ReadCase(string line, int number)
    {
        try
        {
            return JsonDocument.Parse(line);
        }
        catch (JsonException error)
        {
            throw NoCase(number, error);
        }
    }

    private static MgmtException NoCase(int number, Exception error) => new(error, ErrorCode.QubesValueError, "Line %s is no case: %s", $"{number}", error.Message);
}
