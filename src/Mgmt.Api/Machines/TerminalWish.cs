using System.Collections.Immutable;
using System.Text;
using System.Text.Json;

namespace Mgmt.Api;

/// <summary>What a caller wants of a terminal. Size: null for what it has anyway.</summary>
public sealed record TerminalWish
{
    private const int MaxWords = 256;
    private const int MaxWordLength = 4096;
    private const int MaxUserLength = 64;
    private const int MaxSize = 4096;

    /// <summary>The most bytes of the line.</summary>
    public const int MaxBytes = 32 * 1024;

    /// <summary>Its size in characters.</summary>
    public (int Rows, int Columns)? Size { get; private init; }

    /// <summary>Whether a console has a login prompt.</summary>
    public bool Login { get; private init; } = true;

    /// <summary>The user that a program runs as.</summary>
    public string User { get; private init; } = "root";

    /// <summary>The program and its arguments; none: the user's shell.</summary>
    public ImmutableArray<string> Arguments { get; private init; } = [];

    /// <summary>Variables <c>NAME=VALUE</c> of its environment.</summary>
    public ImmutableArray<string> Environment { get; private init; } = [];

    /// <summary>Whether the program's exit status is wanted.</summary>
    public bool Status { get; private init; }

    /// <summary>Whether the terminal leaves the program's output as it is and shows nothing that is typed; only together with the status.</summary>
    public bool Plain { get; private init; }

    /// <summary>
    /// SHAPE of a line before the payload: a JSON object, <c>{"rows":24,"columns":80,"login":true}</c> for a console, and for a program
    /// <c>{"rows":24,"columns":80,"user":"root","arguments":["/bin/ls","-l"],"environment":["TERM=linux"],"status":true,"plain":false}</c>; each member may be missing.
    /// ERRORS: ProtocolError for the shape, QubesValueError for a value.
    /// </summary>
    internal static TerminalWish Parse(string? latin1Line, bool program)
    {
        if (latin1Line is null)
        {
            throw new MgmtException(ErrorCode.ProtocolError, "expected a first line of JSON");
        }
        try
        {
            using var document = JsonDocument.Parse(Encoding.Latin1.GetBytes(latin1Line), new JsonDocumentOptions { MaxDepth = 3 });
            var wish = new TerminalWish();
            var (rows, columns) = (0, 0);
            foreach (var member in document.RootElement.EnumerateObject())
            {
                (rows, columns) = member.Name switch
                {
                    "rows" => (Number(member), columns),
                    "columns" => (rows, Number(member)),
                    _ => (rows, columns),
                };
                wish = member.Name is "rows" or "columns" ? wish : wish.With(member, program);
            }
            return rows > 0 && columns > 0 ? wish with { Size = (rows, columns) } : wish;
        }
        catch (Exception bad) when (bad is JsonException or InvalidOperationException)
        {
            throw new MgmtException(bad, ErrorCode.ProtocolError, "the first line is not the JSON object that this call takes");
        }
    }

    private TerminalWish With(JsonProperty member, bool program) => (member.Name, program) switch
    {
        ("login", false) => this with { Login = member.Value.GetBoolean() },
        ("status", true) => this with { Status = member.Value.GetBoolean() },
        ("plain", true) => this with { Plain = member.Value.GetBoolean() },
        ("user", true) => this with { User = UserName(member.Value.GetString()) },
        ("arguments", true) => this with { Arguments = Words(member.Value) is { } words && (words.IsEmpty || words[0].StartsWith('/')) ? words : throw Bad("the program has to be an absolute path") },
        ("environment", true) => this with { Environment = Words(member.Value) is { } words && words.All(IsVariable) ? words : throw Bad("a variable has to be NAME=VALUE") },
        _ => throw new MgmtException(ErrorCode.ProtocolError, "unexpected member in the first line: %s", member.Name.Length <= MaxUserLength ? member.Name : "…"),
    };

    private static int Number(JsonProperty member) => member.Value.TryGetInt32(out var number) && number is > 0 and <= MaxSize ? number : throw Bad($"{member.Name} has to be 1 to {MaxSize}");

    private static string UserName(string? text) => text is { Length: > 0 and <= MaxUserLength } && text[0] != '-' && Charset.IsAll(text, Charset.Word) ? text : throw Bad("user name contains illegal characters");

    private static ImmutableArray<string> Words(JsonElement list)
    {
        if (list.GetArrayLength() > MaxWords)
        {
            throw Bad($"more than {MaxWords} words");
        }
        return [.. list.EnumerateArray().Select(word => word.GetString() is { Length: <= MaxWordLength } text && !text.Contains('\0', StringComparison.Ordinal)
            ? text
            : throw Bad($"a word has to be text of at most {MaxWordLength} characters without NUL"))];
    }

    private static bool IsVariable(string text) => text.IndexOf('=', StringComparison.Ordinal) is > 0 and var end && Charset.IsAll(text.AsSpan(0, end), Charset.Tag) && !char.IsAsciiDigit(text[0]) && !text.Any(char.IsControl);

    private static MgmtException Bad(string what) => new(ErrorCode.QubesValueError, "%s", what);
}
