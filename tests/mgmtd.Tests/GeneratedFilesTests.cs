using Mgmt.Api;
using Mgmt.Core;
using Mgmt.Testing;

namespace Mgmt.Daemon.Tests;

public sealed class GeneratedFilesTests
{
    public static IEnumerable<string> Paths => GeneratedFiles.All().Keys;

    [TestCaseSource(nameof(Paths))]
    public void A_generated_file_is_what_the_call_table_says(string path) =>
        Assert.That(File.ReadAllText(Path.Combine(Repository.Root, path)), Is.EqualTo(GeneratedFiles.All()[path]), "run make generate");

    [TestCase("rpc-services")]
    [TestCase("policy")]
    public void There_is_no_generated_file_of_a_call_that_is_gone(string directory)
    {
        var found = Directory.EnumerateFiles(Path.Combine(Repository.Root, directory), "*", SearchOption.AllDirectories)
            .Select(file => Path.GetRelativePath(Repository.Root, file));
        Assert.That(found, Is.SubsetOf(GeneratedFiles.All().Keys));
    }

    [Test]
    public async Task The_default_policy_has_no_error_and_leaves_everybody_but_dom0_out()
    {
        await using var daemon = await DaemonProcess.StartAsync();
        Assert.That(await daemon.OkAsync("mgmt.Status"), Does.Contain("\"errors\": []").And.Contain("\"state\": \"ok\""));
        Assert.That(daemon.Log, Does.Not.Contain("policy: "));
        foreach (var row in CallGroups.ForReading().Rows.Where(row => row.Dialects != CallDialects.Own))
        {
            Assert.That(File.ReadAllText(Path.Combine(daemon.PolicyDirectory, "90-mgmt-default.policy")), Does.Contain($" mgmt.{row.Name} "));
        }
        await daemon.RefusedAsync(ErrorCode.PermissionDenied, "mgmt.vm.List", "dom0", source: "vault");
        await daemon.RefusedAsync(ErrorCode.PermissionDenied, "mgmt.vm.List", "vault", source: "vault");
    }
}
