namespace Mgmt.Core;

/// <summary>Of guest-exec: a program, found on the agent's PATH unless it is a path; what it reads; whether its output is kept.</summary>
public sealed record GuestExecArguments(
    string Path, IReadOnlyList<string>? Arg = null, IReadOnlyList<string>? Env = null, ReadOnlyMemory<byte>? InputData = null, bool? CaptureOutput = null);

/// <summary>The process that was started.</summary>
public sealed record GuestExec(long Pid);

/// <summary>Of guest-exec-status.</summary>
public sealed record GuestExecStatusArguments(long Pid);

/// <summary>How a process is: its output is there once it has ended, at most 16 MiB of each.</summary>
public sealed record GuestExecStatus(
    bool Exited, long? Exitcode = null, long? Signal = null, ReadOnlyMemory<byte>? OutData = null, ReadOnlyMemory<byte>? ErrData = null,
    bool? OutTruncated = null, bool? ErrTruncated = null);
