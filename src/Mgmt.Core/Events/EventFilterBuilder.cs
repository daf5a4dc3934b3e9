using System.Collections.Immutable;
using System.Globalization;

namespace Mgmt.Core;

/// <summary>Collects the lines of a filter. ERRORS: ProtocolError, naming the line.</summary>
internal sealed class EventFilterBuilder
{
    private readonly ImmutableArray<string>.Builder _subjects = ImmutableArray.CreateBuilder<string>();
    private readonly ImmutableArray<string>.Builder _patterns = ImmutableArray.CreateBuilder<string>();
    private string? _since;
    private bool _cursor;

    public void Add(string line, int number)
    {
        var equals = line.IndexOf('=', StringComparison.Ordinal);
        var value = line[(equals + 1)..];
        switch (equals < 0 ? "" : line[..equals])
        {
            case "since" when _since is null && (value == "now" || EventCursor.TryParse(value) is not null):
                _since = value;
                break;
            case "cursor" when !_cursor && value == "yes":
                _cursor = true;
                break;
            case "subject" when value.Length == 0 || IsVmName(value):
                _subjects.Add(value);
                break;
            case "event" when value.Length is > 0 and <= EventFilter.MaxPatternLength && !value.AsSpan().ContainsAnyExceptInRange('!', '~'):
                _patterns.Add(value);
                break;
            default:
                throw new MgmtException(ErrorCode.ProtocolError,
                    "Event filter: line %s is none of since=CURSOR, since=now, cursor=yes (once each), subject=VM, event=PATTERN",
                    number.ToString(CultureInfo.InvariantCulture));
        }
    }

    public EventFilter Build() => new()
    {
        Since = _since is null or "now" ? null : EventCursor.TryParse(_since),
        SinceNow = _since == "now",
        CursorAsked = _cursor,
        Subjects = _subjects.ToImmutable(),
        Patterns = _patterns.ToImmutable(),
    };

    private static bool IsVmName(string text)
    {
        try
        {
            VmName.Parse(text);
            return true;
        }
        catch (MgmtException)
        {
            return false;
        }
    }
}
