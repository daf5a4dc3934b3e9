namespace Mgmt.Machined.Bus;

/// <summary>Writes the arguments of one message, in order, on the bus thread.</summary>
internal readonly struct BusWriter(nint message)
{
    public void String(string value) => Check(SdBus.AppendText(message, SdBus.TypeString, value));

    public void Int32(int value) => Check(SdBus.AppendInt32(message, SdBus.TypeInt32, value));

    public void Strings(IEnumerable<string> values)
    {
        OpenArray("s");
        foreach (var value in values)
        {
            String(value);
        }
        Close();
    }

    public void UInt32(uint value) => Check(SdBus.AppendUInt32(message, SdBus.TypeUInt32, value));

    public void UInt64(ulong value) => Check(SdBus.AppendUInt64(message, SdBus.TypeUInt64, value));

    // A boolean is a 32-bit word on the bus.
    public void Boolean(bool value) => Check(SdBus.AppendUInt32(message, SdBus.TypeBoolean, value ? 1u : 0u));

    public unsafe void Bytes(ReadOnlySpan<byte> value)
    {
        fixed (byte* start = value)
        {
            Check(SdBus.AppendArray(message, SdBus.TypeByte, start, (nuint)value.Length));
        }
    }

    public void OpenArray(string element) => Check(SdBus.OpenContainer(message, SdBus.TypeArray, element));

    /// <summary>An array without elements.</summary>
    public void EmptyArray(string element)
    {
        OpenArray(element);
        Close();
    }

    /// <summary>One <c>(sv)</c> whose value is a string.</summary>
    public void Property(string name, string value)
    {
        OpenProperty(name, "s");
        String(value);
        CloseProperty();
    }

    public void OpenProperty(string name, string type)
    {
        Check(SdBus.OpenContainer(message, SdBus.TypeStruct, "sv"));
        String(name);
        Check(SdBus.OpenContainer(message, SdBus.TypeVariant, type));
    }

    public void CloseProperty()
    {
        Close();
        Close();
    }

    public void Close() => Check(SdBus.CloseContainer(message));

    // Only a name or text that is not valid on the bus gets here: the caller checks them, so this is a bug of ours.
    private static void Check(int result)
    {
        if (result < 0)
        {
            throw new BusFormatException($"argument not writable, errno {-result}");
        }
    }
}
