using System.Buffers;
using System.Globalization;
using System.Text.Json;

namespace Mgmt.Api;

/// <summary>Writes audit records as lines of JSON, into a buffer that is used again: each thread has one.</summary>
internal sealed class AuditLine
{
    /// <summary>Of a call that the policy did not allow, no text is longer: whoever may do nothing may not fill the disk either.</summary>
    private const int LongestRefused = 256;

    private readonly ArrayBufferWriter<byte> _line = new(512);
    private readonly Utf8JsonWriter _json;

    internal AuditLine() => _json = new Utf8JsonWriter(_line, new JsonWriterOptions { SkipValidation = true });

    /// <summary>The line with its newline; valid until the next call.</summary>
    internal ReadOnlySpan<byte> Format(in AuditRecord record, DateTimeOffset time)
    {
        _line.ResetWrittenCount();
        _json.Reset(_line);
        _json.WriteStartObject();
        _json.WriteString("time"u8, time);
        _json.WriteNumber("call"u8, record.CallId);
        if (record.Request is { } request)
        {
            var isWhole = record.Verdict is { Allowed: true };
            WriteText("method"u8, request.Method, isWhole);
            WriteText("argument"u8, request.Argument, isWhole);
            WriteText("source"u8, request.Source, isWhole);
            if (request.RequestedSource is { } requested)
            {
                WriteText("requested_source"u8, requested, isWhole);
            }
            WriteText("target"u8, record.Target ?? request.Destination, isWhole);
        }
        _json.WriteNumber("uid"u8, record.Caller.Uid);
        _json.WriteNumber("pid"u8, record.Caller.Pid);
        if (record.Caller.Via is { } via)
        {
            _json.WriteString("via"u8, via);
        }
        WriteVerdict(record.Verdict);
        if (record.Withheld > 0)
        {
            _json.WriteNumber("withheld"u8, record.Withheld);
        }
        _json.WriteString("outcome"u8, record.Outcome);
        _json.WriteNumber("ms"u8, Math.Round(record.Took.TotalMilliseconds, 3));
        _json.WriteEndObject();
        _json.Flush();
        _line.Write("\n"u8);
        return _line.WrittenSpan;
    }

    private void WriteText(ReadOnlySpan<byte> name, string value, bool isWhole) => _json.WriteString(
        name, isWhole || value.Length <= LongestRefused ? value : string.Create(CultureInfo.InvariantCulture, $"{value.AsSpan(0, LongestRefused)}... ({value.Length})"));

    private void WriteVerdict(PolicyVerdict? verdict)
    {
        _json.WriteString("decision"u8, verdict is null ? "-" : verdict.Allowed ? "allow" : "deny");
        if (verdict is null)
        {
            return;
        }
        _json.WriteString("rule"u8, verdict.Rule);
        if (!verdict.Allowed || verdict.IsAsk)
        {
            _json.WriteString("reason"u8, verdict.Reason);
        }
        if (verdict.StaleSince is { } since)
        {
            _json.WriteString("policy"u8, $"stale since={since:O}");
        }
    }
}
