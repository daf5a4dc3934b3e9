using System.Security.Cryptography;

namespace Mgmt.Policy;

/// <summary>
/// Numbers by pairs of numbers. The dictionary of the framework has no compiled code for such keys, so that the first load would run what the
/// just-in-time compiler makes in a hurry (docs/benchmarks.md has the time of a first load).
/// </summary>
internal sealed class KeyTable
{
    // Nobody who writes rules can know which keys share a place.
    private static readonly ulong Multiplier = BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(sizeof(ulong))) | 1;

    private ulong[] _keys;
    // One more than the number; 0 is a free place.
    private int[] _values;
    private int _shift;

    /// <param name="expected">How many there will be; more are taken.</param>
    public KeyTable(int expected)
    {
        var bits = 4;
        while (1 << bits < expected * 2)
            bits++;
        _keys = new ulong[1 << bits];
        _values = new int[1 << bits];
        _shift = 64 - bits;
    }

    public int Count { get; private set; }

    public bool TryGet(ulong key, out int value)
    {
        var keys = _keys;
        for (var place = Place(key); ; place = (place + 1) & (keys.Length - 1))
        {
            value = _values[place] - 1;
            if (value < 0)
                return false;
            if (keys[place] == key)
                return true;
        }
    }

    /// <summary>Adds a number, not negative, under a key that may be there already: then nothing changes. Gives the number that counts.</summary>
    public int TryAdd(ulong key, int value)
    {
        if (Count * 2 >= _keys.Length)
            Grow();
        var place = Place(key);
        for (; _values[place] != 0; place = (place + 1) & (_keys.Length - 1))
        {
            if (_keys[place] == key)
                return _values[place] - 1;
        }
        _keys[place] = key;
        _values[place] = value + 1;
        Count++;
        return value;
    }

    private int Place(ulong key) => (int)((key * Multiplier) >> _shift);

    private void Grow()
    {
        var (keys, values) = (_keys, _values);
        _keys = new ulong[keys.Length * 2];
        _values = new int[keys.Length * 2];
        _shift--;
        Count = 0;
        for (var i = 0; i < keys.Length; i++)
        {
            if (values[i] != 0)
                TryAdd(keys[i], values[i] - 1);
        }
    }
}
