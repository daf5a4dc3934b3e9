using System.Text;

namespace Mgmt.Machined.Tests;

/// <summary>The body of a message, value after value. SOURCE: D-Bus specification, "Marshaling (Wire Format)"; little endian.</summary>
internal sealed class BusBody
{
    private readonly List<byte> _bytes = [];

    public byte[] Bytes => [.. _bytes];

    public BusBody Text(string text)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        UInt32((uint)bytes.Length);
        _bytes.AddRange([.. bytes, 0]);
        return this;
    }

    public BusBody UInt32(uint value)
    {
        Align(4);
        _bytes.AddRange(BitConverter.GetBytes(value));
        return this;
    }

    public BusBody UInt64(ulong value)
    {
        Align(8);
        _bytes.AddRange(BitConverter.GetBytes(value));
        return this;
    }

    public BusBody Bytes16(byte value) => UInt32(16).Raw([.. Enumerable.Repeat(value, 16)]);

    public BusBody Raw(params byte[] bytes)
    {
        _bytes.AddRange(bytes);
        return this;
    }

    /// <summary>A variant of that type; its value comes next.</summary>
    public BusBody Variant(string type) => Raw([(byte)type.Length, .. Encoding.ASCII.GetBytes(type), 0]);

    /// <summary>An array of so many elements, each beginning at a multiple of <paramref name="align"/>.</summary>
    public BusBody Array(int align, int count, Action<BusBody, int> element)
    {
        UInt32(0);
        var at = _bytes.Count - 4;
        Align(align);
        var start = _bytes.Count;
        for (var n = 0; n < count; n++)
        {
            Align(align);
            element(this, n);
        }
        var length = BitConverter.GetBytes((uint)(_bytes.Count - start));
        for (var n = 0; n < length.Length; n++)
        {
            _bytes[at + n] = length[n];
        }
        return this;
    }

    /// <summary>A <c>{sv}</c> of an <c>a{sv}</c> up to its value, which comes next.</summary>
    public BusBody Property(string name, string type)
    {
        Align(8);
        return Text(name).Variant(type);
    }

    private void Align(int to)
    {
        while (_bytes.Count % to != 0)
        {
            _bytes.Add(0);
        }
    }
}
