using System.Text;

namespace Mgmt.Testing;

/// <summary>
/// Changes rule files a little, with their grammar in mind: words by other words of the language, lines by lines of other files, and now and then bytes
/// that are no text at all. What a change makes is mostly still a policy, so that it gets past the first checks.
/// </summary>
public sealed class PolicyMutator(Random random, IReadOnlyList<byte[]> donors)
{
    private static readonly string[] Words =
    [
        "*", "+", "+x", "+x+y", "@anyvm", "@adminvm", "@default", "@dispvm", "@dispvm:dvm", "@dispvm:@tag:d", "@dispvm:uuid:x", "@tag:team", "@tag:", "@tag:@x", "@type:AppVM", "@type:AdminVM",
        "work", "vault", "dom0", "uuid:00000000-0000-0000-0000-000000000000", "uuid:", "$anyvm", "$tag:team", "$include:include/a", "allow", "deny", "ask", "allow,target=dom0", "Allow",
        "target=", "target=dom0", "target=@dispvm", "target=@tag:x", "default_target=work", "default_target=@dispvm", "user=", "user=root", "user=a=b", "notify=yes", "notify=no", "notify=maybe",
        "autostart=no", "autostart=yes", "=", "x=y", "#", "mgmt.vm.Start", "admin.vm.Start", "mgmt.policy.Replace", "mgmt.vm.property.Set", "+netvm+sys-net", "s", "service/x",
        "!include", "!include-service", "!include-dir", "!compat-4.0", "!", "include/a", "include/", "..", "/", "/etc/passwd", "30-x.policy", "./30-x.policy", ".", "include/../30-x.policy",
    ];

    private static readonly string[] Pieces = ["\0", "\r", "\r\n", "\n", "\t", "\v", "\f", "\u001c", "\u0085", "\u00A0", "\u2028", "\u2003", "\uFEFF", ",", "$", "@", "+", "é", "😀", " ", "="];
    private static readonly byte[][] NoText = [[0xFF], [0xC3], [0xED, 0xA0, 0x80], [0xC0, 0x80], [0xF5, 0x80, 0x80, 0x80], [0]];

    /// <summary>One to six changes.</summary>
    public byte[] Mutate(ReadOnlySpan<byte> input)
    {
        var bytes = input.ToArray();
        for (var left = random.Next(1, 7); left > 0; left--)
        {
            bytes = Once(bytes);
        }
        return bytes;
    }

    /// <summary>One of the words of the language.</summary>
    public string Word() => Words[random.Next(Words.Length)];

    private byte[] Once(byte[] bytes) => random.Next(12) switch
    {
        0 => Bytes(bytes),
        1 => Splice(bytes),
        2 => random.Next(200) == 0 ? Repeat(bytes) : Lines(bytes),
        3 or 4 => Lines(bytes),
        5 => Piece(bytes),
        _ => InLine(bytes),
    };

    private byte[] Bytes(byte[] bytes)
    {
        var at = random.Next(bytes.Length + 1);
        var insert = NoText[random.Next(NoText.Length)];
        return random.Next(3) switch
        {
            0 => [.. bytes[..at], .. insert, .. bytes[at..]],
            1 => bytes[..at],
            _ => [.. bytes[..at], .. bytes[Math.Min(bytes.Length, at + random.Next(4))..]],
        };
    }

    private byte[] Splice(byte[] bytes)
    {
        var donor = donors[random.Next(donors.Count)];
        return [.. bytes[..random.Next(bytes.Length + 1)], .. donor[random.Next(donor.Length + 1)..]];
    }

    private byte[] Piece(byte[] bytes)
    {
        var at = random.Next(bytes.Length + 1);
        return [.. bytes[..at], .. Encoding.UTF8.GetBytes(Pieces[random.Next(Pieces.Length)]), .. bytes[at..]];
    }

    private byte[] Repeat(byte[] bytes)
    {
        var lines = Split(bytes);
        var line = lines[random.Next(lines.Count)];
        return Join([.. lines, .. Enumerable.Repeat(line, random.Next(2, 2000))]);
    }

    private byte[] Lines(byte[] bytes)
    {
        var lines = Split(bytes);
        var at = random.Next(lines.Count);
        switch (random.Next(5))
        {
            case 0: lines.RemoveAt(at); break;
            case 1: lines.Insert(random.Next(lines.Count + 1), lines[at]); break;
            case 2: (lines[at], lines[0]) = (lines[0], lines[at]); break;
            case 3: lines.Insert(at, string.Join(' ', Enumerable.Range(0, random.Next(1, 8)).Select(_ => Word()))); break;
            default: lines.Insert(at, Pick(Split(donors[random.Next(donors.Count)]))); break;
        }
        return Join(lines);
    }

    private byte[] InLine(byte[] bytes)
    {
        var lines = Split(bytes);
        var at = random.Next(lines.Count);
        var words = lines[at].Split(' ', StringSplitOptions.RemoveEmptyEntries).ToList();
        var word = random.Next(words.Count + 1);
        switch (random.Next(6))
        {
            case 0 when word < words.Count: words.RemoveAt(word); break;
            case 1 when word < words.Count: words.Insert(word, words[word]); break;
            case 2 when word < words.Count: words[word] += Word(); break;
            case 3: words.Insert(word, Word()); break;
            case 4: words.Add(Word()); break;
            default:
                if (word < words.Count)
                {
                    words[word] = Word();
                }
                break;
        }
        lines[at] = string.Join(' ', words);
        return Join(lines);
    }

    private string Pick(List<string> from) => from[random.Next(from.Count)];

    // Latin-1 and back, so that bytes that are no text stay as they are.
    private static List<string> Split(byte[] bytes) => [.. Encoding.Latin1.GetString(bytes).Split('\n')];

    private static byte[] Join(IEnumerable<string> lines) => [.. string.Join('\n', lines).SelectMany(c => c < 0x100 ? [(byte)c] : Encoding.UTF8.GetBytes([c]))];
}
