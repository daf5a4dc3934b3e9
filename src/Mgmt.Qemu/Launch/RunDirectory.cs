using System.Globalization;
using Mgmt.Core;

namespace Mgmt.Qemu;

/// <summary>
/// A VM's run directory, <c>RUN_DIR/vm/QID-NAME</c>, mode 0700 and the daemon's: control sockets that QEMU listens on without being
/// able to reach their paths, and who the process is. File <c>process</c>, lines: boot id, start guid, then pid and start ticks once known.
/// </summary>
internal sealed class RunDirectory(string path)
{
    /// <summary>Its path.</summary>
    public string Path => path;

    /// <summary>The monitor's socket.</summary>
    public string MonitorSocket => System.IO.Path.Combine(path, "qmp");

    /// <summary>The second monitor's socket.</summary>
    public string RescueSocket => System.IO.Path.Combine(path, "rescue");

    /// <summary>The guest agent's socket.</summary>
    public string AgentSocket => System.IO.Path.Combine(path, "agent");

    /// <summary>How many guest ports the VM was started with.</summary>
    public int GuestPorts => Count(GuestPortSocket);

    /// <summary>How many ports of an agent it was started with.</summary>
    public int GuestAgentPorts => Count(GuestAgentSocket);

    /// <summary>The socket of a guest port.</summary>
    public string GuestPortSocket(int port) => System.IO.Path.Combine(path, string.Create(CultureInfo.InvariantCulture, $"port{port}"));

    /// <summary>The socket of an agent's port.</summary>
    public string GuestAgentSocket(int port) => System.IO.Path.Combine(path, string.Create(CultureInfo.InvariantCulture, $"exec{port}"));

    /// <summary>The CID that the VM was started with; null: it has no vsock.</summary>
    public uint? VsockCid => File.Exists(VsockFile) && uint.TryParse(File.ReadAllText(VsockFile), NumberStyles.None, CultureInfo.InvariantCulture, out var cid) ? cid : null;

    private string VsockFile => System.IO.Path.Combine(path, "vsock");

    private string ProcessFile => System.IO.Path.Combine(path, "process");

    /// <summary>The directory with all VMs' directories.</summary>
    public static string Parent(string runDirectory) => System.IO.Path.Combine(runDirectory, "vm");

    /// <summary>The one of a VM.</summary>
    public static RunDirectory Of(string runDirectory, int qid, VmName name) =>
        new(System.IO.Path.Combine(Parent(runDirectory), string.Create(CultureInfo.InvariantCulture, $"{qid}-{name.Value}")));

    /// <summary>All there are.</summary>
    public static IReadOnlyList<RunDirectory> All(string runDirectory) =>
        Directory.Exists(Parent(runDirectory)) ? [.. Directory.EnumerateDirectories(Parent(runDirectory)).Select(p => new RunDirectory(p))] : [];

    /// <summary>Makes it, empty.</summary>
    public void Create()
    {
        const UnixFileMode Owner = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
        Directory.CreateDirectory(System.IO.Path.GetDirectoryName(path)!, Owner);
        Directory.CreateDirectory(path, Owner);
    }

    /// <summary>Whether it is there.</summary>
    public bool Exists => Directory.Exists(path);

    /// <summary>Removes it with all that is in it; removing what is not there does nothing.</summary>
    public void Remove()
    {
        try
        {
            Directory.Delete(path, recursive: true);
        }
        catch (DirectoryNotFoundException)
        {
        }
    }

    /// <summary>Writes down the VM's CID.</summary>
    public void WriteVsockCid(uint cid) => File.WriteAllText(VsockFile, cid.ToString(CultureInfo.InvariantCulture));

    /// <summary>Writes down whose directory it is, before (pid null) and after the process was made.</summary>
    public void WriteProcess(Guid startGuid, int? pid, ulong? startTicks)
    {
        var text = string.Create(CultureInfo.InvariantCulture, $"{ProcessStat.BootId}\n{startGuid:D}\n{pid} {startTicks}\n");
        File.WriteAllText(ProcessFile + ".new", text);
        File.Move(ProcessFile + ".new", ProcessFile, overwrite: true);
    }

    /// <summary>Reads it back. Null: unreadable, or never written.</summary>
    public RecordedProcess? ReadProcess()
    {
        try
        {
            var lines = File.ReadAllLines(ProcessFile);
            var who = lines[2].Split(' ');
            return new RecordedProcess(
                lines[0],
                Guid.Parse(lines[1]),
                int.TryParse(who[0], CultureInfo.InvariantCulture, out var pid) ? pid : null,
                who.Length > 1 && ulong.TryParse(who[1], CultureInfo.InvariantCulture, out var ticks) ? ticks : null);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or IndexOutOfRangeException or FormatException)
        {
            return null;
        }
    }

    private static int Count(Func<int, string> socket) => Enumerable.Range(0, int.MaxValue).First(i => !File.Exists(socket(i)));
}

/// <summary>What a run directory says of its process. Pid and ticks are null when the daemon died before it knew them.</summary>
internal sealed record RecordedProcess(string BootId, Guid StartGuid, int? Pid, ulong? StartTicks);
