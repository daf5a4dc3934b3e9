using System.Globalization;
using System.Numerics;

namespace Mgmt.Cli.Formats;

/// <summary>
/// A number of bytes, as people write it.
/// <code>
/// size = number [ unit ]      number = digits [ "." digits ]      the whole must be a whole number of bytes below 2^63
/// unit = "B" | "K" | "KiB" | "M" | "MiB" | "G" | "GiB" | "T" | "TiB" | "P" | "PiB"    by 1024      | "kB" | "MB" | "GB" | "TB" | "PB"    by 1000
/// </code>
/// </summary>
internal readonly record struct ByteSize(long Bytes)
{
    private const int MaxDigits = 20;

    private static readonly (string Unit, long Bytes)[] s_units =
    [
        ("", 1), ("B", 1), ("K", 1L << 10), ("KiB", 1L << 10), ("M", 1L << 20), ("MiB", 1L << 20), ("G", 1L << 30), ("GiB", 1L << 30),
        ("T", 1L << 40), ("TiB", 1L << 40), ("P", 1L << 50), ("PiB", 1L << 50),
        ("kB", 1_000), ("MB", 1_000_000), ("GB", 1_000_000_000), ("TB", 1_000_000_000_000), ("PB", 1_000_000_000_000_000),
    ];

    /// <summary>ERRORS: UsageException.</summary>
    public static ByteSize Parse(string text)
    {
        var end = text.AsSpan().IndexOfAnyExcept("0123456789.");
        var (number, unit) = end < 0 ? (text, "") : (text[..end], text[end..].TrimStart(' '));
        var digits = number.Split('.');
        var factor = Array.Find(s_units, known => known.Unit == unit);
        if (digits.Length > 2 || digits.Any(part => part.Length is 0 or > MaxDigits) || factor.Bytes == 0)
        {
            throw new UsageException($"'{text}' is no size; a size is a number of bytes, or such as 512MiB or 10GiB");
        }
        var scaled = BigInteger.Parse(string.Concat(digits), CultureInfo.InvariantCulture) * factor.Bytes;
        var (bytes, rest) = BigInteger.DivRem(scaled, digits.Length == 2 ? BigInteger.Pow(10, digits[1].Length) : 1);
        return rest.IsZero && bytes <= long.MaxValue ? new ByteSize((long)bytes) : throw new UsageException($"'{text}' is not a whole number of bytes below 2^63");
    }

    /// <summary>A text from the daemon as a cell: digits are a size, anything else stays text.</summary>
    public static object Cell(string text) => long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var bytes) ? new ByteSize(bytes) : text;

    /// <summary>The digits: what the daemon and scripts read.</summary>
    public override string ToString() => Bytes.ToString(CultureInfo.InvariantCulture);

    /// <summary>Short, for people: <c>1.5 GiB</c>.</summary>
    public string Readable()
    {
        string[] units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
        var unit = 0;
        double value = Bytes;
        // What would be shown as 1024.0 is one of the next.
        for (; Math.Round(value, 1) >= 1024 && unit < units.Length - 1; unit++)
        {
            value /= 1024;
        }
        return string.Create(CultureInfo.InvariantCulture, $"{value:0.#} {units[unit]}");
    }
}
