using System.Buffers;

namespace Mgmt.Core;

/// <summary>The character sets of names. SOURCE: docs/wire.md, "Names and values".</summary>
public static class Charset
{
    private const string Alnum = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

    /// <summary>Letters, digits, <c>_ . -</c>: VM names, labels, features, pools.</summary>
    public static SearchValues<char> Word { get; } = SearchValues.Create(Alnum + "_.-");

    /// <summary>Letters, digits, <c>_ -</c>: tags.</summary>
    public static SearchValues<char> Tag { get; } = SearchValues.Create(Alnum + "_-");

    /// <summary>Letters, digits, <c>_ . + -</c>: what a qrexec call argument may hold.</summary>
    public static SearchValues<char> Argument { get; } = SearchValues.Create(Alnum + "_.+-");

    /// <summary>Letters, digits, <c>: _ . -</c>: revisions of volumes.</summary>
    public static SearchValues<char> Revision { get; } = SearchValues.Create(Alnum + ":_.-");

    /// <summary>Letters, digits, <c>_ . - /</c>: volume ids.</summary>
    public static SearchValues<char> Vid { get; } = SearchValues.Create(Alnum + "_.-/");

    /// <summary>Whether every character of the text is of the set.</summary>
    public static bool IsAll(ReadOnlySpan<char> text, SearchValues<char> set) => !text.ContainsAnyExcept(set);
}
