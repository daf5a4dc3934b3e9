using static Mgmt.Core.AgentJson;

namespace Mgmt.Core;

// Files and programs of the guest.
public static partial class AgentCommands
{
    /// <summary>Opens a file in the guest; gives its handle.</summary>
    public static AgentCommand<GuestFileOpenArguments, long> FileOpen { get; } =
        new("guest-file-open", "FileOpen", "Opens a file in the guest; gives its handle.", Default.GuestFileOpenArguments, Default.Int64);

    /// <summary>Closes a file.</summary>
    public static AgentCommand<GuestFileArguments, GuestNothing> FileClose { get; } =
        new("guest-file-close", "FileClose", "Closes a file.", Default.GuestFileArguments, Default.GuestNothing) { HandleArgument = "handle" };

    /// <summary>Reads at most 4 MiB of a file.</summary>
    public static AgentCommand<GuestFileReadArguments, GuestFileRead> FileRead { get; } =
        new("guest-file-read", "FileRead", "Reads at most 4 MiB of a file.", Default.GuestFileReadArguments, Default.GuestFileRead) { HandleArgument = "handle", Deadline = TimeSpan.FromSeconds(30), MaxResultBytes = 6 << 20 };

    /// <summary>Writes to a file.</summary>
    public static AgentCommand<GuestFileWriteArguments, GuestFileWrite> FileWrite { get; } =
        new("guest-file-write", "FileWrite", "Writes to a file.", Default.GuestFileWriteArguments, Default.GuestFileWrite) { HandleArgument = "handle", Deadline = TimeSpan.FromSeconds(30) };

    /// <summary>Moves to a place in a file; gives the place.</summary>
    public static AgentCommand<GuestFileSeekArguments, GuestFileSeek> FileSeek { get; } =
        new("guest-file-seek", "FileSeek", "Moves to a place in a file; gives the place.", Default.GuestFileSeekArguments, Default.GuestFileSeek) { HandleArgument = "handle" };

    /// <summary>Writes to the guest's disk what a file holds back.</summary>
    public static AgentCommand<GuestFileArguments, GuestNothing> FileFlush { get; } =
        new("guest-file-flush", "FileFlush", "Writes to the guest's disk what a file holds back.", Default.GuestFileArguments, Default.GuestNothing) { HandleArgument = "handle", Deadline = TimeSpan.FromSeconds(30) };

    /// <summary>Starts a program in the guest as the agent's user, root; gives its process.</summary>
    public static AgentCommand<GuestExecArguments, GuestExec> Exec { get; } =
        new("guest-exec", "Exec", "Starts a program in the guest as the agent's user, root; gives its process.", Default.GuestExecArguments, Default.GuestExec);

    /// <summary>Whether a program has ended; then its status and its output, once.</summary>
    public static AgentCommand<GuestExecStatusArguments, GuestExecStatus> ExecStatus { get; } =
        new("guest-exec-status", "ExecStatus", "Whether a program has ended; then its status and its output, once.", Default.GuestExecStatusArguments, Default.GuestExecStatus)
        {
            // 16 MiB of output and as much of errors, in base64.
            HandleArgument = "pid", Deadline = TimeSpan.FromSeconds(60), MaxResultBytes = 45 << 20,
        };
}
