using System.Text;

namespace Mgmt.Api;

/// <summary>
/// The argument of qubes.VMExec: a program and its arguments.
/// <code>
/// words = word *( "+" word )
/// word = *( letter / digit / "." / "_" / "--" / "-" HEX HEX )      "--" is "-", "-XX" the byte, in upper case
/// </code>
/// SOURCE: Qubes OS, qubes-core-agent-linux, qubesagent/vmexec.py.
/// </summary>
internal static class VmExecArgument
{
    /// <summary>ERRORS: QubesValueError.</summary>
    internal static IReadOnlyList<string> Decode(string argument) => [.. argument.Split('+').Select(Word)];

    private static string Word(string encoded)
    {
        var bytes = new List<byte>(encoded.Length);
        for (var i = 0; i < encoded.Length; i++)
        {
            if (encoded[i] != '-')
            {
                bytes.Add((byte)encoded[i]);
            }
            else if (encoded.AsSpan(i).StartsWith("--"))
            {
                bytes.Add((byte)'-');
                i++;
            }
            else if (i + 2 < encoded.Length && Hex(encoded[i + 1]) is { } high && Hex(encoded[i + 2]) is { } low && high + low > 0)
            {
                bytes.Add((byte)((high << 4) | low));
                i += 2;
            }
            else
            {
                throw Bad();
            }
        }
        try
        {
            return new UTF8Encoding(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true).GetString([.. bytes]);
        }
        catch (DecoderFallbackException)
        {
            throw Bad();
        }
    }

    private static int? Hex(char c) => c is >= '0' and <= '9' ? c - '0' : c is >= 'A' and <= 'F' ? c - 'A' + 10 : null;

    private static MgmtException Bad() => new(ErrorCode.QubesValueError, "The argument is no encoded command: words with + between them, -- for - and -XX for other bytes of UTF-8");
}
