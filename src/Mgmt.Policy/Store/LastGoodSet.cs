namespace Mgmt.Policy;

/// <summary>A set that was kept on disk, and when it was.</summary>
internal sealed record LastGoodSet(PolicySet Set, DateTimeOffset Time);
