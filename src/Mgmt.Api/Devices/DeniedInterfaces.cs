namespace Mgmt.Api;

/// <summary>
/// Interfaces that a VM must not be given by an attach: codes of seven characters, a letter for the kind and six hexadecimal digits, <c>*</c> for any. They are
/// the property devices_denied, one code after the other.
/// </summary>
internal static class DeniedInterfaces
{
    internal const string Property = "devices_denied";
    private const int CodeLength = 7;

    /// <summary>The codes of a text, sorted, each once. ERRORS: QubesPropertyValueError.</summary>
    internal static IReadOnlyList<string> Parse(string text)
    {
        var codes = new SortedSet<string>(StringComparer.Ordinal);
        for (var i = 0; i < text.Length; i += CodeLength)
        {
            codes.Add(i + CodeLength <= text.Length && IsCode(text.AsSpan(i, CodeLength))
                ? text.Substring(i, CodeLength)
                : throw new MgmtException(ErrorCode.QubesPropertyValueError, "Not a list of interfaces: each has 7 characters, one of p u b m ? and six hexadecimal digits or *"));
        }
        return [.. codes];
    }

    /// <summary>What a VM has.</summary>
    internal static IReadOnlyList<string> Of(VmRecord vm) => Parse(vm.Property(Property) ?? "");

    /// <summary>ERRORS: QubesException when the device has a denied interface.</summary>
    internal static void Check(VmRecord vm, DeviceInfo device)
    {
        foreach (var denied in Of(vm))
        {
            if (device.Interfaces.FirstOrDefault(code => Matches(denied, code)) is { } code)
            {
                throw new MgmtException(ErrorCode.QubesException, "%s must not have a device with interface %s, which %s has", vm.Name.Value, code, device.Address.ToString());
            }
        }
    }

    private static bool Matches(string denied, string code) => denied.Zip(code).All(pair => pair.First is '*' or '?' || pair.First == pair.Second || pair.Second == '*');

    private static bool IsCode(ReadOnlySpan<char> code) => code[0] is 'p' or 'u' or 'b' or 'm' or '?' && !code[1..].ContainsAnyExcept("0123456789abcdef*");
}
