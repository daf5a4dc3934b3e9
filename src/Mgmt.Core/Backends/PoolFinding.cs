namespace Mgmt.Core;

/// <summary>
/// Something about a pool that is not as the records say. Kinds: <c>unknown</c> (a file no record of ours names: reported, never deleted),
/// <c>missing</c> (a volume that keeps content and has none), <c>leftover</c> (unfinished work), <c>unclean</c> (a run that no stop followed),
/// <c>size</c> (the disk is of another size than recorded), <c>damaged</c> (cannot be read). What: a vid or a file below the pool. Mended: whether it was put right.
/// </summary>
public sealed record PoolFinding(string Kind, string What, string Message, bool Mended)
{
    /// <summary>Of <c>size</c>: how large the disk is, in bytes.</summary>
    public long? SizeBytes { get; init; }
}
