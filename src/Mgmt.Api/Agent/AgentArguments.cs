using System.Buffers;
using System.Text.Json;

namespace Mgmt.Api;

/// <summary>
/// A payload of a <c>vm.agent.*</c> call. SHAPE: one JSON object, the arguments of the reference; nothing is <c>{}</c>. Where the reference has a file's or a process's
/// number, a caller writes the id that it was given.
/// </summary>
internal static class AgentArguments
{
    private const int MaxDepth = 8;
    private static readonly JsonDocumentOptions s_strict = new() { MaxDepth = MaxDepth, AllowDuplicateProperties = false };

    /// <summary>
    /// The arguments as the agent reads them, null for none. <paramref name="number"/> turns an id into the guest's number. ERRORS: ProtocolError for what is no JSON object;
    /// QubesValueError for a member that is unknown, missing or of a wrong type.
    /// </summary>
    internal static (string? Json, string? Id) Read(AgentCommand command, ReadOnlyMemory<byte> payload, Func<string, long> number)
    {
        using var given = Parse(command, payload);
        if (given.RootElement.ValueKind != JsonValueKind.Object)
        {
            throw new MgmtException(ErrorCode.ProtocolError, "the payload of %s is a JSON object: %s", command.Call, AgentShape.Describe(command.Arguments));
        }
        var id = Id(command, given.RootElement);
        using var arguments = id is null ? null : JsonDocument.Parse(WithNumber(command, given.RootElement, number(id)), s_strict);
        var checkedArguments = arguments?.RootElement ?? given.RootElement;
        AgentShape.CheckArguments(command, checkedArguments);
        return (checkedArguments.EnumerateObject().Any() ? checkedArguments.GetRawText() : null, id);
    }

    private static JsonDocument Parse(AgentCommand command, ReadOnlyMemory<byte> payload)
    {
        try
        {
            var document = JsonDocument.Parse(payload.IsEmpty ? "{}"u8.ToArray() : payload, s_strict);
            RefuseHalfSurrogates(document.RootElement);
            return document;
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException)
        {
            throw new MgmtException(error, ErrorCode.ProtocolError, "the payload of %s is no JSON that we take: one object, no member twice, nested at most %s deep", command.Call, "8");
        }
    }

    // Left in, they would throw wherever the text is read first.
    private static void RefuseHalfSurrogates(JsonElement element)
    {
        switch (element.ValueKind)
        {
            case JsonValueKind.String:
                element.GetString();
                break;
            case JsonValueKind.Array:
                foreach (var item in element.EnumerateArray())
                {
                    RefuseHalfSurrogates(item);
                }
                break;
            case JsonValueKind.Object:
                foreach (var member in element.EnumerateObject())
                {
                    _ = member.Name;
                    RefuseHalfSurrogates(member.Value);
                }
                break;
        }
    }

    private static string? Id(AgentCommand command, JsonElement given)
    {
        if (command.HandleArgument is not { } name)
        {
            return null;
        }
        return given.TryGetProperty(name, out var member) && member.ValueKind == JsonValueKind.String
            ? member.GetString()
            : throw new MgmtException(ErrorCode.QubesValueError, "arguments of %s: '%s' is the text that %s gave", command.Name, name, name == "pid" ? "Exec" : "FileOpen");
    }

    private static ReadOnlyMemory<byte> WithNumber(AgentCommand command, JsonElement given, long number)
    {
        var bytes = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(bytes))
        {
            json.WriteStartObject();
            foreach (var member in given.EnumerateObject())
            {
                if (member.Name == command.HandleArgument)
                {
                    json.WriteNumber(member.Name, number);
                }
                else
                {
                    member.WriteTo(json);
                }
            }
            json.WriteEndObject();
        }
        return bytes.WrittenMemory;
    }
}
