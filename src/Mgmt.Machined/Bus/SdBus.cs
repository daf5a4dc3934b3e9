using System.Runtime.InteropServices;

namespace Mgmt.Machined.Bus;

/// <summary>
/// The non-variadic functions of sd-bus that the daemon uses. Negative results are -errno. A bus and its messages
/// belong to one thread. SOURCE: sd-bus(3).
/// </summary>
internal static unsafe partial class SdBus
{
    private const string Library = "libsystemd.so.0";

    public const byte TypeString = (byte)'s';
    public const byte TypeObjectPath = (byte)'o';
    public const byte TypeInt32 = (byte)'i';
    public const byte TypeUnixFd = (byte)'h';
    public const byte TypeUInt32 = (byte)'u';
    public const byte TypeUInt64 = (byte)'t';
    public const byte TypeBoolean = (byte)'b';
    public const byte TypeByte = (byte)'y';
    public const byte TypeArray = (byte)'a';
    public const byte TypeVariant = (byte)'v';
    public const byte TypeStruct = (byte)'r';
    public const byte TypeDictEntry = (byte)'e';

    [LibraryImport(Library, EntryPoint = "sd_bus_new")]
    public static partial int New(out nint bus);

    [LibraryImport(Library, EntryPoint = "sd_bus_set_address", StringMarshalling = StringMarshalling.Utf8)]
    public static partial int SetAddress(nint bus, string address);

    [LibraryImport(Library, EntryPoint = "sd_bus_set_bus_client")]
    public static partial int SetBusClient(nint bus, int isClient);

    [LibraryImport(Library, EntryPoint = "sd_bus_start")]
    public static partial int Start(nint bus);

    [LibraryImport(Library, EntryPoint = "sd_bus_is_ready")]
    public static partial int IsReady(nint bus);

    [LibraryImport(Library, EntryPoint = "sd_bus_is_open")]
    public static partial int IsOpen(nint bus);

    [LibraryImport(Library, EntryPoint = "sd_bus_get_fd")]
    public static partial int GetFd(nint bus);

    [LibraryImport(Library, EntryPoint = "sd_bus_get_events")]
    public static partial int GetEvents(nint bus);

    /// <summary>Absolute CLOCK_MONOTONIC in microseconds, all ones for none.</summary>
    [LibraryImport(Library, EntryPoint = "sd_bus_get_timeout")]
    public static partial int GetTimeout(nint bus, out ulong untilMicroseconds);

    [LibraryImport(Library, EntryPoint = "sd_bus_process")]
    public static partial int Process(nint bus, nint* message);

    // Not sd_bus_flush_close_unref: flushing waits, without end, for a peer that does not read.
    [LibraryImport(Library, EntryPoint = "sd_bus_close_unref")]
    public static partial nint CloseUnref(nint bus);

    [LibraryImport(Library, EntryPoint = "sd_bus_add_match_async", StringMarshalling = StringMarshalling.Utf8)]
    public static partial int AddMatchAsync(nint bus, nint* slot, string rule, delegate* unmanaged[Cdecl]<nint, nint, nint, int> onMessage, nint onInstalled, nint userdata);

    [LibraryImport(Library, EntryPoint = "sd_bus_call_async")]
    public static partial int CallAsync(nint bus, out nint slot, nint message, delegate* unmanaged[Cdecl]<nint, nint, nint, int> onReply, nint userdata, ulong microseconds);

    [LibraryImport(Library, EntryPoint = "sd_bus_slot_unref")]
    public static partial nint SlotUnref(nint slot);

    [LibraryImport(Library, EntryPoint = "sd_bus_message_unref")]
    public static partial nint MessageUnref(nint message);

    [LibraryImport(Library, EntryPoint = "sd_bus_message_new_method_call", StringMarshalling = StringMarshalling.Utf8)]
    public static partial int NewMethodCall(nint bus, out nint message, string destination, string path, string @interface, string member);

    [LibraryImport(Library, EntryPoint = "sd_bus_message_append_basic", StringMarshalling = StringMarshalling.Utf8)]
    public static partial int AppendText(nint message, byte type, string value);

    [LibraryImport(Library, EntryPoint = "sd_bus_message_append_basic")]
    public static partial int AppendUInt32(nint message, byte type, in uint value);

    [LibraryImport(Library, EntryPoint = "sd_bus_message_append_basic")]
    public static partial int AppendInt32(nint message, byte type, in int value);

    [LibraryImport(Library, EntryPoint = "sd_bus_message_append_basic")]
    public static partial int AppendUInt64(nint message, byte type, in ulong value);

    [LibraryImport(Library, EntryPoint = "sd_bus_message_append_array")]
    public static partial int AppendArray(nint message, byte type, byte* values, nuint sizeBytes);

    [LibraryImport(Library, EntryPoint = "sd_bus_message_open_container", StringMarshalling = StringMarshalling.Utf8)]
    public static partial int OpenContainer(nint message, byte type, string contents);

    [LibraryImport(Library, EntryPoint = "sd_bus_message_close_container")]
    public static partial int CloseContainer(nint message);

    [LibraryImport(Library, EntryPoint = "sd_bus_message_enter_container", StringMarshalling = StringMarshalling.Utf8)]
    public static partial int EnterContainer(nint message, byte type, string contents);

    [LibraryImport(Library, EntryPoint = "sd_bus_message_exit_container")]
    public static partial int ExitContainer(nint message);

    [LibraryImport(Library, EntryPoint = "sd_bus_message_read_basic")]
    public static partial int ReadText(nint message, byte type, out byte* value);

    [LibraryImport(Library, EntryPoint = "sd_bus_message_read_basic")]
    public static partial int ReadUInt32(nint message, byte type, out uint value);

    [LibraryImport(Library, EntryPoint = "sd_bus_message_read_basic")]
    public static partial int ReadInt32(nint message, byte type, out int value);

    [LibraryImport(Library, EntryPoint = "sd_bus_message_read_basic")]
    public static partial int ReadUInt64(nint message, byte type, out ulong value);

    /// <summary>Passes over values of these types.</summary>
    [LibraryImport(Library, EntryPoint = "sd_bus_message_skip", StringMarshalling = StringMarshalling.Utf8)]
    public static partial int Skip(nint message, string types);

    [LibraryImport(Library, EntryPoint = "sd_bus_message_read_array")]
    public static partial int ReadArray(nint message, byte type, out byte* values, out nuint sizeBytes);

    [LibraryImport(Library, EntryPoint = "sd_bus_message_get_error")]
    public static partial Error* GetError(nint message);

    /// <summary>An error, owned by its message.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public readonly struct Error
    {
        public readonly byte* Name;
        public readonly byte* Message;
        public readonly int NeedFree;
    }
}
