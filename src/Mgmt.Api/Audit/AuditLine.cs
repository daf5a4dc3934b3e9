using System.Buffers;
using System.Text.Json;

namespace Mgmt.Api;

/// <summary>Writes audit records as lines of JSON, into a buffer that is used again: each thread has one.</summary>
internal sealed class AuditLine
{
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
            _json.WriteString("method"u8, request.Method);
            _json.WriteString("argument"u8, request.Argument);
            _json.WriteString("source"u8, request.Source);
            if (request.RequestedSource is { } requested)
            {
                _json.WriteString("requested_source"u8, requested);
            }
            _json.WriteString("target"u8, record.Target ?? request.Destination);
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
