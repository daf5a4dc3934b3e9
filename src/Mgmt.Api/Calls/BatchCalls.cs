using System.Buffers;
using System.Globalization;
using System.Text;

namespace Mgmt.Api;

/// <summary>Many small questions over one connection. Each is a call of its own to the policy and in the audit log.</summary>
public sealed class BatchCalls : ICallGroup
{
    private const int MaxCalls = 4096, MaxReplyBytes = 16 << 20, CapBytes = 1 << 20;

    /// <inheritdoc/>
    public IEnumerable<CallRow> Rows =>
    [
        new("Batch", CallTarget.Dom0, CallAccess.Read, CallScope.Host, ArgumentRule.None, PayloadRule.Required("`<call>[+<argument>] <vm>\\n`…", CapBytes), CallDialects.Mgmt,
            "The answers to many calls that only read and take no payload, each by policy as if it came alone.", Batch) { Returns = "`OK <bytes>\\n<content>` or `<error> <bytes>\\n<message>`, in order" },
    ];

    private async ValueTask<ReadOnlyMemory<byte>> Batch(CallContext call, CancellationToken cancellation)
    {
        var requests = Parse(call);
        var replies = new ArrayBufferWriter<byte>();
        foreach (var request in requests)
        {
            cancellation.ThrowIfCancellationRequested();
            var result = await call.Dispatcher.RunInBatchAsync(request, call.Caller, cancellation);
            if (result.Error is { } error)
            {
                Write(replies, error.Code.ToString(), Encoding.UTF8.GetBytes(error.Message));
            }
            else
            {
                Write(replies, "OK", result.Content.Span);
            }
            if (replies.WrittenCount > MaxReplyBytes)
            {
                throw new MgmtException(ErrorCode.QubesValueError, "The replies are longer than %s bytes: ask for fewer at a time", $"{MaxReplyBytes}");
            }
        }
        return Content.Of(replies);
    }

    private static List<CallRequest> Parse(CallContext call)
    {
        var text = call.PayloadText("batch");
        if (!text.EndsWith('\n'))
        {
            throw new MgmtException(ErrorCode.ProtocolError, "the last line of a batch has no end");
        }
        var lines = text[..^1].Split('\n');
        return lines.Length <= MaxCalls
            ? [.. lines.Select((line, at) => Parse(call, line, at + 1))]
            : throw new MgmtException(ErrorCode.QubesValueError, "%s calls in a batch are too many: at most %s", $"{lines.Length}", $"{MaxCalls}");
    }

    private static CallRequest Parse(CallContext call, string line, int number)
    {
        if (line.Split(' ') is not [{ Length: > 0 } service, { Length: > 0 and <= 64 } target])
        {
            throw Bad(number, "is not a call and a VM");
        }
        var plus = service.IndexOf('+', StringComparison.Ordinal);
        var argument = plus < 0 ? "" : service[(plus + 1)..];
        return Charset.IsAll(argument, Charset.Argument)
            ? new(plus < 0 ? service : service[..plus], argument, call.Request.Source, false, target)
            : throw Bad(number, "has an argument with characters other than letters, digits and _ . + -");
    }

    private static MgmtException Bad(int line, string what) => new(ErrorCode.ProtocolError, "line %s of the batch %s", line.ToString(CultureInfo.InvariantCulture), what);

    private static void Write(ArrayBufferWriter<byte> replies, string kind, ReadOnlySpan<byte> content)
    {
        Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{kind} {content.Length}\n"), replies);
        replies.Write(content);
    }
}
