using System.Text;
using Mgmt.Api;

namespace Mgmt.Daemon;

// request = NAME "+" SERVICE ["+" ARGUMENT] SP CALLER [SP ...] NUL SOURCE NUL TARGET EOF
// SOURCE  = 1*31 of A-Z a-z 0-9 @ _ . -    TARGET = 1*63 of the same    answer = "result=allow" LF / "result=deny" LF
/// <summary>
/// policy.EvalSimple and policy.EvalGUI: would a call be allowed, an ask answered with yes? Only who has both VMs' windows may ask the latter.
/// SOURCE: qrexec-policy-daemon of qubes-core-qrexec 4.4.2.
/// </summary>
internal sealed class EvalService(string name, bool needsGui, FrontEndPolicy policy) : IFrontEndService
{
    private const int MostBodyBytes = 96;

    public bool IsWhole(ReadOnlySpan<byte> received) => received.IndexOf((byte)0) is var end and >= 0 && received.Length - end - 1 >= MostBodyBytes;

    public Task<ReadOnlyMemory<byte>> AnswerAsync(ReadOnlyMemory<byte> request, Caller caller, CancellationToken cancellation)
    {
        var (question, from) = Parse(name, request.Span);
        return Task.FromResult<ReadOnlyMemory<byte>>(policy.Evaluate(question, needsGui ? from : null) switch
        {
            true => "result=allow\n"u8.ToArray(),
            false => "result=deny\n"u8.ToArray(),
            null => throw new FormatException($"{from} does not provide the GUI of both VMs"),
        });
    }

    /// <summary>The question and who asks it. ERRORS: FormatException.</summary>
    internal static (FrontEndRequest Question, string Caller) Parse(string name, ReadOnlySpan<byte> bytes)
    {
        var text = Encoding.Latin1.GetString(bytes);
        if (text.AsSpan().ContainsAnyInRange('\x7f', '\xff'))
        {
            throw new FormatException("a byte is not ASCII");
        }
        var (space, end) = (text.IndexOf(' ', StringComparison.Ordinal), text.IndexOf('\0', StringComparison.Ordinal));
        if (space < 0 || end < space)
        {
            throw new FormatException("the header has no caller, or no end");
        }
        var (invoked, queried) = PolicyService.Split(text[..space]);
        if (invoked != name || queried.Length < 2 || queried[1] == '+')
        {
            throw new FormatException($"the header names {invoked}, or no service to ask about");
        }
        var (service, argument) = PolicyService.Split(queried[1..]);
        var body = text[(end + 1)..Math.Min(text.Length, end + 1 + MostBodyBytes)].Split('\0', 2);
        if (body.Length < 2 || !IsName(body[0], 31) || !IsName(body[1], 63))
        {
            throw new FormatException("source or target is no name");
        }
        return (new(body[0], body[1], service, argument) { JustEvaluate = true, AssumeYes = true }, text[(space + 1)..end].Split(' ', 2)[0]);
    }

    private static bool IsName(string text, int most) => text.Length >= 1 && text.Length <= most && text.All(c => char.IsAsciiLetterOrDigit(c) || c is '@' or '_' or '.' or '-');
}
