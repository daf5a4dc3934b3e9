using System.Buffers;
using System.Text.Json;
using Microsoft.Extensions.Logging;

namespace Mgmt.Api;

/// <summary>
/// One JSON line per call, written before its reply: source, target, call, decision and the rule's file:line, outcome, milliseconds.
/// SOURCE: docs/architecture.md, "The audit log".
/// </summary>
public sealed class AuditLog : IDisposable
{
    private readonly Lock _gate = new();
    private readonly string _path;
    private readonly TimeProvider _clock;
    private readonly ILogger<AuditLog> _log;
    private readonly ArrayBufferWriter<byte> _line = new(512);
    private readonly Utf8JsonWriter _json;
    private FileStream? _file;
    private string? _failure;

    /// <summary>Opens (appends to) the file; required says whether changes wait for it.</summary>
    public AuditLog(string path, bool required, TimeProvider clock, ILogger<AuditLog> log)
    {
        _path = path;
        _clock = clock;
        _log = log;
        IsRequired = required;
        _json = new Utf8JsonWriter(_line, new JsonWriterOptions { SkipValidation = true });
        Reopen();
    }

    /// <summary>Whether changes are refused while it cannot be written.</summary>
    public bool IsRequired { get; }

    /// <summary>Why it cannot be written, or null.</summary>
    public string? Failure => Volatile.Read(ref _failure);

    /// <summary>Opens the file anew, after it was moved away or could not be written.</summary>
    public void Reopen()
    {
        lock (_gate)
        {
            _file?.Dispose();
            _file = null;
            try
            {
                _file = new FileStream(_path, new FileStreamOptions
                {
                    Mode = FileMode.Append, Access = FileAccess.Write, Share = FileShare.ReadWrite | FileShare.Delete, BufferSize = 0,
                    UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead,
                });
                _failure = null;
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                Fail(error);
            }
        }
    }

    /// <summary>Before a change: whether its line will find a file. ERRORS: MgmtUnavailableError when the log is required and broken.</summary>
    public void EnsureWritable()
    {
        if (Failure is null || !IsRequired)
        {
            return;
        }
        Reopen();
        Probe();
        if (Failure is { } reason)
        {
            throw new MgmtException(ErrorCode.MgmtUnavailableError, "The audit log cannot be written (%s) and changes need it; mend it, or set audit to best-effort", reason);
        }
    }

    /// <summary>Writes a line. Never throws; a failure is remembered, logged and refuses later changes if the log is required.</summary>
    public void Write(in AuditRecord record)
    {
        lock (_gate)
        {
            try
            {
                Format(record);
                _file?.Write(_line.WrittenSpan);
                _failure = _file is null ? _failure : null;
            }
            catch (Exception error)
            {
                Fail(error);
            }
        }
    }

    /// <summary>That a file opens does not mean that it takes a line: a full disk opens well.</summary>
    private void Probe()
    {
        lock (_gate)
        {
            try
            {
                // First ends a line that was cut off.
                _file?.Write("\n"u8);
            }
            catch (Exception error)
            {
                Fail(error);
            }
        }
    }

    /// <summary>Closes the file.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            _file?.Dispose();
            _file = null;
            _json.Dispose();
        }
    }

    private void Format(in AuditRecord record)
    {
        _line.ResetWrittenCount();
        _json.Reset(_line);
        _json.WriteStartObject();
        _json.WriteString("time"u8, _clock.GetUtcNow());
        _json.WriteNumber("call"u8, record.CallId);
        if (record.Request is { } request)
        {
            _json.WriteString("method"u8, request.Method);
            _json.WriteString("argument"u8, request.Argument);
            _json.WriteString("source"u8, request.Source);
            _json.WriteString("target"u8, record.Target ?? request.Destination);
        }
        _json.WriteNumber("uid"u8, record.Caller.Uid);
        _json.WriteNumber("pid"u8, record.Caller.Pid);
        _json.WriteString("decision"u8, record.Verdict is null ? "-" : record.Verdict.Allowed ? "allow" : "deny");
        if (record.Verdict is { } verdict)
        {
            _json.WriteString("rule"u8, verdict.Rule);
            if (!verdict.Allowed)
            {
                _json.WriteString("reason"u8, verdict.Reason);
            }
            if (verdict.StaleSince is { } since)
            {
                _json.WriteString("policy"u8, $"stale since={since:O}");
            }
        }
        _json.WriteString("outcome"u8, record.Outcome);
        _json.WriteNumber("ms"u8, Math.Round(record.Took.TotalMilliseconds, 3));
        _json.WriteEndObject();
        _json.Flush();
        _line.Write("\n"u8);
    }

    private void Fail(Exception error)
    {
        _failure = error.Message;
        Log.AuditBroken(_log, _path, error);
    }
}
