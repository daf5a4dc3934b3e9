using System.Buffers;
using System.Text.Json;
using Mgmt.Core;

namespace Mgmt.State.Documents;

/// <summary>
/// The process of a VM. SHAPE: <c>{"pid":N,"start_ticks":N,"boot_id":T,"start_guid":GUID,"started_at":ISO8601,"directory":T,"machine":T,"frozen_at"?:ISO8601}</c>.
/// </summary>
internal static class RunDocument
{
    internal static ReadOnlySpan<byte> Write(VmRun run, ArrayBufferWriter<byte> buffer)
    {
        using (var json = StoredJson.Begin(buffer))
        {
            json.WriteStartObject();
            json.WriteNumber("pid"u8, run.Pid);
            json.WriteNumber("start_ticks"u8, run.StartTicks);
            json.WriteString("boot_id"u8, StoredText.Check(run.BootId));
            json.WriteString("start_guid"u8, run.StartGuid);
            json.WriteString("started_at"u8, run.StartedAt);
            json.WriteString("directory"u8, StoredText.Check(run.Directory));
            json.WriteString("machine"u8, StoredText.Check(run.Machine));
            if (run.FrozenAt is { } frozenAt)
            {
                json.WriteString("frozen_at"u8, frozenAt);
            }
            json.WriteEndObject();
        }
        return buffer.WrittenSpan;
    }

    /// <summary>ERRORS: FormatException, JsonException when the document is damaged.</summary>
    internal static VmRun Read(ReadOnlySpan<byte> text)
    {
        var json = new Utf8JsonReader(text);
        int? pid = null;
        ulong? ticks = null;
        Guid? guid = null;
        DateTimeOffset? at = null, frozen = null;
        string boot = "", directory = "", machine = "";
        json.StartObject();
        while (json.NextField(out var field))
        {
            switch (field)
            {
                case "pid": json.Read(); pid = json.GetInt32(); break;
                case "start_ticks": json.Read(); ticks = json.GetUInt64(); break;
                case "boot_id": boot = json.Text(); break;
                case "start_guid": json.Read(); guid = json.GetGuid(); break;
                case "started_at": json.Read(); at = json.GetDateTimeOffset(); break;
                case "frozen_at": json.Read(); frozen = json.GetDateTimeOffset(); break;
                case "directory": directory = json.Text(); break;
                case "machine": machine = json.Text(); break;
                default: throw StoredJson.Unknown(field);
            }
        }
        return pid is { } process && ticks is { } startTicks && guid is { } startGuid && at is { } startedAt
            ? new VmRun { Pid = process, StartTicks = startTicks, BootId = boot, StartGuid = startGuid, StartedAt = startedAt, Directory = directory, Machine = machine, FrozenAt = frozen }
            : throw new FormatException("a run lacks a field");
    }
}
