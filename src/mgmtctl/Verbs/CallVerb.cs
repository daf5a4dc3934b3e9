using System.CommandLine;
using System.Text;
using Mgmt.Wire;

namespace Mgmt.Cli.Verbs;

/// <summary>call: any call of the table, to the byte.</summary>
internal static class CallVerb
{
    private static readonly Argument<string> Call = new("METHOD[+ARG]") { Description = "The call" };
    private static readonly Argument<string> Destination = new("DEST") { Description = "A VM, dom0 (default), @adminvm or @default", DefaultValueFactory = _ => Daemon.Host };
    private static readonly Option<string?> Source = new("--source") { Description = "Who calls: dom0 (default); only root may name another", HelpName = "VM" };
    private static readonly Option<string?> Payload = new("--payload") { Description = "The payload", HelpName = "TEXT" };
    private static readonly Option<string?> PayloadFile = new("--payload-file") { Description = "A file with the payload, - for standard input", HelpName = "FILE" };
    private static readonly Option<bool> Hex = new("--hex") { Description = "Write the answer in hexadecimal" };

    public static Command Create(CommandLine cli)
    {
        string[] examples =
        [
            "mgmtctl call mgmt.vm.List", "mgmtctl call mgmt.vm.property.Set+memory work --payload 800",
            "mgmtctl call mgmt.vm.volume.Import+root work --payload-file root.img", "mgmtctl call admin.vm.List work --hex",
        ];
        return cli.Verb("call", "Make any call and write its answer as it is", examples, [Call, Destination, Source, Payload, PayloadFile, Hex], ActAsync);
    }

    private static async Task<int> ActAsync(Run run, CancellationToken cancellationToken)
    {
        if (run.Get(Payload) is not null && run.Get(PayloadFile) is not null)
        {
            throw new UsageException("--payload and --payload-file cannot be used together");
        }
        if (run.Get(Source) is not null && !run.Daemon.NamesSource)
        {
            throw new UsageException($"--source cannot be used with {Endpoint.Qrexec}: the host knows which VM calls");
        }
        var header = Header(run.Get(Call)!, run.Get(Source) ?? Daemon.Host, run.Get(Destination)!);
        var content = await SendAsync(run, header, cancellationToken);
        if (run.Get(Hex))
        {
            run.Output.Line(Convert.ToHexStringLower(content.Span));
        }
        else
        {
            await run.Output.BytesAsync(content, cancellationToken);
        }
        return ExitCode.Done;
    }

    private static RequestHeader Header(string call, string source, string destination)
    {
        var plus = call.IndexOf('+', StringComparison.Ordinal);
        var (method, argument) = plus < 0 ? (call, "") : (call[..plus], call[(plus + 1)..]);
        return destination is "@adminvm" or "@default"
            ? new(method, argument, source, DestinationKind.Keyword, destination[1..])
            : new(method, argument, source, DestinationKind.Name, destination);
    }

    private static async Task<ReadOnlyMemory<byte>> SendAsync(Run run, RequestHeader header, CancellationToken cancellationToken)
    {
        if (run.Get(PayloadFile) is not { } path)
        {
            return await run.Daemon.CallAsync(header, Encoding.UTF8.GetBytes(run.Get(Payload) ?? ""), cancellationToken);
        }
        await using var stream = path == "-" ? run.Terminal.OpenInput() : File.OpenRead(path);
        return await run.Daemon.CallAsync(header, stream, null, cancellationToken);
    }
}
