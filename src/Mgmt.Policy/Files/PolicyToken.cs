using Mgmt.Core;
using System.Security.Cryptography;

namespace Mgmt.Policy;

// token = ["force:"] ( "any" | "new" | "sha256:" 64HEX )
/// <summary>What a caller believes of the file that it changes, so that nobody undoes a change of somebody else unseen.</summary>
/// <param name="Text">any, new, or the digest of the version that was read.</param>
/// <param name="Force">Whether the caller may lock itself out.</param>
public readonly record struct PolicyToken(string Text, bool Force)
{
    /// <summary>What stands before a token of a caller that may lock itself out.</summary>
    public const string ForcePrefix = "force:";
    private const string Any = "any";
    private const string New = "new";
    private const string DigestPrefix = "sha256:";
    private const int DigestLength = 64;

    /// <summary>The token of a version.</summary>
    public static string Of(ReadOnlySpan<byte> bytes) => DigestPrefix + Convert.ToHexStringLower(SHA256.HashData(bytes));

    /// <summary>ERRORS: QubesValueError.</summary>
    public static PolicyToken Parse(string text)
    {
        var force = text.StartsWith(ForcePrefix, StringComparison.Ordinal);
        var token = force ? text[ForcePrefix.Length..] : text;
        return token is Any or New || IsDigest(token)
            ? new(token, force)
            : throw new MgmtException(ErrorCode.QubesValueError, "Not a token: expected any, new, or sha256: and 64 hexadecimal digits; force: may stand before it");
    }

    /// <summary>Whether it names a version.</summary>
    public static bool IsDigest(string token) => token.Length == DigestPrefix.Length + DigestLength
        && token.StartsWith(DigestPrefix, StringComparison.Ordinal) && token.AsSpan(DigestPrefix.Length).IndexOfAnyExcept("0123456789abcdef") < 0;

    /// <summary>Compares it with the file as it is; null is none. ERRORS: QubesException.</summary>
    public void Check(PolicyFileName file, byte[]? current)
    {
        switch (Text)
        {
            case Any:
            case New when current is null:
                return;
            case New:
                throw new MgmtException(ErrorCode.QubesException, "%s exists, and the token says new", file.Path);
            case var _ when current is null:
                throw new MgmtException(ErrorCode.QubesException, "%s does not exist, and the token is that of a version of it", file.Path);
            case var digest when digest != Of(current):
                throw new MgmtException(ErrorCode.QubesException, "Token mismatch: %s was changed since it was read", file.Path);
        }
    }
}
