using Mgmt.Core;
using Mgmt.Testing;

namespace Mgmt.Api.Tests.Lifecycle;

public sealed class CloneTokensTests
{
    private ManualTime _clock = null!;
    private Daemon _daemon = null!;
    private CloneTokens _tokens = null!;

    [SetUp]
    public async Task Open()
    {
        _clock = new ManualTime();
        _daemon = await Daemon.OpenAsync();
        _tokens = new CloneTokens(_clock);
    }

    [TearDown]
    public async Task Close() => await _daemon.DisposeAsync();

    private VolumeAddress Address => VolumeAddress.Of(_daemon.Vm("vault"), "private");

    private string Make() => _tokens.Make(Address, _daemon.Vm("vault").Volumes[VolumeName.Private]);

    private ErrorCode? Take(string token)
    {
        try
        {
            Assert.That(_tokens.Take(token, _daemon.Store.Current).Address, Is.EqualTo(Address));
            return null;
        }
        catch (MgmtException error)
        {
            return error.Code;
        }
    }

    [Test]
    public void A_token_is_good_for_ten_minutes()
    {
        var (young, old) = (Make(), Make());
        _clock.Advance(600_000);
        Assert.That(Take(young), Is.Null);
        _clock.Advance(1);
        Assert.That(Take(old), Is.EqualTo(ErrorCode.QubesVolumeCopyTokenNotFoundError));
    }

    [Test]
    public void There_are_256_at_most_and_old_ones_make_room()
    {
        var tokens = Enumerable.Range(0, 256).Select(_ => Make()).ToHashSet();
        Assert.That(tokens, Has.Count.EqualTo(256));
        Assert.That(Make, Throws.InstanceOf<MgmtException>().With.Property("Code").EqualTo(ErrorCode.MgmtBusyError));
        Assert.That(Take(tokens.First()), Is.Null);
        Make();
        Assert.That(Make, Throws.InstanceOf<MgmtException>());
        _clock.Advance(600_001);
        Make();
    }

    [Test]
    public async Task A_token_is_for_the_volume_that_it_was_made_for_and_no_other_in_its_place()
    {
        var token = Make();
        await _daemon.Store.ApplyAsync(change => change.SetVolume(Address, v => v with { Vid = Vid.Parse("appvms/other/private") }), CancellationToken.None);
        Assert.That(Take(token), Is.EqualTo(ErrorCode.QubesVolumeCopyTokenNotFoundError));
    }
}
