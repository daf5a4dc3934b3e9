using System.Runtime.CompilerServices;

namespace Mgmt.Policy;

/// <summary>The numbers of the tokens that match one word. Holds a few in place, so that a question allocates nothing.</summary>
internal ref struct TokenSet
{
    private Inline _few;
    private int[]? _many;

    public int Count { get; private set; }

    [System.Diagnostics.CodeAnalysis.UnscopedRef]
    public readonly ReadOnlySpan<int> Ids => _many is null ? ((ReadOnlySpan<int>)_few)[..Count] : _many.AsSpan(0, Count);

    /// <summary>Adds a number; -1 (no rule has the token) is left out.</summary>
    public void Add(int id)
    {
        if (id < 0)
            return;
        if (_many is null && Count == Inline.Length)
            _many = [.. (ReadOnlySpan<int>)_few];
        if (_many is not null && Count == _many.Length)
            Array.Resize(ref _many, Count * 2);
        if (_many is null)
            _few[Count++] = id;
        else
            _many[Count++] = id;
    }

    public readonly bool Contains(int id) => Ids.Contains(id);

    [InlineArray(Length)]
    private struct Inline
    {
        public const int Length = 24;
        private int _first;
    }
}
