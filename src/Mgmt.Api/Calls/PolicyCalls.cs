using System.Buffers;
using System.Globalization;
using System.Text;
using Mgmt.Policy;

namespace Mgmt.Api;

/// <summary>The rule files: reading and editing them, what was in them before, and what they decide.</summary>
public sealed class PolicyCalls(PolicyEditor editor) : ICallGroup
{
    private const int CapBytes = 1024 * 1024;
    private const int MaxTokenBytes = 128;
    private static readonly PayloadRule Question =
        PayloadRule.Required("`service=<service>\\nsource=<vm>\\n`, optional `argument=+<arg>\\n`, `target=<vm>\\n`, `value=<value>\\n`, `requested_source=<vm>\\n`");

    private const string Warns = "-, or `warning=<text>\\n`";

    /// <inheritdoc/>
    public IEnumerable<CallRow> Rows =>
    [
        .. FileRows(false), .. FileRows(true),
        new("policy.GetFiles", CallTarget.Dom0, CallAccess.Read, CallScope.Host, ArgumentRule.Required("service"), PayloadRule.None, CallDialects.Mgmt,
            "The files that have a rule for a service, in the order of their rules.", GetFiles) { Returns = "`<name>\\n`, `include/<name>\\n` or `<path>\\n`" },
        new("policy.Eval", CallTarget.Dom0, CallAccess.Read, CallScope.Host, ArgumentRule.None, Question, CallDialects.Mgmt,
            "What the rules in force say to one question.", Eval) { Returns = "`decision=allow,ask,deny\\nrule=<file>:<line>\\nreason=<text>\\n`" },
        new("policy.Explain", CallTarget.Dom0, CallAccess.Read, CallScope.Host, ArgumentRule.None, Question, CallDialects.Mgmt,
            "The same with the deciding line, the rules that nearly matched, and what a tag would change.", Explain)
            { Returns = "as Eval, then `text=<line>\\n`, `near=<rule>\\t<why>\\t<line>\\n`…, `tag=add,remove\\t<tag>\\t<vm>\\t<decision>\\t<rule>\\t<reason>\\n`…" },
        new("policy.Export", CallTarget.Dom0, CallAccess.Read, CallScope.Host, ArgumentRule.None, PayloadRule.None, CallDialects.Mgmt,
            "The rules in force as the files they were read from, and the mistakes that keep newer files out.", Export) { Returns = "JSON" },
    ];

    // Rule files and includes have the same calls.
    private IEnumerable<CallRow> FileRows(bool include)
    {
        var (prefix, what) = include ? ("policy.include.", "include file") : ("policy.", "rule file");
        return
        [
            new(prefix + "List", CallTarget.Dom0, CallAccess.Read, CallScope.Host, ArgumentRule.OneEntry("file"), PayloadRule.None, CallDialects.Mgmt,
                $"The names of the {what}s that can be edited.", (call, _) => List(call, include)) { Returns = "`<name>\\n`" },
            new(prefix + "Get", CallTarget.Dom0, CallAccess.Read, CallScope.Host, ArgumentRule.Required("file"), PayloadRule.None, CallDialects.Mgmt,
                $"The content of {Article(what)} and the token of this version.", (call, _) => Get(call, include)) { Returns = "`sha256:<hex>\\n<bytes>`" },
            new(prefix + "Replace", CallTarget.Dom0, CallAccess.Write, CallScope.Host, ArgumentRule.Required("file"),
                PayloadRule.Required("`<token>\\n<bytes>`, token `any`, `new` or `sha256:<hex>`, `force:` before it to lock yourself out", CapBytes), CallDialects.Mgmt,
                $"Writes {Article(what)}, if the whole policy stays valid; in force when it replies.", (call, _) => ReplaceAsync(call, include)) { Returns = Warns },
            new(prefix + "Remove", CallTarget.Dom0, CallAccess.Write, CallScope.Host, ArgumentRule.Required("file"), PayloadRule.Required("`<token>`, as for Replace"), CallDialects.Mgmt,
                $"Removes {Article(what)}, if the whole policy stays valid.", (call, _) => RemoveAsync(call, include)) { Returns = Warns },
            new(prefix + "History", CallTarget.Dom0, CallAccess.Read, CallScope.Host, ArgumentRule.Required("file"), PayloadRule.None, CallDialects.Mgmt,
                $"The versions of {Article(what)} that were replaced or removed, and by whom, newest first.", (call, _) => History(call, include))
                { Returns = "`<id> <time> <source> sha256:<hex>\\n`" },
            new(prefix + "Revert", CallTarget.Dom0, CallAccess.Write, CallScope.Host, ArgumentRule.Required("file"), PayloadRule.Required("`<id>`, `force:` before it as for Replace"), CallDialects.Mgmt,
                $"Brings back a version of {Article(what)}, checked like Replace.", (call, _) => RevertAsync(call, include)) { Returns = Warns },
        ];
    }

    private ValueTask<ReadOnlyMemory<byte>> List(CallContext call, bool include)
    {
        var names = editor.List(include);
        if (call.Argument.Length == 0)
        {
            return new(Content.Lines(names));
        }
        return names.Contains(call.Argument, StringComparer.Ordinal)
            ? new(Content.Lines([call.Argument]))
            : throw new MgmtException(ErrorCode.QubesException, "No such policy file: %s", call.Argument);
    }

    private ValueTask<ReadOnlyMemory<byte>> Get(CallContext call, bool include)
    {
        var bytes = editor.Read(PolicyFileName.Parse(include, call.Argument));
        return new((byte[])[.. Encoding.ASCII.GetBytes(PolicyToken.Of(bytes) + "\n"), .. bytes]);
    }

    private async ValueTask<ReadOnlyMemory<byte>> ReplaceAsync(CallContext call, bool include)
    {
        var file = PolicyFileName.Parse(include, call.Argument);
        var payload = call.Payload.Bytes;
        var end = payload.Span.IndexOf((byte)'\n');
        if (end is < 0 or > MaxTokenBytes)
        {
            throw new MgmtException(ErrorCode.QubesValueError, "The first line of the payload has to be a token");
        }
        return Reply(await editor.ReplaceAsync(call, file, PolicyToken.Parse(new Untrusted(payload[..end]).Ascii("token")), payload[(end + 1)..]));
    }

    private async ValueTask<ReadOnlyMemory<byte>> RemoveAsync(CallContext call, bool include) =>
        Reply(await editor.RemoveAsync(call, PolicyFileName.Parse(include, call.Argument), PolicyToken.Parse(call.PayloadText("token"))));

    private ValueTask<ReadOnlyMemory<byte>> History(CallContext call, bool include) => new(Content.Lines(editor.History(PolicyFileName.Parse(include, call.Argument)).Select(version =>
        string.Create(CultureInfo.InvariantCulture, $"{version.Id} {version.Time.UtcDateTime:yyyy-MM-dd'T'HH:mm:ss.fff'Z'} {version.Source} {version.Token}"))));

    private async ValueTask<ReadOnlyMemory<byte>> RevertAsync(CallContext call, bool include)
    {
        var text = call.PayloadText("version");
        var force = text.StartsWith(PolicyToken.ForcePrefix, StringComparison.Ordinal);
        return Reply(await editor.RevertAsync(call, PolicyFileName.Parse(include, call.Argument), force ? text[PolicyToken.ForcePrefix.Length..] : text, force));
    }

    private ValueTask<ReadOnlyMemory<byte>> GetFiles(CallContext call, CancellationToken cancellation) => Charset.IsAll(call.Argument, Charset.Word)
        ? new(Content.Lines(editor.InForce.FilesFor(call.Argument).Select(file => !file.Contains('/') && file.EndsWith(".policy", StringComparison.Ordinal) ? file[..^".policy".Length] : file)))
        : throw new MgmtException(ErrorCode.QubesValueError, "A service has only letters, digits, _ . and -");

    private ValueTask<ReadOnlyMemory<byte>> Eval(CallContext call, CancellationToken cancellation)
    {
        var outcome = PolicyOutcome.Of(editor.InForce, Asked(call), new SnapshotDirectory(call.State, null));
        return new(Content.Text($"decision={outcome.Decision}\nrule={outcome.Rule}\nreason={outcome.Message}\n"));
    }

    private ValueTask<ReadOnlyMemory<byte>> Explain(CallContext call, CancellationToken cancellation) =>
        new(Content.Text(PolicyExplanationText.Write(PolicyExplanation.Of(editor.InForce, Asked(call), new SnapshotDirectory(call.State, null)))));

    private ValueTask<ReadOnlyMemory<byte>> Export(CallContext call, CancellationToken cancellation)
    {
        var buffer = new ArrayBufferWriter<byte>();
        PolicyDocument.Write(editor.Current, buffer);
        return new(Content.Of(buffer));
    }

    private static PolicyRequest Asked(CallContext call) => PolicyQuestion.Parse(call.PayloadText("question"), call.State);

    private static ReadOnlyMemory<byte> Reply(string? warning) => warning is null ? Content.Empty : Content.Text($"warning={warning.ReplaceLineEndings(" ")}\n");

    private static string Article(string what) => (what[0] == 'i' ? "an " : "a ") + what;
}
