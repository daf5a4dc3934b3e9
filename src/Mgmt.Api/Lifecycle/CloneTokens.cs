using System.Security.Cryptography;

namespace Mgmt.Api;

/// <summary>
/// The right to copy a volume once: 128 random bits in hexadecimal, bound to the VM's UUID, the pool and the id. A token lives ten minutes, and not over
/// a restart; 256 live at a time.
/// </summary>
public sealed class CloneTokens(TimeProvider clock)
{
    private const int Most = 256;
    private const int TokenBytes = 16;
    private static readonly TimeSpan Life = TimeSpan.FromMinutes(10);

    private readonly Lock _lock = new();
    // Guarded by _lock.
    private readonly Dictionary<string, Entry> _tokens = new(StringComparer.Ordinal);

    /// <summary>A new token. ERRORS: MgmtBusyError when there are too many.</summary>
    public string Make(VolumeAddress source, VolumeRecord volume)
    {
        var token = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(TokenBytes));
        lock (_lock)
        {
            foreach (var (old, entry) in _tokens.ToList())
            {
                if (IsOver(entry))
                {
                    _tokens.Remove(old);
                }
            }
            if (_tokens.Count >= Most)
            {
                throw new MgmtException(ErrorCode.MgmtBusyError, "There are %s tokens to clone volumes that nobody used yet; try again later", $"{Most}");
            }
            _tokens[token] = new(source, volume.Pool, volume.Vid, clock.GetTimestamp());
        }
        return token;
    }

    /// <summary>
    /// The volume a token is for; the token is used up, whatever comes of it. ERRORS: QubesVolumeCopyTokenNotFoundError when it is unknown, used or
    /// too old, or the volume is not the one any more.
    /// </summary>
    public (VolumeAddress Address, VolumeRecord Volume) Take(string token, HostState state)
    {
        Entry? entry;
        lock (_lock)
        {
            _tokens.Remove(token, out entry);
        }
        if (entry is null || IsOver(entry) || state.Find(entry.Source.Vm) is not { } vm || vm.Uuid != entry.Source.Uuid
            || !vm.Volumes.TryGetValue(entry.Source.Volume, out var volume) || volume.Pool != entry.Pool || volume.Vid != entry.Vid)
        {
            throw new MgmtException(ErrorCode.QubesVolumeCopyTokenNotFoundError, "Token to clone volume of qube was not found");
        }
        return (entry.Source, volume);
    }

    private bool IsOver(Entry entry) => clock.GetElapsedTime(entry.Made) > Life;

    private sealed record Entry(VolumeAddress Source, PoolName Pool, Vid? Vid, long Made);
}
