namespace Mgmt.Qrexec;

/// <summary>The types of qrexec messages. SOURCE: qrexec protocol, versions 2 to 4 (Qubes OS 3.0 to 4.3).</summary>
public enum MessageType : uint
{
    /// <summary>Data channel: bytes for the service's standard input; empty: its end.</summary>
    DataStdin = 0x190,
    /// <summary>Data channel: bytes of the service's standard output; empty: its end.</summary>
    DataStdout = 0x191,
    /// <summary>Data channel: bytes of the service's standard error; empty: its end.</summary>
    DataStderr = 0x192,
    /// <summary>Data channel: how the service ended, a signed 32-bit number; the last message.</summary>
    DataExitCode = 0x193,
    /// <summary>Control channel, host to guest: run a command, connected to a data channel.</summary>
    ExecCommandLine = 0x200,
    /// <summary>Control channel, host to guest: run a command and nothing more.</summary>
    JustExec = 0x201,
    /// <summary>Control channel, host to guest: a call of the guest's is allowed; here is its data channel.</summary>
    ServiceConnect = 0x202,
    /// <summary>Control channel, host to guest: a call of the guest's is refused.</summary>
    ServiceRefused = 0x203,
    /// <summary>Control channel, guest to host: a call, version 2.</summary>
    TriggerService = 0x210,
    /// <summary>Control channel, guest to host: a data channel is free again.</summary>
    ConnectionTerminated = 0x211,
    /// <summary>Control channel, guest to host: a call, version 3.</summary>
    TriggerService3 = 0x212,
    /// <summary>Control channel, guest to host: a call, version 4, with the source that the guest claims.</summary>
    TriggerService4 = 0x213,
    /// <summary>First on every channel, both ways: the version spoken.</summary>
    Hello = 0x300,
}
