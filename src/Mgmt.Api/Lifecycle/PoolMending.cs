namespace Mgmt.Api;

/// <summary>
/// What a daemon does once at its start: each pool is compared with the records and mended, as pool.Check with mend does. So what an earlier daemon's end cut off is finished, or
/// taken back, without anybody's asking; what no record names is only counted. SOURCE: docs/storage.md, "Check".
/// </summary>
public sealed class PoolMending(LifecycleServices services)
{
    private readonly PoolOperations _pools = new(services);

    /// <summary>Mends one pool after the other; one that cannot be checked stops no other. VMs that run or are being worked on are left alone.</summary>
    public async Task MendAllAsync(CancellationToken cancellation)
    {
        foreach (var pool in services.Store.Current.Pools.Keys.Where(name => services.Pools.TryGet(name) is not null))
        {
            try
            {
                await MendAsync(pool, cancellation);
            }
            catch (Exception error) when (!cancellation.IsCancellationRequested)
            {
                Log.PoolNotChecked(services.Log, pool, error);
            }
        }
    }

    private async Task MendAsync(PoolName pool, CancellationToken cancellation)
    {
        var found = await _pools.CheckAsync(pool, mend: true, cancellation);
        foreach (var finding in found.Where(finding => finding.Mended))
        {
            Log.Mended(services.Log, pool, VmStarter.Ascii(finding.What), finding.Message);
        }
        if (found.Count(finding => !finding.Mended) is > 0 and var left)
        {
            Log.FindingsLeft(services.Log, pool, left);
        }
    }
}
