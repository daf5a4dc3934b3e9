using System.Globalization;
using Mgmt.Core;

namespace Mgmt.Cli.Asking;

/// <summary>A question as mgmt.policy.Agent tells it. Texts are as they came: they go to a terminal only by <see cref="Shown"/>.</summary>
internal sealed record AskedQuestion(string Id, string Source, string Service, string Argument, IReadOnlyList<string> Targets, string Default, string Rule, TimeSpan Left)
{
    private const int MostShown = 120;

    /// <summary>Null for an event that lacks what an answer needs.</summary>
    public static AskedQuestion? Parse(MgmtEvent told) =>
        told["id"] is { Length: > 0 } id && told["targets"]?.Split(' ', StringSplitOptions.RemoveEmptyEntries) is { Length: > 0 } targets
            && long.TryParse(told["left_ms"], NumberStyles.None, CultureInfo.InvariantCulture, out var left)
            ? new(id, told["source"] ?? "", told["service"] ?? "", told["argument"] ?? "+", targets, told["default"] ?? "", told["rule"] ?? "", TimeSpan.FromMilliseconds(left))
            : null;

    /// <summary>
    /// Text from elsewhere for a terminal: printable ASCII only, so that it neither moves the cursor nor looks like other text, and so short that it pushes nothing away.
    /// </summary>
    public static string Shown(string text)
    {
        var harmless = string.Concat(text.Take(MostShown).Select(c => c is >= ' ' and <= '~' ? c.ToString() : string.Create(CultureInfo.InvariantCulture, $"\\u{(int)c:x4}")));
        return text.Length <= MostShown ? harmless : string.Create(CultureInfo.InvariantCulture, $"{harmless}... ({text.Length} characters)");
    }
}
