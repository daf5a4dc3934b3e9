using Microsoft.Extensions.Logging;

namespace Mgmt.Api;

/// <summary>
/// One JSON line per call, written before its reply: source, target, call, decision and the rule's file:line, outcome, milliseconds.
/// SOURCE: docs/architecture.md, "The audit log".
/// </summary>
public sealed class AuditLog : IDisposable
{
    [ThreadStatic]
    private static AuditLine? _lineOfThread;

    private readonly Lock _reopening = new();
    private readonly string _path;
    private readonly TimeProvider _clock;
    private readonly ILogger<AuditLog> _log;
    private volatile AppendFile? _file;
    private volatile string? _failure;

    /// <summary>Opens (appends to) the file; required says whether changes wait for it.</summary>
    public AuditLog(string path, bool required, TimeProvider clock, ILogger<AuditLog> log)
    {
        _path = path;
        _clock = clock;
        _log = log;
        IsRequired = required;
        Reopen();
    }

    /// <summary>Whether changes are refused while it cannot be written.</summary>
    public bool IsRequired { get; }

    /// <summary>Why it cannot be written, or null.</summary>
    public string? Failure => _failure;

    /// <summary>Opens the file anew, after it was moved away or could not be written.</summary>
    public void Reopen()
    {
        lock (_reopening)
        {
            var old = _file;
            try
            {
                _file = new AppendFile(_path);
                _failure = null;
            }
            catch (IOException error)
            {
                _file = null;
                Fail(error);
            }
            old?.Dispose();
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

    /// <summary>
    /// Writes a line. Never throws; a failure is remembered, logged and refuses later changes if the log is required.
    /// Takes no lock: calls are many, and one that waits for the disk would hold up all others.
    /// </summary>
    public void Write(in AuditRecord record)
    {
        var line = _lineOfThread ??= new AuditLine();
        var bytes = line.Format(record, _clock.GetUtcNow());
        while (_file is { } file)
        {
            try
            {
                file.Write(bytes);
                if (_failure is not null)
                {
                    _failure = null;
                }
                return;
            }
            catch (ObjectDisposedException) when (!ReferenceEquals(file, _file))
            {
                // Opened anew meanwhile: the line belongs into the new file.
            }
            catch (Exception error)
            {
                Fail(error);
                return;
            }
        }
    }

    /// <summary>That a file opens does not mean that it takes a line: a full disk opens well.</summary>
    private void Probe()
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

    /// <summary>Closes the file.</summary>
    public void Dispose()
    {
        lock (_reopening)
        {
            var old = _file;
            _file = null;
            old?.Dispose();
        }
    }

    private void Fail(Exception error)
    {
        _failure = error.Message;
        Log.AuditBroken(_log, _path, error);
    }
}
