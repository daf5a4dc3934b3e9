using System.Text;

namespace Mgmt.Api;

/// <summary>Value rules: a change of a property or feature is also asked as <c>+NAME+VALUE</c> where the value could be an argument.</summary>
internal static class Values
{
    private const int MaxLength = 256;

    internal static string? Argument(CallContext call) => Argument(call, call.Payload.Bytes.Span);

    internal static string? Argument(CallContext call, ReadOnlySpan<byte> value)
    {
        if (value.IsEmpty || value.Length > MaxLength)
        {
            return null;
        }
        foreach (var b in value)
        {
            if (!Charset.Argument.Contains((char)b))
            {
                return null;
            }
        }
        return $"+{call.Argument}+{Encoding.ASCII.GetString(value)}";
    }
}
