using System.Security.Cryptography;

namespace Mgmt.Api;

/// <summary>A question that an ask rule wants answered by somebody.</summary>
/// <param name="Source">Who calls.</param>
/// <param name="Service">The service as the caller named it.</param>
/// <param name="Argument"><c>+</c> and the argument; for a call that sets a value also <c>+</c> and the value, where an argument can hold it.</param>
/// <param name="Targets">What may be chosen, never empty: names, <c>dom0</c>, <c>@dispvm:TEMPLATE</c>.</param>
/// <param name="DefaultTarget">The one to begin with, in the list; null for none.</param>
/// <param name="Rule">The rule that asks, <c>FILE:LINE</c>.</param>
public sealed record AskQuestion(string Source, string Service, string Argument, IReadOnlyList<string> Targets, string? DefaultTarget, string Rule)
{
    /// <summary>128 random bits in 32 hexadecimal digits: who answers has been told the question.</summary>
    public string Id { get; } = RandomNumberGenerator.GetHexString(32, lowercase: true);

    /// <summary>A name of an icon for the source and each target, as desktops have them.</summary>
    public IReadOnlyDictionary<string, string> Icons { get; init; } = new Dictionary<string, string>(StringComparer.Ordinal);
}
