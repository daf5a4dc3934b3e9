using System.Text;
using Mgmt.Api;

namespace Mgmt.Daemon;

// request = *( KEY "=" VALUE LF ) ( LF / EOF ), each KEY at most once, in any order
// KEY     = "source" / "intended_target" / "service_and_arg", needed, / "requested_source" / "assume_yes_for_ask" / "just_evaluate", the last two yes or no
// VALUE   = printable ASCII without spaces, may be empty
/// <summary>The socket that qrexec-daemon asks for each call. SOURCE: qrexec-policy-daemon of qubes-core-qrexec 4.4.2.</summary>
internal sealed class PolicyService(FrontEndPolicy policy) : IFrontEndService
{
    private static readonly string[] Keys = ["source", "intended_target", "service_and_arg", "requested_source", "assume_yes_for_ask", "just_evaluate"];

    public bool IsWhole(ReadOnlySpan<byte> received) => received.IndexOf("\n\n"u8) >= 0 || received.StartsWith("\n"u8);

    public async Task<ReadOnlyMemory<byte>> AnswerAsync(ReadOnlyMemory<byte> request, Caller caller, CancellationToken cancellation) =>
        Encoding.ASCII.GetBytes(await policy.DecideAsync(Parse(request.Span), caller, cancellation));

    /// <summary>ERRORS: FormatException.</summary>
    internal static FrontEndRequest Parse(ReadOnlySpan<byte> bytes)
    {
        var values = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var line in Encoding.Latin1.GetString(bytes).Split('\n'))
        {
            if (line.Length == 0)
            {
                break;
            }
            var equals = line.IndexOf('=', StringComparison.Ordinal);
            if (equals < 0 || !Keys.Contains(line[..equals]))
            {
                throw new FormatException("a line is not one of " + string.Join("=, ", Keys) + "=");
            }
            var value = line[(equals + 1)..];
            if (value.AsSpan().ContainsAnyExceptInRange('!', '~') || !values.TryAdd(line[..equals], value))
            {
                throw new FormatException($"{line[..equals]} is there twice, or is not printable ASCII");
            }
        }
        var (service, argument) = Split(Needed(values, "service_and_arg"));
        return new(Needed(values, "source"), Needed(values, "intended_target"), service, argument)
        {
            RequestedSource = values.GetValueOrDefault("requested_source"),
            AssumeYes = Flag(values, "assume_yes_for_ask"),
            JustEvaluate = Flag(values, "just_evaluate"),
        };
    }

    /// <summary>At the first plus; no argument is <c>+</c>.</summary>
    internal static (string Service, string Argument) Split(string serviceAndArgument)
    {
        var plus = serviceAndArgument.IndexOf('+', StringComparison.Ordinal);
        return plus < 0 ? (serviceAndArgument, "+") : (serviceAndArgument[..plus], serviceAndArgument[plus..]);
    }

    private static string Needed(Dictionary<string, string> values, string key) => values.GetValueOrDefault(key) ?? throw new FormatException($"{key} is missing");

    private static bool Flag(Dictionary<string, string> values, string key) => values.GetValueOrDefault(key) switch
    {
        null or "no" => false,
        "yes" => true,
        _ => throw new FormatException($"{key} is neither yes nor no"),
    };
}
