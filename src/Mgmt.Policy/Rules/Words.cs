namespace Mgmt.Policy;

/// <summary>The words of a line, separated by runs of white space.</summary>
internal ref struct Words(ReadOnlySpan<char> line)
{
    private readonly ReadOnlySpan<char> _line = line;
    private int _next = 0;

    /// <summary>Where the word last given begins, from 1; after the last word, the line's end.</summary>
    public int Column { get; private set; } = 1;

    public bool TryNext(out ReadOnlySpan<char> word)
    {
        while (_next < _line.Length && Spelling.IsSpace(_line[_next]))
            _next++;
        var start = _next;
        while (_next < _line.Length && !Spelling.IsSpace(_line[_next]))
            _next++;
        word = _line[start.._next];
        Column = start + 1;
        return !word.IsEmpty;
    }

    public readonly int CountRest()
    {
        var rest = this;
        var count = 0;
        while (rest.TryNext(out _))
            count++;
        return count;
    }
}
