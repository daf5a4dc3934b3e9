using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace Mgmt.Core;

/// <summary>Whether JSON has the shape that a record of the agent's commands says.</summary>
public static class AgentShape
{
    /// <summary>
    /// Checks arguments, which may have no member that the reference has not. <paramref name="arguments"/> is an object.
    /// ERRORS: QubesValueError, with what is wrong and where.
    /// </summary>
    public static void CheckArguments(AgentCommand command, JsonElement arguments)
    {
        ArgumentNullException.ThrowIfNull(command);
        if (Problem(arguments, command.Arguments, "", strict: true) is { } problem)
        {
            throw new MgmtException(ErrorCode.QubesValueError, "arguments of %s: %s", command.Name, problem);
        }
    }

    /// <summary>Checks an answer. Members that a newer agent adds are let be. ERRORS: MgmtUnavailableError.</summary>
    public static void CheckResult(AgentCommand command, JsonElement answer)
    {
        ArgumentNullException.ThrowIfNull(command);
        if (Problem(answer, command.Result, "", strict: false) is { } problem)
        {
            throw new MgmtException(ErrorCode.MgmtUnavailableError, "the guest agent breaks its protocol: answer to %s: %s", command.Name, problem);
        }
    }

    /// <summary>The shape in a line: <c>{"path": text, "mode"?: text}</c>.</summary>
    public static string Describe(JsonTypeInfo type)
    {
        ArgumentNullException.ThrowIfNull(type);
        return type.Kind switch
        {
            JsonTypeInfoKind.Object => $"{{{string.Join(", ", type.Properties.Select(p => $"\"{p.Name}\"{(IsNeeded(p) ? "" : "?")}: {Describe(TypeOf(p))}"))}}}",
            JsonTypeInfoKind.Enumerable => $"[{Describe(type.Options.GetTypeInfo(type.ElementType!))}]",
            _ => Plain(Bare(type.Type)),
        };
    }

    /// <summary>Whether a member has to be there.</summary>
    public static bool IsNeeded(JsonPropertyInfo property)
    {
        ArgumentNullException.ThrowIfNull(property);
        return property.AssociatedParameter is { HasDefaultValue: false };
    }

    /// <summary>The type of a member.</summary>
    public static JsonTypeInfo TypeOf(JsonPropertyInfo property)
    {
        ArgumentNullException.ThrowIfNull(property);
        return property.Options.GetTypeInfo(Bare(property.PropertyType));
    }

    private static string? Problem(JsonElement value, JsonTypeInfo type, string path, bool strict) => type.Kind switch
    {
        JsonTypeInfoKind.Object => ObjectProblem(value, type, path, strict),
        JsonTypeInfoKind.Enumerable => ListProblem(value, type, path, strict),
        _ => Fits(value, type) ? null : $"{Named(path)} is not {Article(Plain(Bare(type.Type)))}",
    };

    private static string? ObjectProblem(JsonElement value, JsonTypeInfo type, string path, bool strict)
    {
        if (value.ValueKind != JsonValueKind.Object)
        {
            return $"{Named(path)} is not an object";
        }
        foreach (var property in type.Properties)
        {
            if (value.TryGetProperty(property.Name, out var member))
            {
                if (Problem(member, TypeOf(property), Below(path, property.Name), strict) is { } problem)
                {
                    return problem;
                }
            }
            else if (IsNeeded(property))
            {
                return $"{Named(Below(path, property.Name))} is missing";
            }
        }
        if (strict)
        {
            foreach (var member in value.EnumerateObject())
            {
                if (type.Properties.All(property => property.Name != member.Name))
                {
                    return $"there is no {Named(Below(path, Shortened(member.Name)))}";
                }
            }
        }
        return null;
    }

    private static string? ListProblem(JsonElement value, JsonTypeInfo type, string path, bool strict)
    {
        if (value.ValueKind != JsonValueKind.Array)
        {
            return $"{Named(path)} is not a list";
        }
        var element = type.Options.GetTypeInfo(type.ElementType!);
        var index = 0;
        foreach (var item in value.EnumerateArray())
        {
            if (Problem(item, element, string.Create(CultureInfo.InvariantCulture, $"{path}[{index++}]"), strict) is { } problem)
            {
                return problem;
            }
        }
        return null;
    }

    private static bool Fits(JsonElement value, JsonTypeInfo type)
    {
        var bare = Bare(type.Type);
        if (bare == typeof(string))
        {
            // A NUL would end the text early wherever the guest hands it on.
            return value.ValueKind == JsonValueKind.String && !value.GetString()!.Contains('\0', StringComparison.Ordinal);
        }
        if (bare == typeof(long))
        {
            return value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out _);
        }
        if (bare == typeof(double))
        {
            return value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out var number) && double.IsFinite(number);
        }
        if (bare == typeof(bool))
        {
            return value.ValueKind is JsonValueKind.True or JsonValueKind.False;
        }
        if (bare == typeof(ReadOnlyMemory<byte>))
        {
            return value.ValueKind == JsonValueKind.String && value.TryGetBytesFromBase64(out _);
        }
        return IsWord(value, type);
    }

    // The few words of an enumeration; what is one, its reader knows.
    private static bool IsWord(JsonElement value, JsonTypeInfo type)
    {
        if (value.ValueKind is not (JsonValueKind.String or JsonValueKind.Number))
        {
            return false;
        }
        try
        {
            return value.Deserialize(type.Options.GetTypeInfo(Bare(type.Type))) is { } word && Enum.IsDefined(Bare(type.Type), word)
                && (value.ValueKind == JsonValueKind.String || type.Type == typeof(GuestFileWhence));
        }
        catch (JsonException)
        {
            return false;
        }
    }

    private static string Plain(Type type) =>
        type == typeof(string) ? "text" : type == typeof(long) ? "integer" : type == typeof(double) ? "number" : type == typeof(bool) ? "true or false"
        : type == typeof(ReadOnlyMemory<byte>) ? "base64" : type == typeof(GuestFileWhence) ? "set, cur or end" : type == typeof(GuestShutdownMode) ? "powerdown, halt or reboot"
        : throw new InvalidOperationException($"no word for {type.Name}");

    private static string Article(string plain) => plain switch { "integer" => "an integer", "number" => "a number", _ => plain };

    private static Type Bare(Type type) => Nullable.GetUnderlyingType(type) ?? type;

    private static string Below(string path, string name) => path.Length == 0 ? name : $"{path}.{name}";

    private static string Named(string path) => path.Length == 0 ? "the whole" : $"'{path}'";

    // What a caller or a guest chose: short, and no character that could move a terminal's cursor.
    private static string Shortened(string name) => string.Concat(name.Take(40).Select(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.' ? c : '?'));
}
