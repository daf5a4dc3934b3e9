using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;
using Mgmt.Core;

namespace Mgmt.Storage;

/// <summary>A logical volume, as lvs reports it. Percentages are null while it is not active.</summary>
internal sealed record LogicalVolume(string Name, string Uuid, string Attributes, long SizeBytes, string Pool, ImmutableArray<string> Tags)
{
    internal double? DataPercent { get; init; }

    internal double? MetadataPercent { get; init; }

    internal long? MetadataSizeBytes { get; init; }

    internal long ExtentBytes { get; init; }

    internal long UsedBytes => (long)(SizeBytes * (DataPercent ?? 0) / 100);

    // SOURCE: lvs(8), "The lv_attr bits are".
    internal bool IsThinPool => Bit(0) == 't';

    internal bool IsActive => Bit(4) == 'a';

    internal bool ZeroesNewBlocks => Bit(7) == 'z';

    internal bool IsDamaged => Bit(8) is 'p' or 'F' or 'M' || Bit(4) is 'c' or 'C' or 'I' or 'S';

    private char Bit(int index) => index < Attributes.Length ? Attributes[index] : '-';
}

/// <summary>
/// The report of lvs. SOURCE: lvmreport(7), "JSON"; every value is a string, numbers in bytes without a unit:
/// <code>
/// {"report": [ {"lv": [ {"lv_name":"tp", "lv_attr":"twi-aotz--", "lv_size":"41943040", "data_percent":"12.50", …}, … ]} ]}
/// </code>
/// </summary>
internal static class LvmReport
{
    internal const string Fields = "lv_name,lv_uuid,lv_attr,lv_size,pool_lv,data_percent,lv_metadata_size,metadata_percent,lv_tags,vg_extent_size";

    /// <summary>Reads a report. ERRORS: StoragePoolException.</summary>
    internal static ImmutableArray<LogicalVolume> Parse(string json)
    {
        try
        {
            using var document = JsonDocument.Parse(json);
            return [.. document.RootElement.GetProperty("report").EnumerateArray().SelectMany(report => report.GetProperty("lv").EnumerateArray()).Select(Read)];
        }
        catch (Exception failure) when (failure is JsonException or KeyNotFoundException or InvalidOperationException or FormatException or OverflowException)
        {
            throw new MgmtException(failure, ErrorCode.StoragePoolException, "The report of lvs is not understood");
        }
    }

    private static LogicalVolume Read(JsonElement row)
    {
        string Text(string field) => row.GetProperty(field).GetString()!;
        var tags = Text("lv_tags");
        return new LogicalVolume(Text("lv_name"), Text("lv_uuid"), Text("lv_attr"), Bytes(Text("lv_size")) ?? 0, Text("pool_lv"), tags.Length == 0 ? [] : [.. tags.Split(',')])
        {
            DataPercent = Percent(Text("data_percent")),
            MetadataPercent = Percent(Text("metadata_percent")),
            MetadataSizeBytes = Bytes(Text("lv_metadata_size")),
            ExtentBytes = Bytes(Text("vg_extent_size")) is > 0 and var extent ? extent : throw new FormatException("an extent of no size"),
        };
    }

    private static long? Bytes(string text) => text.Length == 0 ? null : long.Parse(text, NumberStyles.None, CultureInfo.InvariantCulture);

    private static double? Percent(string text) => text.Length == 0 ? null : double.Parse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture);
}
