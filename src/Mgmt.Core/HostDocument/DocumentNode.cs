using System.Text.Json;

namespace Mgmt.Core;

/// <summary>A value of a host document that knows where it stands. Every reading either gives what was asked for or refuses.</summary>
internal sealed class DocumentNode(JsonElement value, DocumentNode? parent = null, string name = "", int index = -1)
{
    /// <summary>Made only when something is refused.</summary>
    public string Path => parent is null ? DocumentPath.Root : index < 0 ? DocumentPath.Member(parent.Path, name) : DocumentPath.Item(parent.Path, index);

    public string Name => name;

    public bool IsNull => value.ValueKind == JsonValueKind.Null;

    public MgmtException Refuse(string reason) => DocumentPath.Refuse(Path, reason);

    public string Text()
    {
        if (value.ValueKind != JsonValueKind.String)
        {
            throw Refuse("must be a string");
        }
        string text;
        try
        {
            text = value.GetString()!;
        }
        catch (InvalidOperationException)
        {
            // Not UTF-8, or half a surrogate pair.
            throw Refuse("is not valid Unicode");
        }
        return text.Contains('\0', StringComparison.Ordinal) ? throw Refuse("contains a NUL character") : text;
    }

    public bool Flag() => value.ValueKind switch
    {
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        _ => throw Refuse("must be true or false"),
    };

    public long Number(long min, long max) =>
        value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out var number) && number >= min && number <= max
            ? number
            : throw Refuse($"must be a whole number from {min} to {max}");

    /// <summary>The text, or the member's own name, through a parser of Core.</summary>
    public T Parsed<T>(Func<string, T> parse) => Parsed(Text(), parse);

    public T ParsedName<T>(Func<string, T> parse) => Parsed(name, parse);

    public IReadOnlyList<DocumentNode> Items()
    {
        if (value.ValueKind != JsonValueKind.Array)
        {
            throw Refuse("must be an array");
        }
        return [.. value.EnumerateArray().Select((item, i) => new DocumentNode(item, this, "", i))];
    }

    /// <summary>The members of an object, in the order of the document, no name twice.</summary>
    public IReadOnlyList<DocumentNode> Members()
    {
        if (value.ValueKind != JsonValueKind.Object)
        {
            throw Refuse("must be an object");
        }
        var seen = new HashSet<string>(StringComparer.Ordinal);
        var members = new List<DocumentNode>();
        foreach (var property in value.EnumerateObject())
        {
            var member = new DocumentNode(property.Value, this, NameOf(property));
            members.Add(seen.Add(member.Name) ? member : throw member.Refuse("is there twice"));
        }
        return members;
    }

    /// <summary>The members of an object whose names are known beforehand; any other is refused.</summary>
    public DocumentFields Fields(params ReadOnlySpan<string> known)
    {
        var fields = new Dictionary<string, DocumentNode>(StringComparer.Ordinal);
        foreach (var member in Members())
        {
            fields[member.Name] = known.Contains(member.Name) ? member : throw member.Refuse("is not known");
        }
        return new DocumentFields(this, fields);
    }

    private T Parsed<T>(string text, Func<string, T> parse)
    {
        try
        {
            return parse(text);
        }
        catch (MgmtException error)
        {
            throw Refuse(error.Message);
        }
    }

    private string NameOf(JsonProperty property)
    {
        try
        {
            return property.Name;
        }
        catch (InvalidOperationException)
        {
            throw Refuse("has a member whose name is not valid Unicode");
        }
    }
}

/// <summary>The members of an object by name.</summary>
internal sealed class DocumentFields(DocumentNode owner, Dictionary<string, DocumentNode> fields)
{
    /// <summary>The member, or null when it is not there.</summary>
    public DocumentNode? Find(string name) => fields.GetValueOrDefault(name);

    /// <summary>The member, or null when it is not there or is null.</summary>
    public DocumentNode? Value(string name) => Find(name) is { IsNull: false } node ? node : null;

    public DocumentNode Get(string name) => Find(name) ?? throw DocumentPath.Refuse(DocumentPath.Member(owner.Path, name), "is missing");
}
