using System.Text;

namespace Mgmt.Core.Tests;

public sealed class VolumeKeyTests
{
    [Test]
    public void A_key_has_256_random_bits_and_is_zeroed_when_it_is_disposed()
    {
        var (one, other) = (VolumeKey.Create(), VolumeKey.Create());
        var text = one.Text;
        Assert.That(Convert.FromBase64String(Encoding.ASCII.GetString(text.Span)), Has.Length.EqualTo(32));
        Assert.That(text.Span.SequenceEqual(other.Text.Span), Is.False);
        one.Dispose();
        Assert.That(text.ToArray(), Is.All.EqualTo(0));
        Assert.That(() => one.Text, Throws.TypeOf<ObjectDisposedException>());
    }

    [Test]
    public void Nothing_prints_a_key()
    {
        using var volume = new OpenVolume(VolumeName.Volatile, false, 512, []) { Key = VolumeKey.Create() };
        Assert.That(volume.Key!.ToString(), Is.Empty);
        Assert.That(volume.ToString(), Does.Not.Contain(Encoding.ASCII.GetString(volume.Key.Text.Span)));
    }

    [Test]
    public void A_volume_that_is_closed_forgets_its_key()
    {
        var volume = new OpenVolume(VolumeName.Volatile, false, 512, []) { Key = VolumeKey.Create() };
        volume.Dispose();
        Assert.That(() => volume.Key.Text, Throws.TypeOf<ObjectDisposedException>());
    }
}
