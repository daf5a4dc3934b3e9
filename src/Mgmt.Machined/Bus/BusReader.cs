using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace Mgmt.Machined.Bus;

/// <summary>
/// Reads one message, in order, inside the callback that got it. sd-bus has checked lengths, UTF-8 and signatures;
/// here every text and array is capped before it is copied. Throws BusFormatException.
/// </summary>
internal readonly unsafe struct BusReader(nint message)
{
    private const int TextBytes = 4096;

    public string String() => Text(SdBus.TypeString);

    public string ObjectPath() => Text(SdBus.TypeObjectPath);

    public uint UInt32()
    {
        Check(SdBus.ReadUInt32(message, SdBus.TypeUInt32, out var value));
        return value;
    }

    public int Int32()
    {
        Check(SdBus.ReadInt32(message, SdBus.TypeInt32, out var value));
        return value;
    }

    /// <summary>An open file, as one of our own: the message closes its.</summary>
    public SafeFileHandle File()
    {
        Check(SdBus.ReadInt32(message, SdBus.TypeUnixFd, out var fd));
        return Libc.Duplicate(fd) ?? throw new BusFormatException("the open file of the message cannot be kept");
    }

    public ulong UInt64()
    {
        Check(SdBus.ReadUInt64(message, SdBus.TypeUInt64, out var value));
        return value;
    }

    public bool Boolean()
    {
        Check(SdBus.ReadUInt32(message, SdBus.TypeBoolean, out var value));
        return value != 0;
    }

    /// <summary>Passes over values of these types.</summary>
    public void Skip(string types) => Check(SdBus.Skip(message, types));

    /// <summary>An <c>ay</c> of at most so many bytes.</summary>
    public byte[] Bytes(int mostBytes)
    {
        Check(SdBus.ReadArray(message, SdBus.TypeByte, out var start, out var size));
        return size <= (nuint)mostBytes
            ? new ReadOnlySpan<byte>(start, (int)size).ToArray()
            : throw new BusFormatException("too many bytes in an array");
    }

    public void EnterVariant(string type) => Check(SdBus.EnterContainer(message, SdBus.TypeVariant, type));

    public void EnterArray(string element) => Check(SdBus.EnterContainer(message, SdBus.TypeArray, element));

    /// <summary>False at the end of the array.</summary>
    public bool TryEnterStruct(string members) => TryEnter(SdBus.TypeStruct, members);

    /// <summary>A key and its value; false at the end of the array.</summary>
    public bool TryEnterEntry(string members) => TryEnter(SdBus.TypeDictEntry, members);

    /// <summary>False at the end of the array.</summary>
    public bool TryInt32(out int value)
    {
        var result = SdBus.ReadInt32(message, SdBus.TypeInt32, out value);
        return result >= 0 ? result > 0 : throw new BusFormatException($"no number, errno {-result}");
    }

    /// <summary>False at the end of the array.</summary>
    public bool TryString(out string text)
    {
        var result = SdBus.ReadText(message, SdBus.TypeString, out var value);
        if (result < 0)
        {
            throw new BusFormatException($"no text, errno {-result}");
        }
        text = result > 0 ? Copy(value) : "";
        return result > 0;
    }

    public void Exit() => Check(SdBus.ExitContainer(message));

    /// <summary>The error that this message is, or null.</summary>
    public BusFailure? Error()
    {
        var error = SdBus.GetError(message);
        return error is null || error->Name is null
            ? null
            : BusFailure.FromError(Copy(error->Name), error->Message is null ? "" : Copy(error->Message));
    }

    private bool TryEnter(byte type, string members)
    {
        var result = SdBus.EnterContainer(message, type, members);
        return result > 0 || (result == 0 ? false : throw new BusFormatException($"no ({members}), errno {-result}"));
    }

    private string Text(byte type)
    {
        var result = SdBus.ReadText(message, type, out var value);
        return result > 0 ? Copy(value) : throw new BusFormatException($"no text, errno {-result}");
    }

    private static string Copy(byte* text)
    {
        var bytes = MemoryMarshal.CreateReadOnlySpanFromNullTerminated(text);
        return bytes.Length <= TextBytes ? Encoding.UTF8.GetString(bytes) : throw new BusFormatException("text too long");
    }

    private static void Check(int result)
    {
        if (result <= 0)
        {
            throw new BusFormatException($"message of another shape, errno {-result}");
        }
    }
}
