using System.Text.RegularExpressions;
using Mgmt.Api;
using Mgmt.Testing;

namespace Mgmt.Daemon.Tests;

/// <summary>The admin.* dialect as clients of Qubes OS 4.4 know it, byte for byte.</summary>
public sealed partial class DialectTests : DaemonFixture
{
    public static IEnumerable<Scenario> Formats => Scenario.Read("formats.json");

    public static IEnumerable<Scenario> Happenings => Scenario.Read("events.json");

    public static IEnumerable<Scenario> Tools => Scenario.Read("tools.json");

    public static IEnumerable<string[]> Calls => File.ReadLines(Path.Combine(Repository.Root, "tests", "mgmtd.Tests", "Dialect", "calls.txt"))
        .Where(line => line.Length > 0 && line[0] != '#').Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries));

    /// <summary>What the scenarios call by a name of their own.</summary>
    private static readonly Dictionary<string, string> Names = new(StringComparer.Ordinal) { ["template"] = "debian", ["disk"] = "sdb", ["other"] = "sdb1", ["file"] = "file-debian.iso" };

    protected override DaemonOptions Options => new()
    {
        Policy = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["20-dialect.policy"] = """
                mgmt.vm.property.GetAll * vault work allow
                mgmt.vm.property.Get +memory vault work allow
                mgmt.vm.property.Get +label vault work allow

                """,
        },
    };

    [TestCaseSource(nameof(Formats))]
    public Task A_reply_has_the_bytes_that_clients_expect(Scenario scenario) => ScenarioRun.PlayAsync(Daemon, scenario, Names);

    [TestCaseSource(nameof(Happenings))]
    public Task Events_come_with_the_names_keys_and_order_that_clients_expect(Scenario scenario) => ScenarioRun.PlayAsync(Daemon, scenario, Names);

    [TestCaseSource(nameof(Tools))]
    public Task A_tool_gets_what_it_needs(Scenario scenario) => ScenarioRun.PlayAsync(Daemon, scenario, Names);

    [Test]
    public void The_page_for_those_who_know_Qubes_has_every_call()
    {
        var page = File.ReadAllText(Path.Combine(Repository.Root, "docs", "qubes-compat.md"));
        var calls = Calls.Select(call => DeviceClass().Replace(call[0], "vm.device.<class>."))
            .Concat(CallGroups.ForReading().Rows.Where(row => row.Dialects == CallDialects.Both).Select(row => DeviceClass().Replace(row.Name, "vm.device.<class>.")));
        Assert.That(calls.Where(call => !page.Contains($"`{call}`", StringComparison.Ordinal)), Is.Empty);
    }

    [TestCase("property.List", "dom0")]
    [TestCase("vm.property.List", "dom0")]
    [TestCase("vm.property.List", "work")]
    [TestCase("vm.property.List", "debian")]
    [TestCase("vm.property.List", "a-disposable")]
    [TestCase("vm.property.List", "a-remote")]
    public async Task The_page_has_every_property(string call, string destination)
    {
        if (destination == "a-remote")
        {
            await Daemon.OkAsync("admin.vm.Create.RemoteVM", "dom0", "", "name=a-remote label=red");
        }
        if (destination == "a-disposable")
        {
            await MakeVmAsync("a-dvm");
            await Daemon.OkAsync("admin.vm.property.Set", "a-dvm", "template_for_dispvms", "True");
            await Daemon.OkAsync("admin.vm.Create.DispVM", "dom0", "a-dvm", "name=a-disposable label=red");
        }
        var page = await File.ReadAllTextAsync(Path.Combine(Repository.Root, "docs", "qubes-compat.md"));
        var names = (await Daemon.OkAsync("admin." + call, destination)).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.That(names.Where(name => !page.Contains($"`{name}`", StringComparison.Ordinal)), Is.Empty);
    }

    [TestCaseSource(nameof(Calls))]
    public void A_call_is_known_with_the_shape_it_has_today(string[] call)
    {
        var row = CallGroups.ForReading().Rows.FirstOrDefault(row => row.Name == call[0]);
        if (row is null && call.Contains("later"))
        {
            return;
        }
        Assert.That(row, Is.Not.Null, $"admin.{call[0]} is missing");
        var target = row!.Target switch { CallTarget.Dom0 => "dom0", CallTarget.Vm => "vm", _ => "any" };
        var argument = row.Argument.Name is null || row.Argument.MgmtOnly ? "none" : row.Argument.IsRequired ? "required" : "optional";
        Assert.That(row.Dialects, Is.EqualTo(CallDialects.Both));
        Assert.That(new[] { target, argument, row.Payload.Kind.ToString().ToLowerInvariant() }, Is.EqualTo(call[1..4]));
    }

    [GeneratedRegex(@"^vm\.device\.(block|usb|pci|mic)\.")]
    private static partial Regex DeviceClass();
}
