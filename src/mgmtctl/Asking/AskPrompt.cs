using System.Globalization;

namespace Mgmt.Cli.Asking;

/// <summary>One question on a terminal: what is shown, and what a key means.</summary>
internal sealed class AskPrompt(AskedQuestion question)
{
    /// <summary>With more targets a number is typed and ended with Enter.</summary>
    private const int MostByOneDigit = 9;
    private const int MostDigits = 4;
    private const byte Escape = 0x1b, Backspace = 0x08, Delete = 0x7f;
    private readonly int _default = question.Default.Length == 0 ? -1 : question.Targets.ToList().IndexOf(question.Default);
    private string _typed = "";

    public AskedQuestion Question => question;

    private bool ByNumber => question.Targets.Count > MostByOneDigit;

    /// <summary>The question, lines for people.</summary>
    public IEnumerable<string> Lines()
    {
        yield return $"{AskedQuestion.Shown(question.Source)} calls {AskedQuestion.Shown(question.Service)}";
        yield return $"  argument  {(question.Argument == "+" ? "none" : AskedQuestion.Shown(question.Argument))}";
        for (var i = 0; i < question.Targets.Count; i++)
        {
            yield return string.Create(CultureInfo.InvariantCulture, $"  {(i == 0 ? "target" : ""),-8}  {i + 1}  {AskedQuestion.Shown(question.Targets[i])}{(i == _default ? "  (default)" : "")}");
        }
        yield return $"  asked by  {AskedQuestion.Shown(question.Rule)}";
    }

    /// <summary>The line that the answer is given on.</summary>
    public string Status(TimeSpan left, int waiting)
    {
        var number = ByNumber ? "number, Enter: allow" : question.Targets.Count == 1 ? "1: allow" : $"1-{question.Targets.Count}: allow";
        var yes = _default < 0 ? "" : ", y or Enter: allow default";
        var more = waiting == 0 ? "" : $", {waiting} more";
        return string.Create(CultureInfo.InvariantCulture, $"[{number}{yes}, n or Esc: deny] {Math.Max(0, (int)Math.Ceiling(left.TotalSeconds)),3} s{more} {_typed,-MostDigits}");
    }

    /// <summary><c>allow:TARGET</c>, <c>deny</c>, or null while nothing is decided.</summary>
    public string? Press(byte key)
    {
        switch (key)
        {
            case (byte)'n' or (byte)'N' or Escape:
                return "deny";
            case (byte)'y' or (byte)'Y':
                return Allow(_default);
            case (byte)'\r' or (byte)'\n':
                return Allow(_typed.Length == 0 ? _default : int.Parse(_typed, CultureInfo.InvariantCulture) - 1);
            case Backspace or Delete:
                _typed = _typed.Length == 0 ? "" : _typed[..^1];
                return null;
            case >= (byte)'0' and <= (byte)'9' when !ByNumber:
                return Allow(key - '1');
            case >= (byte)'0' and <= (byte)'9' when _typed.Length < MostDigits:
                _typed += (char)key;
                return null;
            default:
                return null;
        }
    }

    private string? Allow(int index)
    {
        _typed = "";
        return index >= 0 && index < question.Targets.Count ? "allow:" + question.Targets[index] : null;
    }
}
