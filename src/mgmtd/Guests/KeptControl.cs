using System.Buffers.Binary;
using System.Globalization;
using System.Net.Sockets;
using Mgmt.Core;
using Mgmt.Qrexec;
using Microsoft.Win32.SafeHandles;

namespace Mgmt.Daemon;

/// <summary>
/// The control channel to a VM's agent at the service manager, and what is to be known of it in a file without a name (memfd) beside it. The file has two places that are written in turn, each with a
/// number above its bytes, so that one is whole whenever the daemon is killed. SHAPE of a place: number u64, length u32, the bytes; the bytes are written first.
/// </summary>
internal sealed class KeptControl(VmRun run, DescriptorStore store) : IKeptControl
{
    private const int PlaceBytes = 128 * 1024;
    private const int HeaderBytes = 12;
    private readonly string _control = string.Create(CultureInfo.InvariantCulture, $"control-{run.Pid}-{run.StartTicks}");
    private readonly string _state = string.Create(CultureInfo.InvariantCulture, $"control-state-{run.Pid}-{run.StartTicks}");
    private readonly Lock _gate = new();
    // Under the gate.
    private SafeFileHandle? _file;
    private ulong _number;

    public (Stream Control, ReadOnlyMemory<byte> State)? Take()
    {
        lock (_gate)
        {
            _file = store.Take(_state);
            if (store.TakeSocket(_control) is { } control)
            {
                return (new KeptStream(control), Read());
            }
            Drop();
            return null;
        }
    }

    public Stream Keep(Stream control)
    {
        if (control is not NetworkStream { Socket: var socket } || !ServiceManager.IsThere)
        {
            return control;
        }
        lock (_gate)
        {
            Drop();
            (_file, _number) = (Native.MakeMemoryFile(_state), 0);
            if (_file is null)
            {
                return control;
            }
            store.Keep(_state, _file);
            store.Keep(_control, socket.SafeHandle);
            return new KeptStream(socket);
        }
    }

    public void Write(ReadOnlySpan<byte> state)
    {
        lock (_gate)
        {
            if (_file is not { } file)
            {
                return;
            }
            try
            {
                if (state.Length > PlaceBytes - HeaderBytes)
                {
                    throw new IOException("too much is open");
                }
                WriteInto(file, state);
            }
            catch (IOException)
            {
                // What is not known cannot be gone on with.
                Drop();
            }
        }
    }

    public void Forget()
    {
        lock (_gate)
        {
            Drop();
        }
    }

    private void WriteInto(SafeFileHandle file, ReadOnlySpan<byte> state)
    {
        var place = (long)(++_number % 2) * PlaceBytes;
        var header = new byte[HeaderBytes];
        BinaryPrimitives.WriteUInt64LittleEndian(header, _number);
        BinaryPrimitives.WriteInt32LittleEndian(header.AsSpan(8), state.Length);
        RandomAccess.Write(file, state, place + HeaderBytes);
        RandomAccess.Write(file, header, place);
    }

    private void Drop()
    {
        store.Forget(_control);
        store.Forget(_state);
        _file?.Dispose();
        _file = null;
    }

    /// <summary>The newer of the two; empty when there is none.</summary>
    private ReadOnlyMemory<byte> Read()
    {
        var newest = ReadOnlyMemory<byte>.Empty;
        foreach (var place in _file is null ? [] : new[] { 0, PlaceBytes })
        {
            var bytes = new byte[PlaceBytes];
            var read = RandomAccess.Read(_file!, bytes, place);
            var number = read >= HeaderBytes ? BinaryPrimitives.ReadUInt64LittleEndian(bytes) : 0;
            var length = read >= HeaderBytes ? BinaryPrimitives.ReadInt32LittleEndian(bytes.AsSpan(8)) : 0;
            if (number > _number && length >= 0 && length <= read - HeaderBytes)
            {
                (_number, newest) = (number, bytes.AsMemory(HeaderBytes, length));
            }
        }
        return newest;
    }
}
