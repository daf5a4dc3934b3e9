using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Mgmt.Core;
using Microsoft.Win32.SafeHandles;

namespace Mgmt.Qemu;

/// <summary>
/// Writes QEMU's command line. A pure function of what is to run: no text of a user's gets in except a VM's name, its uuid and
/// the kernel's command line, which is one argument of its own. All files are descriptors; formats are said, never probed.
/// </summary>
internal sealed class QemuCommandLine
{
    internal const int FirstDescriptor = 10;
    internal const string PortPrefix = "hotplug";
    internal const string MicrophoneId = "mic";
    internal const string AgentPortId = "agent";
    /// <summary>Ports of the bus: the console's number, the guest agent's, and some to spare.</summary>
    private const int ReservedPorts = 6;
    private const int MinPorts = 16;
    internal const string GuestPortPrefix = "qrexec";
    internal const string AgentPortPrefix = "exec";
    private const string Encrypted = "luks";

    private readonly List<string> _arguments = [];
    private readonly List<InheritedFile> _files = [];
    private readonly List<string> _keys = [];

    private QemuCommandLine()
    {
    }

    /// <summary>The plan for a launch. ERRORS: QubesException for a volume without layers or with a format we do not know.</summary>
    public static QemuPlan Build(VmLaunch launch, QemuHost host, QemuOptions options)
    {
        var line = new QemuCommandLine();
        line.Add(options.QemuBinary);
        line.AddMachine(launch, host, options.TcgCacheMiB);
        line.AddControl(launch, options.GuestPorts + options.GuestAgentPorts);
        line.AddPorts(options.GuestPorts, InheritedKind.GuestPort, GuestPortPrefix, "org.mgmt.qrexec");
        line.AddPorts(options.GuestAgentPorts, InheritedKind.GuestAgentPort, AgentPortPrefix, "org.mgmt.agent");
        line.AddVsock(launch, options);
        line.AddDevicePorts(options);
        line.AddBoot(launch);
        foreach (var disk in launch.Disks)
        {
            line.AddDisk(disk, bootable: launch.Boot is null && disk.Name == VolumeName.Root);
        }
        return new QemuPlan([.. line._arguments], [.. line._files]) { Keys = [.. line._keys] };
    }

    private void AddMachine(VmLaunch launch, QemuHost host, int tcgCacheMiB)
    {
        Add("-name", $"guest={launch.Name.Value}");
        Add("-uuid", launch.Uuid.ToString("D"));
        Add("-smbios", QemuProcess.Mark(launch.StartGuid));
        Add("-machine", "q35,usb=off,vmport=off,dump-guest-core=off");
        Add("-accel", host.IsKvm ? "kvm" : Invariant($"tcg,tb-size={tcgCacheMiB}"));
        Add("-cpu", host.CpuModel);
        Add("-m", Invariant($"{launch.MemoryMiB}"));
        Add("-smp", Invariant($"{launch.VirtualProcessors}"));
        Add("-nodefaults", "-no-user-config");
        Add("-display", "none");
        Add("-rtc", "base=utc");
        // A panic stops the guest, so that it can be looked at; a reset resets, and powering off ends the process.
        Add("-device", "pvpanic");
        Add("-action", "panic=pause,reboot=reset,shutdown=poweroff");
        Add("-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
        Add("-S");
    }

    private void AddControl(VmLaunch launch, int ports)
    {
        var monitor = Inherit(InheritedKind.Monitor, null);
        var rescue = Inherit(InheritedKind.Rescue, null);
        var agent = Inherit(InheritedKind.Agent, null);
        Add("-chardev", Invariant($"socket,id=monitor,fd={monitor},server=on,wait=off"), "-mon", "chardev=monitor,mode=control");
        Add("-chardev", Invariant($"socket,id=rescue,fd={rescue},server=on,wait=off"), "-mon", "chardev=rescue,mode=control");
        Add("-chardev", Invariant($"socket,id=agent,fd={agent},server=on,wait=off"));
        // The console's last bytes, in QEMU's memory: whatever a guest prints takes no more (ringbuf-read gives them).
        Add("-chardev", Invariant($"ringbuf,id=console,size={(launch.Debug ? 1 << 20 : 1 << 16)}"), "-serial", "chardev:console");
        Add("-device", Invariant($"virtio-serial-pci,id=channels,max_ports={Math.Max(MinPorts, ports + ReservedPorts)}"));
        Add("-device", $"virtserialport,id={AgentPortId},bus=channels.0,chardev=agent,name=org.qemu.guest_agent.0");
    }

    /// <summary>pcie.0 itself takes no device later, so the ports for those come first. Firmware has I/O addresses for few of them, and nothing that is plugged in needs any.</summary>
    private void AddDevicePorts(QemuOptions options)
    {
        for (var i = 0; i < options.DevicePorts; i++)
        {
            Add("-device", Invariant($"pcie-root-port,id={PortPrefix}{i},chassis={i + 1},bus=pcie.0,io-reserve=0"));
        }
        if (options.AudioBackend.Length > 0)
        {
            Add("-audiodev", $"{options.AudioBackend},id={MicrophoneId}");
        }
    }

    /// <summary>On the same bus as the guest agent's port. SOURCE: docs/guest-channels.md.</summary>
    private void AddPorts(int count, InheritedKind kind, string prefix, string name)
    {
        for (var i = 0; i < count; i++)
        {
            var socket = FirstDescriptor + _files.Count;
            _files.Add(new InheritedFile(socket, kind, null) { Port = i });
            Add("-chardev", Invariant($"socket,id={prefix}{i},fd={socket},server=on,wait=off"));
            Add("-device", Invariant($"virtserialport,id={prefix}{i},bus=channels.0,chardev={prefix}{i},name={name}.{i}"));
        }
    }

    private void AddVsock(VmLaunch launch, QemuOptions options)
    {
        if (options.Vsock)
        {
            Add("-device", Invariant($"vhost-vsock-pci,id=vsock,guest-cid={options.VsockCid(launch.Qid)},vhostfd={Inherit(InheritedKind.Vsock, null)}"));
        }
    }

    private void AddBoot(VmLaunch launch)
    {
        if (launch.Boot is not { Kernel: { } kernel } boot)
        {
            return;
        }
        Add("-kernel", Invariant($"/proc/self/fd/{Inherit(InheritedKind.Boot, kernel)}"));
        if (boot.Initramfs is { } initramfs)
        {
            Add("-initrd", Invariant($"/proc/self/fd/{Inherit(InheritedKind.Boot, initramfs)}"));
        }
        // An emulated serial port is slow: without debug the kernel says only what is wrong.
        Add("-append", $"{launch.KernelOptions} console=ttyS0{(launch.Debug ? "" : " quiet")}".TrimStart());
    }

    private void AddDisk(OpenVolume disk, bool bootable)
    {
        var volume = disk.Name.Wire();
        if (disk.Layers.IsEmpty)
        {
            throw new MgmtException(ErrorCode.QubesException, "volume %s has no image", volume);
        }
        if (disk.Key is not null != disk.Layers.Any(layer => layer.Format == Encrypted) || (disk.Key is not null && disk.Layers.Length > 1))
        {
            throw new MgmtException(ErrorCode.QubesException, "volume %s: one encrypted layer needs one key", volume);
        }
        var key = disk.Key is null ? null : AddKey(disk.Key, volume);
        // From the bottom up: a node must exist before another names it.
        string? below = null;
        for (var i = disk.Layers.Length - 1; i >= 0; i--)
        {
            var layer = disk.Layers[i];
            var node = i == 0 ? volume : Invariant($"{volume}-{i}");
            AddLayer(layer, node, below, key, readOnly: i > 0 || disk.ReadOnly || layer.ReadOnly);
            below = node;
        }
        // A full host stops the guest instead of giving it errors.
        Add("-device", $"virtio-blk-pci,id=disk-{volume},drive={volume},serial={volume},werror={(disk.ReadOnly ? "report" : "stop")}{(bootable ? ",bootindex=1" : "")}");
    }

    private string AddKey(VolumeKey key, string volume)
    {
        var id = $"key-{volume}";
        Add("-object", Invariant($"secret,id={id},file=/proc/self/fd/{Inherit(InheritedKind.Key, null, key)}"));
        _keys.Add(id);
        return id;
    }

    private void AddLayer(ImageLayer layer, string node, string? below, string? key, bool readOnly)
    {
        if (layer.Format is not ("raw" or "qcow2" or Encrypted))
        {
            throw new MgmtException(ErrorCode.QubesException, "unknown image format %s", layer.Format);
        }
        if (below is not null && layer.Format != "qcow2")
        {
            throw new MgmtException(ErrorCode.QubesException, "an image of the format %s cannot stand on another", layer.Format);
        }
        var number = Inherit(readOnly ? InheritedKind.ReadOnlyImage : InheritedKind.Image, layer.File);
        Add("-add-fd", Invariant($"fd={number},set={number}"));
        Add("-blockdev", Json(json =>
        {
            json.WriteString("driver", "file");
            json.WriteString("node-name", $"{node}-file");
            json.WriteString("filename", Invariant($"/dev/fdset/{number}"));
            Access(json, readOnly);
        }));
        Add("-blockdev", Json(json =>
        {
            json.WriteString("driver", layer.Format);
            json.WriteString("node-name", node);
            json.WriteString("file", $"{node}-file");
            if (layer.Format == "qcow2")
            {
                // Said also when there is none, so that a name inside the image is never followed.
                json.WriteString("backing", below);
            }
            if (layer.Format == Encrypted)
            {
                json.WriteString("key-secret", key);
            }
            Access(json, readOnly);
        }));
    }

    private static void Access(Utf8JsonWriter json, bool readOnly)
    {
        json.WriteBoolean("read-only", readOnly);
        if (!readOnly)
        {
            json.WriteString("discard", "unmap");
        }
    }

    private int Inherit(InheritedKind kind, SafeFileHandle? file, VolumeKey? key = null)
    {
        var number = FirstDescriptor + _files.Count;
        _files.Add(new InheritedFile(number, kind, file) { Key = key });
        return number;
    }

    private void Add(params ReadOnlySpan<string> arguments) => _arguments.AddRange(arguments);

    private static string Json(Action<Utf8JsonWriter> members)
    {
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream))
        {
            json.WriteStartObject();
            members(json);
            json.WriteEndObject();
        }
        return Encoding.UTF8.GetString(stream.ToArray());
    }

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
