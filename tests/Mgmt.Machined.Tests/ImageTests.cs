using Mgmt.Core;
using Mgmt.Testing;

namespace Mgmt.Machined.Tests;

/// <summary>Images of the real systemd-machined.</summary>
public sealed class ImageTests
{
    private static readonly TimeSpan Short = TimeSpan.FromMilliseconds(300);
    private MachinedHost _host;
    private RegistryUnderTest _registry;

    private IMachineImages Images => _registry.Registry.Images;

    [SetUp]
    public async Task Start()
    {
        _host = await MachinedHost.StartAsync(CancellationToken.None);
        _registry = await RegistryUnderTest.ReadyAsync(_host.BusAddress);
        await ShellAsync("truncate -s 8M /var/lib/machines/web.raw && mkdir /var/lib/machines/tree");
    }

    [TearDown]
    public async Task Stop()
    {
        if (_registry is not null)
        {
            await _registry.DisposeAsync();
        }
        if (_host is not null)
        {
            await _host.DisposeAsync();
        }
    }

    [Test]
    public async Task The_list_has_raw_images_and_directories_and_says_where_they_are()
    {
        var list = await Images.ListAsync(CancellationToken.None);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(list.Directory, Is.EqualTo("/var/lib/machines"));
            Assert.That(list.Images.Select(image => (image.Name, image.Type)), Is.EquivalentTo(new[] { ("web", "raw"), ("tree", "directory"), (".host", "directory") }));
            Assert.That(list.Images.Single(image => image.Name == "web").UsedBytes, Is.Zero);
            Assert.That(list.Images.Single(image => image.Name == "tree").UsedBytes, Is.Null);
        }
    }

    [Test]
    public async Task One_image_has_its_path_and_its_size()
    {
        Assert.That(await Images.GetAsync("web", CancellationToken.None),
            Is.EqualTo(new MachineImage("web", "raw", false, 0) { Path = "/var/lib/machines/web.raw", LimitBytes = 8 << 20 }));
    }

    [Test]
    public async Task Images_are_cloned_marked_renamed_and_removed()
    {
        await Images.CloneAsync("web", "copy", true, CancellationToken.None);
        Assert.That((await Images.GetAsync("copy", CancellationToken.None)).ReadOnly, Is.True);
        await Images.MarkReadOnlyAsync("copy", false, CancellationToken.None);
        Assert.That((await Images.GetAsync("copy", CancellationToken.None)).ReadOnly, Is.False);
        await Images.RenameAsync("copy", "other", CancellationToken.None);
        await Images.RemoveAsync("web", CancellationToken.None);
        Assert.That(await ShellAsync("ls /var/lib/machines"), Is.EqualTo("other.raw\ntree\n"));
    }

    [Test]
    public async Task What_machined_refuses_is_said_in_our_words()
    {
        await Images.CloneAsync("web", "copy", false, CancellationToken.None);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(await CodeOf(() => Images.GetAsync("none", CancellationToken.None)), Is.EqualTo(ErrorCode.QubesVolumeNotFoundError));
            Assert.That(await CodeOf(() => Images.RemoveAsync("none", CancellationToken.None)), Is.EqualTo(ErrorCode.QubesVolumeNotFoundError));
            Assert.That(await CodeOf(() => Images.CloneAsync("web", "copy", false, CancellationToken.None)), Is.EqualTo(ErrorCode.StoragePoolException), "exists");
            Assert.That(await CodeOf(() => Images.RenameAsync("web", "a/b", CancellationToken.None)), Is.EqualTo(ErrorCode.StoragePoolException), "no name");
            Assert.That(await CodeOf(() => Images.RemoveAsync(".host", CancellationToken.None)), Is.EqualTo(ErrorCode.StoragePoolException), "the host itself");
            Assert.That(await CodeOf(() => Images.SetLimitAsync("web", 1 << 20, CancellationToken.None)), Is.EqualTo(ErrorCode.MgmtUnsupportedError));
            Assert.That(await CodeOf(() => Images.SetPoolLimitAsync(1 << 30, CancellationToken.None)), Is.EqualTo(ErrorCode.MgmtUnsupportedError));
        }
        Assert.That(_registry.Registry.Status.State, Is.EqualTo("ok"), "a refusal is a sign of life");
    }

    [Test]
    public async Task A_machined_that_does_not_answer_is_waited_for_no_longer_than_the_deadline()
    {
        await using var registry = new MachinedRegistry(new MachinedOptions { BusAddress = _host.BusAddress, ImageDeadline = Short, ImageCopyDeadline = Short }, TimeProvider.System, _registry);
        await registry.Images.ListAsync(CancellationToken.None);
        _host.Freeze();
        Assert.That(await CodeOf(() => registry.Images.ListAsync(CancellationToken.None)), Is.EqualTo(ErrorCode.MgmtTimeoutError));
        Assert.That(await CodeOf(() => registry.Images.CloneAsync("web", "late", false, CancellationToken.None)), Is.EqualTo(ErrorCode.MgmtTimeoutError));
        _host.Thaw();
        // What was not answered may have been carried out: looking again tells.
        using var limit = new CancellationTokenSource(RegistryUnderTest.Deadline);
        while ((await Images.ListAsync(limit.Token)).Images.All(image => image.Name != "late"))
        {
        }
    }

    [Test]
    public async Task Without_machined_or_a_bus_the_images_are_unavailable()
    {
        _host.KillMachined();
        await _registry.UntilAsync("absent");
        Assert.That(await CodeOf(() => Images.ListAsync(CancellationToken.None)), Is.EqualTo(ErrorCode.MgmtUnavailableError));
        await _host.StopAsync(CancellationToken.None);
        Assert.That(await CodeOf(() => Images.ListAsync(CancellationToken.None)), Is.EqualTo(ErrorCode.MgmtUnavailableError));
        await using var off = new RegistryUnderTest(_host.BusAddress, enabled: false);
        Assert.That(await CodeOf(() => off.Registry.Images.RemoveAsync("web", CancellationToken.None)), Is.EqualTo(ErrorCode.MgmtUnavailableError));
    }

    private Task<string> ShellAsync(string script) => _host.RunAsync(["sh", "-c", script], CancellationToken.None);

    private static async Task<ErrorCode> CodeOf(Func<Task> act) => (await Assert.ThrowsAsync<MgmtException>(act))!.Code;
}
