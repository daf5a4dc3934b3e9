namespace Mgmt.TestHost;

/// <summary>
/// What a volume, a revision or an export holds: no bytes, but how many were put in, the size of the disk, and a number that is the same only where
/// the content is. Two holders of one content take its space once, as blocks that are shared do.
/// </summary>
internal sealed record TestContent(long Id, long Bytes, long SizeBytes)
{
    private static long _last;

    /// <summary>Content that nobody else has.</summary>
    public static TestContent New(long bytes, long sizeBytes) => new(Interlocked.Increment(ref _last), bytes, sizeBytes);

    /// <summary>The same after it was written to or given another size.</summary>
    public TestContent Changed(long sizeBytes) => New(Math.Min(Bytes, sizeBytes), sizeBytes);
}
