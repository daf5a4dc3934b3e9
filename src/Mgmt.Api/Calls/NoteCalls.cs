using System.Globalization;
using System.Text;
using Mgmt.State;

namespace Mgmt.Api;

/// <summary>What people write down about a VM.</summary>
public sealed class NoteCalls(StateStore store) : ICallGroup
{
    private const int MaxBytes = 256_000;
    private const int HeaderBytes = 4096;

    /// <inheritdoc/>
    public IEnumerable<CallRow> Rows =>
    [
        new("vm.notes.Get", CallTarget.Vm, CallAccess.Read, CallScope.Vm, ArgumentRule.None, PayloadRule.None, CallDialects.Both,
            "The notes about a VM.", Get) { Returns = "UTF-8 text" },
        new("vm.notes.Set", CallTarget.Vm, CallAccess.Write, CallScope.Vm, ArgumentRule.None, PayloadRule.Optional("UTF-8 text of at most 256 000 bytes", MaxBytes + HeaderBytes), CallDialects.Both,
            "Replaces the notes about a VM; empty removes them. Control characters become `_`.", Set),
    ];

    private ValueTask<ReadOnlyMemory<byte>> Get(CallContext call, CancellationToken cancellation) => new(Content.Text(call.Target.Notes));

    private async ValueTask<ReadOnlyMemory<byte>> Set(CallContext call, CancellationToken cancellation)
    {
        var notes = Text(call.Payload.Bytes.Span);
        await store.ApplyAsync(change => change.PutVm(change.State.Get(call.Target.Name) with { Notes = notes }), CancellationToken.None);
        return Content.Empty;
    }

    private static string Text(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length > MaxBytes)
        {
            throw new MgmtException(ErrorCode.QubesValueError, "Notes have at most %s bytes", MaxBytes.ToString(CultureInfo.InvariantCulture));
        }
        try
        {
            return Safe(new UTF8Encoding(false, throwOnInvalidBytes: true).GetString(bytes));
        }
        catch (DecoderFallbackException error)
        {
            throw new MgmtException(error, ErrorCode.QubesValueError, "Notes are UTF-8 text");
        }
    }

    /// <summary>What moves a cursor, hides text or turns its direction round must not: whoever reads the notes may be another than who wrote them.</summary>
    private static string Safe(string text)
    {
        var safe = new StringBuilder(text.Length);
        foreach (var rune in text.EnumerateRunes())
        {
            var allowed = rune.Value is '\n' or '\t' || Rune.GetUnicodeCategory(rune) is not (UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.Surrogate
                or UnicodeCategory.PrivateUse or UnicodeCategory.OtherNotAssigned or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator);
            safe.Append(allowed ? rune.ToString() : "_");
        }
        return safe.ToString();
    }
}
