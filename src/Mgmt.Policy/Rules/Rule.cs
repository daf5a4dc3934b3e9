using System.Globalization;

namespace Mgmt.Policy;

/// <summary>One compiled rule. Its texts are made when they are first wanted and then kept.</summary>
internal sealed class Rule
{
    private string? _text;
    private string? _allowedText;
    private string? _deniedText;

    public required string File { get; init; }

    /// <summary>From 1; 0 for a rule that `!compat-4.0` adds and no line says.</summary>
    public required int Line { get; init; }

    /// <summary>The service as written; null is any.</summary>
    public required string? Service { get; init; }

    /// <summary>`+` and the argument; null is any.</summary>
    public required string? Argument { get; init; }

    public required Token Source { get; init; }
    public required Token Target { get; init; }
    public required PolicyAction Action { get; init; }
    public Token? Redirect { get; init; }
    public Token? DefaultTarget { get; init; }

    /// <summary>As written; null and empty both mean the target's default.</summary>
    public string? User { get; init; }

    public bool Notify { get; init; }
    public bool Autostart { get; init; } = true;

    /// <summary>Whether it is there because of `!compat-4.0`.</summary>
    public bool IsLegacy { get; init; }

    /// <summary>`FILE:LINE`, or `FILE:None` as qrexec has it for a rule without a line.</summary>
    public string Text => _text ??= Line == 0 ? $"{File}:None" : string.Create(CultureInfo.InvariantCulture, $"{File}:{Line}");

    public string AllowedText => _allowedText ??= $"allowed by {Text}";

    public string DeniedText => _deniedText ??= $"denied by policy {Text}";
}
