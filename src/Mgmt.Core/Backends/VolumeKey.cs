using System.Buffers.Text;
using System.Security.Cryptography;

namespace Mgmt.Core;

/// <summary>
/// The key of an ephemeral volume's run: 256 random bits, made for that run. It is in memory only, and zeroed when disposed; nothing prints it.
/// </summary>
public sealed class VolumeKey : IDisposable
{
    private const int RandomBytes = 32;

    // Pinned: a collector that moves it would leave copies behind.
    private readonly byte[] _text = GC.AllocateArray<byte>(Base64.GetMaxEncodedToUtf8Length(RandomBytes), pinned: true);
    private volatile bool _disposed;

    private VolumeKey()
    {
        RandomNumberGenerator.Fill(_text.AsSpan(0, RandomBytes));
        Base64.EncodeToUtf8InPlace(_text, RandomBytes, out _);
    }

    /// <summary>A new one.</summary>
    public static VolumeKey Create() => new();

    /// <summary>The passphrase that QEMU and qemu-img take: 44 characters of base64.</summary>
    public ReadOnlyMemory<byte> Text
    {
        get
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            return _text;
        }
    }

    /// <summary>Forgets it.</summary>
    public void Dispose()
    {
        _disposed = true;
        CryptographicOperations.ZeroMemory(_text);
    }

    /// <summary>Empty, so that no log has it.</summary>
    public override string ToString() => "";
}
