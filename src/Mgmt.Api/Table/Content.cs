using System.Buffers;
using System.Text;

namespace Mgmt.Api;

/// <summary>Making OK contents.</summary>
public static class Content
{
    /// <summary>Nothing: the reply of a call that only does something.</summary>
    public static ReadOnlyMemory<byte> Empty => default;

    /// <summary>Text as it is.</summary>
    public static ReadOnlyMemory<byte> Text(string text) => Encoding.UTF8.GetBytes(text);

    /// <summary>SHAPE: <c>ITEM\n</c> each.</summary>
    public static ReadOnlyMemory<byte> Lines<T>(IEnumerable<T> items)
    {
        var text = new StringBuilder();
        foreach (var item in items)
        {
            text.Append(item).Append('\n');
        }
        return Text(text.ToString());
    }

    /// <summary>The bytes a buffer holds.</summary>
    public static ReadOnlyMemory<byte> Of(ArrayBufferWriter<byte> buffer) => buffer.WrittenMemory;
}
