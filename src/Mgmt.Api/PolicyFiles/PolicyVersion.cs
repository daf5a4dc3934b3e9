namespace Mgmt.Api;

/// <summary>A version of a policy file that was replaced or removed.</summary>
/// <param name="Id">Its name in the history.</param>
/// <param name="Time">When it was replaced or removed.</param>
/// <param name="Source">Who did that.</param>
/// <param name="Token">Its digest, as a token.</param>
internal sealed record PolicyVersion(string Id, DateTimeOffset Time, string Source, string Token);
