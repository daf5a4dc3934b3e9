using System.Collections.Immutable;
using System.Globalization;
using System.Text;

namespace Mgmt.Core;

/// <summary>
/// Which events a subscriber wants: the payload of mgmt.Events. SHAPE: lines of KEY=VALUE, the last newline optional:
/// <code>
/// since=EPOCH.SEQ | since=now     at most once; both ask for cursors too
/// cursor=yes                      at most once
/// subject=VM                      any number; empty: events about the whole host
/// event=PATTERN                   any number; printable ASCII without space, "*" is any run of characters
/// </code>
/// Within a key any match will do, and both keys must match. SOURCE: docs/wire.md, "Events".
/// </summary>
public sealed class EventFilter
{
    /// <summary>The most lines a filter may have.</summary>
    public const int MaxLines = 256;

    /// <summary>The longest pattern in characters.</summary>
    public const int MaxPatternLength = 255;

    /// <summary>Everything, from now on, without cursors: what an empty payload means.</summary>
    public static EventFilter All { get; } = new();

    /// <summary>Where to resume, or null.</summary>
    public EventCursor? Since { get; init; }

    /// <summary>Whether <c>since=now</c> was said.</summary>
    public bool SinceNow { get; init; }

    /// <summary>Whether <c>cursor=yes</c> was said.</summary>
    public bool CursorAsked { get; init; }

    /// <summary>Names of VMs, or the empty text for global events. Empty: all.</summary>
    public ImmutableArray<string> Subjects { get; init; } = [];

    /// <summary>Patterns of event names. Empty: all.</summary>
    public ImmutableArray<string> Patterns { get; init; } = [];

    /// <summary>Whether events carry cursors and bookmarks come.</summary>
    public bool WithCursor => CursorAsked || SinceNow || Since is not null;

    /// <summary>Reads a filter. ERRORS: ProtocolError, naming the line.</summary>
    public static EventFilter Parse(ReadOnlySpan<byte> payload)
    {
        if (payload.IsEmpty)
        {
            return All;
        }
        if (payload.ContainsAnyExceptInRange((byte)0, (byte)0x7f))
        {
            throw new MgmtException(ErrorCode.ProtocolError, "Event filter: not ASCII");
        }
        var text = Encoding.ASCII.GetString(payload);
        var lines = (text.EndsWith('\n') ? text[..^1] : text).Split('\n', MaxLines + 1);
        if (lines.Length > MaxLines)
        {
            throw new MgmtException(ErrorCode.ProtocolError, "Event filter: more than %s lines", MaxLines.ToString(CultureInfo.InvariantCulture));
        }
        var builder = new EventFilterBuilder();
        for (var i = 0; i < lines.Length; i++)
        {
            builder.Add(lines[i], i + 1);
        }
        return builder.Build();
    }

    /// <summary>Whether an event passes. The stream's own events (connection-established, bookmark, gone, stream-closed) are not asked about.</summary>
    public bool Matches(string subject, string eventName) =>
        (Subjects.IsEmpty || Subjects.Contains(subject)) && (Patterns.IsEmpty || MatchesAny(eventName));

    /// <summary>The filter as a payload; empty for <see cref="All"/>.</summary>
    public byte[] ToBytes()
    {
        var text = new StringBuilder();
        if (Since is { } cursor)
        {
            text.Append(CultureInfo.InvariantCulture, $"since={cursor}\n");
        }
        else if (SinceNow)
        {
            text.Append("since=now\n");
        }
        text.Append(CursorAsked ? "cursor=yes\n" : "");
        foreach (var subject in Subjects)
        {
            text.Append("subject=").Append(subject).Append('\n');
        }
        foreach (var pattern in Patterns)
        {
            text.Append("event=").Append(pattern).Append('\n');
        }
        return Encoding.ASCII.GetBytes(text.ToString());
    }

    private bool MatchesAny(string eventName)
    {
        foreach (var pattern in Patterns)
        {
            if (Glob(pattern, eventName))
            {
                return true;
            }
        }
        return false;
    }

    /// <summary>Only the last star is ever tried again, so the work is at most length times length.</summary>
    private static bool Glob(ReadOnlySpan<char> pattern, ReadOnlySpan<char> text)
    {
        int p = 0, t = 0, star = -1, mark = 0;
        while (t < text.Length)
        {
            if (p < pattern.Length && pattern[p] == '*')
            {
                (star, mark) = (p++, t);
            }
            else if (p < pattern.Length && pattern[p] == text[t])
            {
                p++;
                t++;
            }
            else if (star >= 0)
            {
                (p, t) = (star + 1, ++mark);
            }
            else
            {
                return false;
            }
        }
        return !pattern[p..].ContainsAnyExcept('*');
    }
}
