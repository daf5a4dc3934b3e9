namespace Mgmt.Policy;

/// <summary>
/// One string per distinct word of a set, so that thousands of rules about the same VMs share them. Its own table, for the reason that
/// <see cref="KeyTable"/> has.
/// </summary>
internal sealed class WordPool
{
    private string?[] _words = new string?[256];
    private int _count;

    public string Get(ReadOnlySpan<char> word)
    {
        var place = Place(word, _words);
        if (_words[place] is { } known)
            return known;
        if (_count * 2 >= _words.Length)
        {
            Grow();
            place = Place(word, _words);
        }
        _count++;
        return _words[place] = word.ToString();
    }

    // Where the word is or belongs. The hash is seeded anew in each process.
    private static int Place(ReadOnlySpan<char> word, string?[] words)
    {
        var place = string.GetHashCode(word) & (words.Length - 1);
        while (words[place] is { } other && !word.SequenceEqual(other))
            place = (place + 1) & (words.Length - 1);
        return place;
    }

    private void Grow()
    {
        var words = new string?[_words.Length * 2];
        foreach (var word in _words)
        {
            if (word is not null)
                words[Place(word, words)] = word;
        }
        _words = words;
    }
}
